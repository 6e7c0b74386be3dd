"""Frames of pandas and polars, and Parquet files."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.history import History
from cryptoproto.history.columns import COLUMNS
from tests.support.histories import Writer, balance, changed, placed, trade

pandas: Any = pytest.importorskip("pandas")
polars: Any = pytest.importorskip("polars")
parquet: Any = pytest.importorskip("pyarrow.parquet")

BIG = 914321340133323265
"""A client order id that a float cannot hold."""


@pytest.fixture
def filled(writer: Writer, history: History) -> History:
    writer.commit(
        placed(1, "1", "100", client_order_id=BIG, at=1),
        trade(1, "0.00000001", "100", client_order_id=BIG, at=2),
        changed(1, "0.99999999", "0.1", client_order_id=BIG, at=2),
        balance("BTC", "1", "0.00000001", at=2),
        trade(2, "1", "100", at=3),
    )
    return history


def test_pandas(filled: History) -> None:
    frame = filled.to_frame("trades")
    assert isinstance(frame, pandas.DataFrame)
    assert tuple(frame.columns) == COLUMNS["trades"]
    assert frame["amount"].tolist() == [Decimal("1E-8"), Decimal(1)]
    assert frame["client_order_id"].iloc[0] == BIG
    assert frame["client_order_id"].isna().tolist() == [False, True]
    assert frame["fee"].isna().tolist() == [False, True]
    assert str(frame["time"].dtype) == "datetime64[us, UTC]"
    assert filled.to_frame("trades", exact=False)["amount"].sum() == pytest.approx(1.00000001)
    assert len(filled.to_frame("trades", since=3)) == 1


def test_polars(filled: History) -> None:
    frame = filled.to_frame("trades", "polars")
    assert frame.schema["amount"] == polars.Decimal(38, 18)
    assert frame["amount"].sum() == Decimal("1.00000001")
    assert frame["client_order_id"].to_list() == [BIG, None]
    assert filled.to_frame("trades", "polars", exact=False).schema["price"] == polars.Float64


@pytest.mark.parametrize("table", ["trades", "orders", "order_changes", "balances"])
@pytest.mark.parametrize("is_filled", [True, False])
def test_all_tables_in_all_forms(history: History, writer: Writer, tmp_path: Path, table: Any, is_filled: bool) -> None:
    if is_filled:
        writer.commit(placed(1, "1", "100"), trade(1, "1", "100"), balance("BTC", "1", "1"))
    rows = len(history.to_frame(table))
    assert (rows > 0) is is_filled
    assert tuple(history.to_frame(table, "polars").columns) == COLUMNS[table]
    assert history.to_parquet(table, tmp_path / "out.parquet") == rows
    read = parquet.read_table(tmp_path / "out.parquet")
    assert tuple(read.column_names) == COLUMNS[table]
    assert read.num_rows == rows


def test_what_cannot_be(filled: History, writer: Writer, tmp_path: Path) -> None:
    unknown: Any = "fills"
    with pytest.raises(cp.ConfigurationError, match="there is no table 'fills'; choose one of trades, orders"):
        filled.to_frame(unknown)
    with pytest.raises(cp.ConfigurationError, match='library=\'fills\' must be "pandas" or "polars"'):
        filled.to_frame("trades", unknown)
    with pytest.raises(cp.ConfigurationError, match=r"missing/out\.parquet cannot be written"):
        filled.to_parquet("trades", tmp_path / "missing" / "out.parquet")
    writer.commit(trade(3, "0." + 18 * "0" + "1", "1"))
    with pytest.raises(cp.ConfigurationError, match=r"does not fit into a decimal with 20 digits.*use exact=False"):
        filled.to_frame("trades")
    assert len(filled.to_frame("trades", exact=False)) == 3
