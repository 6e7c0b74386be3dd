"""The times that a caller gives as the limits of a range."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final, TypeAlias

from ..exceptions import ConfigurationError

__all__ = ["FOREVER", "When", "from_microseconds", "microseconds", "time_range"]

When: TypeAlias = datetime | date | str | int | float
"""A time: a datetime with a time zone, a date (its midnight in UTC), either of them as an ISO 8601 string (UTC unless
it names a time zone), or unix seconds."""

FOREVER: Final = 2**62
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_LATEST_S: Final = 10**11


def from_microseconds(value: int) -> datetime:
    """The time as a datetime in UTC."""
    return _EPOCH + timedelta(microseconds=value)


def time_range(since: When | None, until: When | None) -> tuple[int, int]:
    """The limits in unix microseconds, the first included and the second excluded.

    Raises:
        ConfigurationError: one of them is not a time, or the range ends before it begins.
    """
    begin = -FOREVER if since is None else microseconds("since", since)
    end = FOREVER if until is None else microseconds("until", until)
    if end < begin:
        raise ConfigurationError(f"until={until} is before since={since}")
    return begin, end


def microseconds(name: str, when: When) -> int:
    """*when* in unix microseconds; *name* is what to call it in an error.

    Raises:
        ConfigurationError: it is not a time, or a datetime without a time zone.
    """
    if isinstance(when, str):
        moment = _parsed(name, when)
    elif isinstance(when, datetime):
        if when.tzinfo is None:
            raise ConfigurationError(
                f"{name}={when.isoformat()} has no time zone; pass datetime(..., tzinfo=UTC), or .astimezone() for "
                f"the local time"
            )
        moment = when
    elif isinstance(when, date):
        moment = datetime(when.year, when.month, when.day, tzinfo=UTC)
    elif isinstance(when, int | float) and not isinstance(when, bool) and abs(when) < _LATEST_S:  # false for NaN
        return round(when * 1_000_000)
    else:
        raise ConfigurationError(
            f'{name}={when!r:.60} must be a datetime with a time zone, a date, a string like "2026-05-01" or '
            f'"2026-05-01T12:30:00+02:00", or unix seconds'
        )
    return (moment - _EPOCH) // _MICROSECOND


def _parsed(name: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(
            f'{name}={text!r:.60} is not a time; write it like "2026-05-01" or "2026-05-01T12:30:00+02:00"'
        ) from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
