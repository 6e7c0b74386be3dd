"""Frames of pandas and polars, of any records."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

import pytest

import cryptoproto as cp
from cryptoproto.frames import to_frame

pandas: Any = pytest.importorskip("pandas")
polars: Any = pytest.importorskip("polars")

COLUMNS = {"at": datetime, "price": Decimal, "number": int, "is_open": bool, "name": str}


class Record(NamedTuple):
    at: datetime | None
    price: Decimal | None
    number: int | None
    is_open: bool | None
    name: str | None


NOTHING = Record(None, None, None, None, None)
ONE = Record(datetime(2026, 5, 1, 12, tzinfo=UTC), Decimal("0.10"), 2**60 + 1, True, "one")


@pytest.mark.parametrize("records", [[], [ONE, NOTHING]])
def test_columns_have_their_types_whatever_is_in_them(records: list[Record]) -> None:
    assert to_frame(COLUMNS, records, "polars", exact=True).schema == {
        "at": polars.Datetime("us", "UTC"),
        "price": polars.Decimal(38, 18),
        "number": polars.Int64,
        "is_open": polars.Boolean,
        "name": polars.String,
    }
    frame = to_frame(COLUMNS, records, "pandas", exact=False)
    assert [str(frame[name].dtype) for name in ("at", "price", "number")] == ["datetime64[us, UTC]", "float64", "Int64"]


def test_values() -> None:
    assert to_frame(COLUMNS, [ONE, NOTHING], "polars", exact=True).rows() == [ONE, NOTHING]


def test_more_records_than_become_a_table_at_once() -> None:
    def records() -> Iterator[Record]:
        for number in range(25_000):
            yield ONE._replace(number=number)

    assert to_frame(COLUMNS, records(), "polars", exact=True)["number"].to_list() == list(range(25_000))


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("price", ["1E-19", "1E+20", "NaN"])
def test_a_number_that_does_not_fit(library: str, price: str) -> None:
    with pytest.raises(cp.ConfigurationError, match=r"does not fit into a decimal with 20 digits.*use exact=False"):
        to_frame(COLUMNS, [ONE._replace(price=Decimal(price))], library, exact=True)


@pytest.mark.parametrize("missing", ["pyarrow", "pandas", "polars"])
def test_a_library_that_is_not_installed(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    library = "polars" if missing == "polars" else "pandas"
    with pytest.raises(cp.ConfigurationError, match=rf"needs {missing}: pip install .*frames"):
        to_frame(COLUMNS, [], library, exact=True)
