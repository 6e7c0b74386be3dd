"""What all messages have in common: the name on the wire and the form as a dict."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Final, TypeAlias

import msgspec

from .plain_values import AsDict, plain_values

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
class Message(AsDict, msgspec.Struct, frozen=True, gc=False, tag_field="@type", tag=True):
    """The base of every typed message. Immutable; compares by value."""

    @property
    def payload(self) -> dict[str, Any]:
        """The message as it is sent: as :meth:`as_dict`, but without optional fields that are not set."""
        builtins: dict[str, Any] = plain_values(msgspec.to_builtins(self, builtin_types=(Decimal,)))
        return builtins


class Unknown(msgspec.Struct, frozen=True, gc=False):
    """A message whose ``@type`` this version does not know. It is not an error: the whole payload is kept."""

    type: str
    payload: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """The payload, as plain values for JSON and data frames."""
        fields: dict[str, Any] = plain_values(self.payload)
        return fields
