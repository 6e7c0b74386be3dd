"""Events as messages of the event stream: two transaction ids, the time at the exchange, and the JSON unchanged.

The ids are that of the event and that of the one before it. Transaction ids have gaps, so only the second one shows
whether an event is missing in between.
"""

from __future__ import annotations

import struct
from typing import Final

from ..connection import Event
from ..exceptions import DecodeError
from ..messages import decode

__all__ = ["decode_event", "encode_event", "previous_of", "transaction_of"]

_HEAD: Final = struct.Struct(">qqd")


def encode_event(event: Event, previous: int) -> bytes:
    """The message for *event*, which has a transaction id, and follows transaction *previous* (-1 = none)."""
    return _HEAD.pack(event.transaction_id or 0, previous, event.timestamp or 0.0) + event.raw


def decode_event(data: bytes, received_ns: int) -> Event:
    """The event of a message.

    Raises:
        DecodeError: it is none.
    """
    transaction_id, _, timestamp = _head(data)
    raw = data[_HEAD.size :]
    return Event(transaction_id, timestamp, decode(raw), received_ns, raw)


def transaction_of(data: bytes) -> int:
    """The transaction id of a message; raises as :func:`decode_event`."""
    return _head(data)[0]


def previous_of(data: bytes) -> int:
    """The transaction id of the event before that of a message; raises as :func:`decode_event`."""
    return _head(data)[1]


def _head(data: bytes) -> tuple[int, int, float]:
    if len(data) <= _HEAD.size:
        raise DecodeError(f"the event stream has a message of {len(data)} bytes, which no gateway has written")
    transaction_id, previous, timestamp = _HEAD.unpack_from(data)
    return transaction_id, previous, timestamp
