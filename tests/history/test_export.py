"""CSV, and files that appear when they are complete."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.history.columns import COLUMNS
from cryptoproto.history.export import new_file, write_csv
from tests.support.histories import Writer, placed, trade
from tests.support.naive_ledger import trade_of


def test_csv_is_exact() -> None:
    file = io.StringIO()
    records = [
        trade_of(1, "buy", Decimal("1E-8"), Decimal("123456789.12345678")),
        trade_of(2, "sell", Decimal(1), Decimal(2)),
    ]
    assert write_csv(file, COLUMNS["trades"], records) == 2
    first, second = csv.DictReader(io.StringIO(file.getvalue()))
    assert (first["amount"], first["price"], first["fee"]) == ("0.00000001", "123456789.12345678", "")
    assert (first["time"], second["side"]) == ("1970-01-01T00:00:01.000000+00:00", "sell")
    assert "\r" not in file.getvalue()


def test_a_table_into_a_file(writer: Writer, tmp_path: Path) -> None:
    writer.commit(placed(1, "1", "100"), trade(1, "1", "100"))
    history = cp.History.open(writer.store.path)
    assert history.to_csv("order_changes", tmp_path / "out.csv") == 2
    with (tmp_path / "out.csv").open() as file:
        assert [row["what"] for row in csv.DictReader(file)] == ["placed", "filled"]
    assert history.to_csv("trades", tmp_path / "out.csv", trade_pair="ETH_USD") == 0
    assert (tmp_path / "out.csv").read_text() == ",".join(COLUMNS["trades"]) + "\n"
    assert not list(tmp_path.glob(".*"))


def test_a_table_that_does_not_exist(writer: Writer, tmp_path: Path) -> None:
    unknown: Any = "fills"
    with pytest.raises(cp.ConfigurationError, match="there is no table 'fills'; choose one of trades, orders"):
        cp.History(writer.store.path).to_csv(unknown, tmp_path / "out.csv")


def test_the_store_is_never_overwritten(writer: Writer, tmp_path: Path) -> None:
    writer.commit(trade(1, "1", "100"))
    (tmp_path / "link.csv").symlink_to(writer.store.path)
    history = cp.History.open(writer.store.path)
    for path in (writer.store.path, tmp_path / "link.csv"):
        with pytest.raises(cp.ConfigurationError, match="is the store itself; choose another file"):
            history.to_csv("trades", path)
    assert len(list(history.trades())) == 1


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with (
        pytest.raises(cp.ConfigurationError, match=r"missing/out\.csv cannot be written: No such file or directory"),
        new_file(tmp_path / "missing" / "out.csv", tmp_path / "alice.db") as part,
    ):
        part.write_text("x")


def test_what_fails_in_between_leaves_the_old_file(writer: Writer, tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    target.write_text("old")
    writer.commit(trade(1, "1", "100"))
    with writer.store.transaction() as db:
        db.execute("UPDATE cryptoproto_history_group SET events = 'damaged'")
    with pytest.raises(cp.StoreError, match="is damaged"):
        cp.History.open(writer.store.path).to_csv("trades", target)
    assert target.read_text() == "old"
    assert not list(tmp_path.glob(".*"))
