"""Candles and trades as frames."""

from __future__ import annotations

import sys
from decimal import Decimal
from typing import Any

import pandas as pd
import polars as pl
import pytest

import cryptoproto as cp
from cryptoproto.recording.frames import to_frame
from tests.support.scripted_feed import trade

TRADES = [trade(1, "100.10"), trade(2, "90")]
CANDLES = list(cp.candles(TRADES, "1m"))


def test_pandas() -> None:
    frame = to_frame(CANDLES)
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns) == list(cp.Candle.__struct_fields__)
    assert frame["high"][0] == Decimal("100.10")
    assert frame["start"][0] == CANDLES[0].start
    frame = to_frame(CANDLES, exact=False)
    assert frame["high"].dtype == "float64"
    assert list(frame["high"]) == [100.1]


def test_polars() -> None:
    frame = to_frame(CANDLES, "polars")
    assert isinstance(frame, pl.DataFrame)
    assert frame.schema["high"] == pl.Decimal(38, 18)
    assert frame["high"][0] == Decimal("100.10")
    assert frame["start"][0] == CANDLES[0].start
    assert to_frame(CANDLES, "polars", exact=False).schema["high"] == pl.Float64


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_trades(library: Any) -> None:
    frame = to_frame(TRADES, library)
    assert list(frame["price"]) == [Decimal("100.10"), Decimal(90)]
    assert frame["at"][0] == TRADES[0].at


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_no_rows(library: Any) -> None:
    assert list(to_frame([], library).columns) == list(cp.Candle.__struct_fields__)


def test_no_rows_have_the_same_types() -> None:
    assert to_frame([], "polars").schema == to_frame(CANDLES, "polars").schema


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_number_that_does_not_fit(library: Any) -> None:
    with pytest.raises(cp.ConfigurationError, match="does not fit"):
        to_frame([trade(1, "0." + 18 * "0" + "1")], library)


def test_another_library(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(cp.ConfigurationError, match='"pandas" or "polars"'):
        to_frame(CANDLES, "numpy")  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(cp.ConfigurationError, match=r"pip install 'cryptoproto\[frames\]'"):
        to_frame(CANDLES, "polars")
