"""The columns of the tables of a history."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest

from cryptoproto.history.columns import COLUMNS, typed_columns


@pytest.mark.parametrize("table", COLUMNS)
def test_every_column_has_a_type(table: str) -> None:
    assert tuple(typed_columns(table)) == COLUMNS[table]


def test_types() -> None:
    types = typed_columns("trades")
    assert (types["time"], types["amount"], types["order_id"], types["side"], types["maker"]) == (
        datetime, Decimal, int, str, bool,
    )  # fmt: skip
