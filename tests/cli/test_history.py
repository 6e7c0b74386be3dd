"""``history``: what a bot has done, from the file of its store."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import cryptoproto as cp
from cryptoproto.cli import output
from cryptoproto.sync.exchange import Exchange
from tests.support.command_line import Shell, run
from tests.support.config import write_config
from tests.support.histories import Writer, balance, cancelled, changed, placed, trade


@pytest.fixture
def filled(shell: Shell) -> Shell:
    """A shell in a folder with ``alice.db``, which has a history."""
    writer = Writer(shell.folder / "alice.db")
    writer.commit(
        placed(1, "1", "100", at=10),
        trade(1, "0.4", "100", at=20),
        changed(1, "0.6", "0.0004", at=20),
        balance("BTC", "2.3996", "0.3996", at=20),
        cancelled(1, at=30),
        placed(2, "3", "20", at=40, trade_pair="ETH_USD"),
        trade(2, "3", "20", at=40, trade_pair="ETH_USD"),
    )
    writer.close()
    return shell


def test_trades_as_a_table(filled: Shell) -> None:
    shown = filled("history", "trades", "alice.db")
    assert shown.code == 0, shown.err
    assert "1970-01-01 00:00:20" in shown.out
    assert "0.0004" in shown.out
    assert "ETH_USD" in shown.out
    assert "ETH_USD" not in filled("history", "trades", "alice.db", "--pair", "BTC_USD").out
    assert "there are no trades in this range" in filled("history", "trades", "alice.db", "--since", "1971-01-01").err


def test_a_narrow_terminal_breaks_no_number(filled: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "console", Console(highlight=False, width=40))
    shown = filled("history", "trades", "alice.db", "--last", "1")
    assert "time    1970-01-01 00:00:40" in shown.out
    assert "pair    ETH_USD" in shown.out


def test_only_the_last_rows_are_shown(filled: Shell) -> None:
    shown = filled("history", "trades", "alice.db", "--last", "1")
    assert "ETH_USD" in shown.out
    assert "BTC_USD" not in shown.out
    assert "the last 1 of 2 rows; --last, --csv, --parquet and --json show more" in " ".join(shown.err.split())


def test_json(filled: Shell) -> None:
    (one,) = filled("history", "trades", "alice.db", "--until", "1970-01-01T00:00:30", "--json").lines
    assert (one["amount"], one["fee"], one["maker"]) == ("0.4", "0.0004", True)
    first, second = filled("history", "orders", "alice.db", "--json").lines
    assert (first["status"], [change["what"] for change in first["changes"]]) == (
        "cancelled",
        ["placed", "filled", "cancelled"],
    )
    assert second["status"] == "open"
    found = filled("history", "balances", "alice.db", "--currency", "BTC", "--json").lines
    assert [(line["available"], line["reason"]) for line in found] == [("2.0000", "opening"), ("2.3996", "trade")]


def test_orders_and_their_changes(filled: Shell) -> None:
    assert "cancelled" in filled("history", "orders", "alice.db").out
    shown = filled("history", "orders", "alice.db", "--changes", "--csv", "-")
    rows = list(csv.DictReader(io.StringIO(shown.out)))
    assert [row["what"] for row in rows] == ["placed", "filled", "cancelled", "placed", "filled"]
    assert "opening" in filled("history", "balances", "alice.db").out


def test_the_store_of_the_environment(filled: Shell) -> None:
    filled.environment["CRYPTOPROTO_STORE"] = "alice.db"
    assert "ETH_USD" in filled("history", "trades").out
    assert filled("history", "trades", "other.db").code == 2  # an argument comes first


def test_the_store_of_a_profile(filled: Shell) -> None:
    config = write_config(filled.folder / "config.toml", '[profiles.paper]\nstore = "alice.db"\n[profiles.bare]')
    filled.environment["CRYPTOPROTO_CONFIG"] = str(config)
    for command in ("trades", "orders", "pnl"):
        assert "ETH_USD" in filled("history", command, "--profile", "paper").out
    assert filled("history", "balances", "--profile", "paper", "--json").lines
    assert filled("history", "trades", "other.db", "--profile", "paper").code == 2  # an argument comes first
    missing = filled("history", "trades", "--profile", "bare")
    assert missing.code == 2
    assert "no store: name its file, set CRYPTOPROTO_STORE, or write store in [profiles.bare] of" in missing.err


def test_files(filled: Shell) -> None:
    pytest.importorskip("pyarrow")
    done = filled("history", "trades", "alice.db", "--csv", "out.csv")
    assert (done.code, done.out) == (0, "")
    assert "2 rows written to out.csv" in done.err
    assert len((filled.folder / "out.csv").read_text().splitlines()) == 3
    done = filled("history", "balances", "alice.db", "--parquet", "out.parquet", "--currency", "BTC")
    assert "2 rows written to out.parquet" in done.err
    assert (filled.folder / "out.parquet").read_bytes()[:4] == b"PAR1"


def test_profit_and_loss(filled: Shell) -> None:
    shown = filled("history", "pnl", "alice.db", "--price", "BTC_USD=110", "--method", "fifo")
    assert "profit and loss, fifo cost" in shown.out
    assert "3.996" in shown.out  # what is unrealised of 0.3996 at 10 more
    first, second = filled("history", "pnl", "alice.db", "--price", "BTC_USD=110", "--json").lines
    assert (first["trade_pair"], first["realised"], first["total"]) == ("BTC_USD", "-0.04", "3.956")
    assert (second["trade_pair"], second["unrealised"]) == ("ETH_USD", None)
    (row,) = csv.DictReader(io.StringIO(filled("history", "pnl", "alice.db", "--csv", "-", "--pair", "ETH_USD").out))
    assert (row["position"], row["total"]) == ("3", "")
    assert "1 rows written to" in filled("history", "pnl", "alice.db", "--pair", "ETH_USD", "--csv", "p.csv").err
    assert "there are no trades" in filled("history", "pnl", "alice.db", "--pair", "DOGE_USD").err


def test_a_position_is_worth_the_mid_of_the_book(filled: Shell, venue: Exchange) -> None:
    """There is a book of one of the two pairs."""
    for side, price in (("buy", "110"), ("sell", "112")):
        assert filled("order", side, "BTC_USD", "1", price).code == 0
    shown = filled("history", "pnl", "alice.db", "--book", "--json", "--timeout", "1")
    first, second = shown.lines
    assert (first["trade_pair"], first["price"], first["unrealised"]) == ("BTC_USD", "111.000000000", "4.3956")
    assert (second["trade_pair"], second["price"]) == ("ETH_USD", None)
    assert "the book of ETH_USD has no mid, so its position has no price" in shown.err
    first, second = filled(
        "history", "pnl", "alice.db", "--book", "--price", "BTC_USD=100", "--price", "ETH_USD=20", "--json"
    ).lines
    assert (first["price"], second["price"]) == ("100", "20")  # what is said counts more
    filled.environment["CRYPTOPROTO_MARKET_DATA_URL"] = None
    missing = filled("history", "pnl", "alice.db", "--book")
    assert missing.code == 2
    assert "set CRYPTOPROTO_MARKET_DATA_URL" in missing.err


def test_a_mean_price_is_shown_with_eight_decimals_and_written_with_all(shell: Shell) -> None:
    writer = Writer(shell.folder / "alice.db")
    writer.commit(trade(1, "2", "100"), trade(2, "1", "101"))
    writer.close()
    shown = shell("history", "pnl", "alice.db").out
    assert "100.33333333 " in shown
    assert "100.3333333333333333333333333333," in shell("history", "pnl", "alice.db", "--csv", "-").out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("trades",),
            "no store: name its file, set CRYPTOPROTO_STORE, or write store in a profile, and pass --profile",
        ),
        (("trades", "nothing.db"), "there is no file nothing.db"),
        (("trades", "old.db"), "old.db has no history; to keep one, pass store=SqliteStore(path, history=True), or"),
        (("trades", "alice.db", "--since", "yesterday"), "since='yesterday' is not a time"),
        (("trades", "alice.db", "--json", "--csv", "-"), "choose one of --csv, --parquet and --json"),
        (("pnl", "alice.db", "--json", "--csv", "-"), "choose one of --csv and --json"),
        (("trades", "alice.db", "--csv", "alice.db"), "alice.db is the store itself; choose another file"),
        (("pnl", "alice.db", "--price", "BTC_USD"), "--price BTC_USD: write it like BTC_USD=15000"),
        (("pnl", "alice.db", "--price", "BTC_USD=x"), "the price of BTC_USD='x' is not a decimal number"),
    ],
)
def test_mistakes(filled: Shell, arguments: Any, message: str) -> None:
    store = cp.SqliteStore(filled.folder / "old.db")
    store.open("alice", "aa")
    store.close()
    done = filled("history", *arguments)
    assert done.code == 2
    assert message in done.err


@pytest.mark.parametrize("command", ["trades", "orders", "balances", "pnl"])
def test_help_with_an_example(command: str) -> None:
    shown = run("history", command, "--help")
    assert f"Example: cryptoproto history {command}" in " ".join(shown.out.split())


def test_the_bot_may_be_running(shell: Shell) -> None:
    writer = Writer(Path(shell.folder / "alice.db"))
    writer.commit(trade(1, "1", "100"))
    assert len(shell("history", "trades", "alice.db", "--json").lines) == 1
    writer.commit(trade(2, "1", "100"))
    assert len(shell("history", "trades", "alice.db", "--json").lines) == 2
    writer.close()
