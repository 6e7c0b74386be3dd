"""The parts of XDR (RFC 4506) that frames use: big-endian numbers, and opaque data padded to four bytes.

The hot path uses precompiled :mod:`struct` formats, which are about twenty times as fast as ``xdrlib3``. That library
reads and writes the handshake, and the tests use it as an independent oracle.
"""

from __future__ import annotations

from typing import Final

__all__ = ["FILL", "padded"]

FILL: Final = (b"", b"\0\0\0", b"\0\0", b"\0")
"""The zeroes after opaque data, by its length modulo four."""


def padded(data: bytes) -> bytes:
    """*data*, padded with zeroes to a multiple of four bytes."""
    return data + FILL[len(data) & 3]
