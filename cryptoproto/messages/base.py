"""What all messages have in common: the name on the wire and the form as a dict."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Final, TypeAlias

import msgspec

from .amounts import plain

__all__ = ["Message", "Time", "Unknown", "moment"]

Time: TypeAlias = tuple[
    Annotated[int, msgspec.Meta(ge=0, lt=10**11)],  # up to the year 5138: anything later is a damaged message
    Annotated[int, msgspec.Meta(ge=0, lt=1_000_000)],
]
"""``[unix seconds, fraction]``: microseconds in events, milliseconds in market data."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def moment(time: Time, *, fraction: int = 1_000_000) -> datetime:
    """The exact time as a datetime in UTC; *fraction* is how many units of the second part make a second."""
    return _EPOCH + timedelta(seconds=time[0], microseconds=time[1] * (1_000_000 // fraction))


# gc=False: messages hold only numbers, strings and containers of those, so they can never be part of a reference
# cycle, and the garbage collector need not visit the many that wait in queues.
class Message(msgspec.Struct, frozen=True, gc=False, tag_field="@type", tag=True):
    """The base of every typed message. Immutable; compares by value."""

    @property
    def payload(self) -> dict[str, Any]:
        """The message as a dict of JSON values, ``@type`` included, amounts as strings of plain digits."""
        builtins: dict[str, Any] = _in_plain_digits(msgspec.to_builtins(self, builtin_types=(Decimal,)))
        return builtins


def _in_plain_digits(value: Any) -> Any:
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, dict):
        return {_in_plain_digits(key): _in_plain_digits(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_in_plain_digits(item) for item in value]
    return value


class Unknown(msgspec.Struct, frozen=True, gc=False):
    """A message whose ``@type`` this version does not know. It is not an error: the whole payload is kept."""

    type: str
    payload: dict[str, Any]
