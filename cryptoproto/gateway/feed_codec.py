"""Market data as NATS messages: who published it, a number that shows gaps, and the frame of the exchange's feed."""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

import msgspec

from ..exceptions import DecodeError
from ..messages import MALFORMED

__all__ = ["FeedBeat", "Numbered", "decode_beat", "decode_update", "encode_update"]

_HEAD: Final = struct.Struct(">QQ?B")


class Numbered(NamedTuple):
    """An update.

    Attributes:
        fence: of the gateway that published it; one with a lower fence is not the owner any more.
        number: counts the messages of a pair from 1.
        is_book: whether it is a whole book.
        pair: the trade pair; empty for what concerns no pair.
        frame: the frame of the exchange's feed; empty if there is none to a question.
    """

    fence: int
    number: int
    is_book: bool
    pair: str
    frame: bytes


class FeedBeat(msgspec.Struct, frozen=True):
    """What the publisher says every second, and answers to those who ask what there is.

    Attributes:
        fence: of the gateway.
        is_live: whether it receives market data.
        numbers: of the last message by pair; the empty name stands for what concerns no pair.
        books: the pairs with a book.
    """

    fence: int
    is_live: bool
    numbers: dict[str, int]
    books: list[str]


def encode_update(update: Numbered) -> bytes:
    """The message for an update."""
    pair = update.pair.encode()
    return _HEAD.pack(update.fence, update.number, update.is_book, len(pair)) + pair + update.frame


def decode_update(data: bytes) -> Numbered:
    """The update in a message.

    Raises:
        DecodeError: there is none.
    """
    if len(data) < _HEAD.size:
        raise DecodeError(f"a message of {len(data)} bytes is no market data of a gateway")
    fence, number, is_book, size = _HEAD.unpack_from(data)
    end = _HEAD.size + size
    try:
        pair = data[_HEAD.size : end].decode()
    except UnicodeDecodeError as error:
        raise DecodeError(f"a message with market data of a gateway names no pair: {error}") from error
    return Numbered(fence, number, is_book, pair, data[end:])


def decode_beat(data: bytes) -> FeedBeat:
    """The beat in a message.

    Raises:
        DecodeError: there is none.
    """
    try:
        return msgspec.json.decode(data, type=FeedBeat)
    except MALFORMED as error:
        raise DecodeError(f"not the beat of a gateway's market data: {error}") from error
