"""The market-data socket's frames: XDR without encryption (section "Market data")."""

from __future__ import annotations

from struct import Struct, error
from typing import Final

from ..exceptions import DecodeError, UnsupportedMessageType
from .codes import ServerFrameType
from .xdr import FILL, padded

__all__ = ["MARKET_DATA_VERSION", "market_frame", "market_hello", "read_market_frame", "read_market_hello"]

MARKET_DATA_VERSION: Final = 1
_UINT: Final = Struct(">I")
_HEAD: Final = Struct(">iI")


def market_hello(version: int = MARKET_DATA_VERSION) -> bytes:
    """The first frame of the feed."""
    return _UINT.pack(version)


def read_market_hello(frame: bytes) -> int:
    """The version in the first frame.

    Raises:
        DecodeError: the frame does not have four bytes.
    """
    if len(frame) != _UINT.size:
        raise DecodeError("malformed market-data hello")
    version: int = _UINT.unpack(frame)[0]
    return version


def market_frame(payload: bytes) -> bytes:
    """The frame that carries the JSON *payload*."""
    return _HEAD.pack(ServerFrameType.BROADCAST, len(payload)) + padded(payload)


def read_market_frame(frame: bytes) -> bytes:
    """The JSON payload of a frame after the first.

    Raises:
        DecodeError: it has a wrong length or fill.
        UnsupportedMessageType: its type is not 4.
    """
    try:
        kind, length = _HEAD.unpack_from(frame)
    except error:
        raise DecodeError("truncated market-data frame") from None
    if kind != ServerFrameType.BROADCAST:
        raise UnsupportedMessageType(f"unknown type {kind} of a market-data frame")
    end = _HEAD.size + length
    if end > len(frame) or frame[end:] != FILL[length & 3]:
        raise DecodeError("malformed market-data frame")
    return frame[_HEAD.size : end]
