"""Times that a caller gives."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.history.time_range import FOREVER, from_microseconds, microseconds, time_range

MAY = datetime(2026, 5, 1, tzinfo=UTC)
MAY_US = int(MAY.timestamp()) * 1_000_000


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        (MAY, MAY_US),
        (datetime(2026, 5, 1, 2, tzinfo=timezone(timedelta(hours=2))), MAY_US),
        (MAY.replace(microsecond=1), MAY_US + 1),
        (date(2026, 5, 1), MAY_US),
        ("2026-05-01", MAY_US),
        ("2026-05-01T00:00:01", MAY_US + 1_000_000),
        ("2026-05-01 02:00+02:00", MAY_US),
        ("2026-05-01T00:00:00Z", MAY_US),
        (MAY_US // 1_000_000, MAY_US),
        (1.5, 1_500_000),
        (-1, -1_000_000),
    ],
)
def test_times(when: Any, expected: int) -> None:
    assert microseconds("since", when) == expected


@pytest.mark.parametrize(
    ("when", "message"),
    [
        (datetime(2026, 5, 1), r"since=2026-05-01T00:00:00 has no time zone; pass .*tzinfo=UTC.*astimezone"),
        ("yesterday", "since='yesterday' is not a time; write it like"),
        (True, "since=True must be a datetime with a time zone"),
        (math.nan, "since=nan must be"),
        (10.0**18, "since=1e\\+18 must be"),
        (b"2026", "must be a datetime"),
    ],
)
def test_what_is_not_a_time(when: Any, message: str) -> None:
    with pytest.raises(cp.ConfigurationError, match=message):
        microseconds("since", when)


def test_a_range() -> None:
    assert time_range(None, None) == (-FOREVER, FOREVER)
    assert time_range(1, 1) == (1_000_000, 1_000_000)
    with pytest.raises(cp.ConfigurationError, match="until=1 is before since=2"):
        time_range(2, 1)


def test_back() -> None:
    assert from_microseconds(MAY_US + 5) == MAY + timedelta(microseconds=5)
