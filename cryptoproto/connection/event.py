"""One event, as the user receives it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from ..messages import AsDict, Message, Unknown, loads, plain_values

__all__ = ["Event", "last_transaction_id"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


# gc=False: an event holds a message, numbers and bytes, so it cannot be part of a reference cycle. A queue of a hundred
# thousand events is then free for the garbage collector.
class Event(AsDict, msgspec.Struct, frozen=True, gc=False):
    """One event of the client's history, or a broadcast (protocol, "Frames after the handshake").

    Attributes:
        transaction_id: grows from event to event, with gaps; the position to resume from. ``None`` for a broadcast.
        timestamp: when it happened at the exchange, in unix seconds. ``None`` for a broadcast.
        message: the typed message, or :class:`~cryptoproto.Unknown` for a type that this version does not know.
        received_ns: when the frame was read here, in unix nanoseconds.
        raw: the JSON as it was received.
    """

    transaction_id: int | None
    timestamp: float | None
    message: Message | Unknown
    received_ns: int
    raw: bytes

    @property
    def payload(self) -> dict[str, Any]:
        """The JSON as a dict, including fields that the typed message does not have."""
        return loads(self.raw)

    def as_dict(self) -> dict[str, Any]:
        """The event with its message as plain values; see :meth:`Message.as_dict`. The JSON as received is left out."""
        return {
            "transaction_id": self.transaction_id,
            "timestamp": plain_values(self.timestamp),
            "received_ns": self.received_ns,
            "message": self.message.as_dict(),
        }

    @property
    def at(self) -> datetime | None:
        """The timestamp as a datetime in UTC."""
        return None if self.timestamp is None else _EPOCH + timedelta(seconds=self.timestamp)


def last_transaction_id(events: list[Event], default: int | None) -> int | None:
    """The transaction id of the last of *events*, or *default* if they are all broadcasts."""
    for event in reversed(events):
        if event.transaction_id is not None:
            return event.transaction_id
    return default
