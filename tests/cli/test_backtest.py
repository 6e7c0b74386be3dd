"""``backtest``: a bot on a recording, from the command line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support.command_line import Shell
from tests.support.recordings import CONNECTED, Market, write_recording

BOT = """
import cryptoproto as cp
from helper import PAIR


async def main(client: cp.Client, feed: cp.Feed) -> None:
    async for update in feed:
        book = feed.book(PAIR)
        if isinstance(update, cp.OrderBookAgg) and book.best_ask is not None:
            await client.place(PAIR, "buy", amount="0.01", price=book.best_ask[0], time_in_force="ioc")


def plain(client, feed):
    pass
"""


@pytest.fixture
def desk(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A shell in a folder with a recording and a bot."""
    monkeypatch.setattr(sys, "path", sys.path.copy())
    for name in ("bot", "helper"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    updates = [(20 * number, update) for number, update in enumerate(Market(5).take(100))]
    write_recording(shell.folder / "a.rec", [(0, CONNECTED), *updates])
    (shell.folder / "bot.py").write_text(BOT)
    (shell.folder / "helper.py").write_text('PAIR = "BTC_USD"\n')
    return shell


def test_a_backtest(desk: Shell) -> None:
    done = desk("backtest", "a.rec", "bot.py:main", "--balance", "USD=1000", "--balance", "XYZ=1", "--html", "r.html")
    assert done.code == 0, done.err
    assert "fills" in done.out
    assert "The report is in r.html." in done.err
    assert "no pair has a price for it: XYZ" in done.err
    assert (desk.folder / "r.html").read_text().startswith("<!doctype html>")
    (values,) = desk(
        "backtest", "a.rec", "bot.py:main", "--balance", "USD=1000", "--taker-fee", "0.001", "--json"
    ).lines
    assert values["fills"] > 10
    assert values["updates"] == 100
    assert float(values["fees"]["BTC"]) > 0


@pytest.mark.parametrize(
    ("bot", "words"),
    [
        ("bot.py", "write the bot like bot.py:main"),
        ("none.py:main", "none.py: there is no such Python file"),
        ("bot.py:plain", "there is no `async def plain(client, feed)`"),
        ("bot.py:other", "there is no `async def other(client, feed)`"),
        ("a.rec:main", "a.rec: there is no such Python file"),
    ],
)
def test_what_is_no_bot(desk: Shell, bot: str, words: str) -> None:
    done = desk("backtest", "a.rec", bot, "--balance", "USD=1000")
    assert done.code == 2
    assert words in " ".join(done.err.split())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--balance", "USD"], "write it like --balance USD=100000"),
        (["--balance", "USD=much"], "'much' is not a decimal number"),
        (["--balance", "USD=1", "--html", "no/such/r.html"], "there is no folder no/such"),
        (["--balance", "USD=1", "--html", "."], "--html .: this is a folder"),
        (["--balance", "USD=1", "--maker-fee", "2"], "maker_fee"),
    ],
)
def test_wrong_options(desk: Shell, arguments: list[str], words: str) -> None:
    done = desk("backtest", "a.rec", "bot.py:main", *arguments)
    assert done.code == 2
    assert words in " ".join(done.err.split())
    assert desk("backtest", "a.rec", "bot.py:main").code == 2


def test_a_report_that_cannot_be_written_does_not_lose_the_result(desk: Shell) -> None:
    (desk.folder / "bot.py").write_text(
        "from pathlib import Path\n\nasync def main(client, feed):\n    Path('r.html').mkdir()\n"
    )
    done = desk("backtest", "a.rec", "bot.py:main", "--balance", "USD=1000", "--html", "r.html", "--json")
    assert done.code == 2
    assert done.lines[0]["fills"] == 0
    assert "--html r.html: the report cannot be written: Is a directory" in done.err


def test_another_file(desk: Shell, tmp_path: Path) -> None:
    done = desk("backtest", "bot.py", "bot.py:main", "--balance", "USD=1")
    assert done.code == 2
    assert "bot.py: not a recording" in done.err
