"""Events as messages of the event stream: all that are published together are one message.

It begins with the transaction id of its last event and that of the event before its first one. Transaction ids have
gaps, so only the second one shows whether an event is missing in between. For each event follow its transaction id, the
time at the exchange, and the JSON unchanged.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

from ..connection import Event
from ..exceptions import DecodeError
from ..messages import decode

__all__ = ["decode_events", "encode_events", "first_of", "last_of", "previous_of"]

_HEAD: Final = struct.Struct(">qq")
_EVENT: Final = struct.Struct(">qdI")


def encode_events(events: Sequence[Event], previous: int) -> bytes:
    """The message for *events*, which have transaction ids, and follow transaction *previous* (-1 = none)."""
    parts = [_HEAD.pack(events[-1].transaction_id or 0, previous)]
    for event in events:
        parts += (_EVENT.pack(event.transaction_id or 0, event.timestamp or 0.0, len(event.raw)), event.raw)
    return b"".join(parts)


def decode_events(data: bytes, received_ns: int, after: int = -1) -> list[Event]:
    """The events of a message that have a higher transaction id than *after*.

    Raises:
        DecodeError: it has none.
    """
    _check(data)
    events = []
    start = _HEAD.size
    while start < len(data):
        try:
            transaction_id, timestamp, size = _EVENT.unpack_from(data, start)
        except struct.error:
            raise _foreign(data) from None
        start += _EVENT.size
        raw = data[start : start + size]
        if len(raw) < size:
            raise _foreign(data)
        start += size
        if transaction_id > after:
            events.append(Event(transaction_id, timestamp, decode(raw), received_ns, raw))
    return events


def last_of(data: bytes) -> int:
    """The transaction id of the last event of a message; raises as :func:`decode_events`."""
    _check(data)
    return int(_HEAD.unpack_from(data)[0])


def previous_of(data: bytes) -> int:
    """The transaction id of the event before those of a message; raises as :func:`decode_events`."""
    _check(data)
    return int(_HEAD.unpack_from(data)[1])


def first_of(data: bytes) -> int:
    """The transaction id of the first event of a message; raises as :func:`decode_events`."""
    _check(data)
    return int(_EVENT.unpack_from(data, _HEAD.size)[0])


def _check(data: bytes) -> None:
    if len(data) <= _HEAD.size + _EVENT.size:
        raise _foreign(data)


def _foreign(data: bytes) -> DecodeError:
    return DecodeError(f"the event stream has a message of {len(data)} bytes, which no gateway has written")
