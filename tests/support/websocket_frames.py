"""Which frame of a WebSocket each byte of a stream belongs to, for a proxy that looks at them in passing."""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["PONG", "FrameScanner", "Piece"]

PONG: Final = 0x0A
_HEAD_ENDS: Final = b"\r\n\r\n"
_LENGTHS: Final = {126: 2, 127: 8}  # bytes of a length that does not fit into seven bits


class Piece(NamedTuple):
    """Part of a stream, within one frame or within the HTTP head, whose opcode is -1.

    Attributes:
        opcode: of the frame.
        data: bytes of the frame, its header included.
        ends: whether the frame ends with it.
    """

    opcode: int
    data: bytes
    ends: bool


class FrameScanner:
    """Splits one direction of a connection, from its HTTP head on. No byte is held back."""

    def __init__(self) -> None:
        self._opcode = -1
        self._header = b""  # so far, while it is read; or the HTTP head
        self._left = 0  # bytes of the payload that are still to come

    def feed(self, data: bytes) -> list[Piece]:
        """The pieces of *data*, in order."""
        pieces: list[Piece] = []
        while data:
            if self._left:
                size = min(self._left, len(data))
                self._left -= size
                ends = not self._left
            elif self._opcode == -1 and (end := self._head_end(data)):
                size, ends = end
            else:
                size, ends = 1, self._header_byte(data[0])
            pieces.append(Piece(self._opcode, data[:size], ends))
            if ends:
                self._header = b""
                self._opcode = 0
            data = data[size:]
        return pieces

    def _head_end(self, data: bytes) -> tuple[int, bool]:
        before = len(self._header)
        self._header += data
        end = self._header.find(_HEAD_ENDS)
        return (len(data), False) if end < 0 else (end + len(_HEAD_ENDS) - before, True)

    def _header_byte(self, byte: int) -> bool:
        """Add one byte of a header; whether the frame ends with it."""
        self._header += bytes([byte])
        header = self._header
        self._opcode = header[0] & 0x0F
        if len(header) == 1:
            return False
        size = 2 + _LENGTHS.get(header[1] & 0x7F, 0)
        if len(header) < size + (4 if header[1] & 0x80 else 0):
            return False
        short = header[1] & 0x7F
        self._left = int.from_bytes(header[2:size], "big") if short in _LENGTHS else short
        return not self._left
