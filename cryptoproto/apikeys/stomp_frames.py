"""STOMP 1.1 and 1.2 frames to bytes and back, without any I/O.

No published codec fits: stomp.py has no separate one and accepts undefined escapes; stomper ends at STOMP 1.1; stompman
loses carriage returns, ignores malformed headers, unescapes CONNECTED, and drops values with a colon, which CONNECTED
carries unescaped. None of them limits what it reads.

STOMP 1.2 specification: https://stomp.github.io/stomp-specification-1.2.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ..exceptions import ConfigurationError, DecodeError

__all__ = [
    "HEARTBEAT",
    "VERSIONS",
    "Frame",
    "FrameParser",
    "encode_frame",
    "encode_head",
    "heart_beats",
    "parse_heart_beat",
]

HEARTBEAT: Final = b"\n"
VERSIONS: Final = ("1.2", "1.1")
"""The versions that are supported, the preferred one first."""

_COMMANDS: Final = frozenset(
    {
        *("CONNECT", "STOMP", "SEND", "SUBSCRIBE", "UNSUBSCRIBE", "ACK", "NACK"),
        *("BEGIN", "COMMIT", "ABORT", "DISCONNECT"),
        *("CONNECTED", "MESSAGE", "RECEIPT", "ERROR"),
    }
)
_LONGEST_COMMAND: Final = max(map(len, _COMMANDS))
_WITH_BODY: Final = frozenset({"SEND", "MESSAGE", "ERROR"})
_UNESCAPED: Final = frozenset({"CONNECT", "CONNECTED"})  # STOMP 1.0 had no escapes

_ESCAPES: Final = {
    "1.1": str.maketrans({"\\": "\\\\", "\n": "\\n", ":": "\\c"}),
    "1.2": str.maketrans({"\\": "\\\\", "\n": "\\n", ":": "\\c", "\r": "\\r"}),
}
_UNESCAPES: Final = {
    "1.1": {"\\\\": "\\", "\\n": "\n", "\\c": ":"},
    "1.2": {"\\\\": "\\", "\\n": "\n", "\\c": ":", "\\r": "\r"},
}
_ESCAPE: Final = re.compile(r"\\.?", re.DOTALL)

_MAXIMUM_HEADERS: Final = 128
_MAXIMUM_HEAD: Final = 65_536  # bytes from the command to the blank line, as HTTP servers customarily allow
DEFAULT_MAXIMUM_BODY: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Frame:
    """One STOMP frame.

    Attributes:
        command: such as ``MESSAGE``.
        headers: by name, unescaped. If a header came twice, the first value, as the specification says.
        body: the bytes, whatever ``content-type`` says.
    """

    command: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def __repr__(self) -> str:
        # Headers may be credentials.
        return f"<Frame {self.command} headers={sorted(self.headers)} body={len(self.body)} bytes>"


def encode_frame(frame: Frame, version: str = "1.2") -> bytes:
    """The bytes of *frame*. ``content-length`` is added if there is a body.

    Raises:
        ConfigurationError: the frame cannot be written: the command is unknown or has no body, or a header has
            characters without an escape.
    """
    return b"%b%b\0" % (encode_head(frame, version), frame.body)


def encode_head(frame: Frame, version: str = "1.2") -> bytes:
    """The bytes of *frame* up to its body, which a NUL byte follows.

    Raises:
        ConfigurationError: as for :func:`encode_frame`.
    """
    if frame.command not in _COMMANDS:
        raise ConfigurationError(f"{frame.command!r} is not a STOMP command")
    if frame.body and frame.command not in _WITH_BODY:
        raise ConfigurationError(f"a {frame.command} frame has no body")
    lines = [frame.command]
    escapes = _ESCAPES[version]
    for name, value in frame.headers.items():
        if not name:
            raise ConfigurationError("a STOMP header must have a name")
        if frame.command in _UNESCAPED:
            if any(character in name + value for character in "\r\n\0") or ":" in name:
                raise ConfigurationError(
                    f"the header {name!r} has a character that a {frame.command} frame cannot carry"
                )
            lines.append(f"{name}:{value}")
        else:
            if "\0" in name or "\0" in value:
                raise ConfigurationError(f"the header {name!r} contains a NUL, which STOMP cannot carry")
            lines.append(f"{name.translate(escapes)}:{value.translate(escapes)}")
    if frame.body and "content-length" not in frame.headers:
        lines.append(f"content-length:{len(frame.body)}")
    try:
        head = "\n".join(lines).encode()
    except UnicodeEncodeError:
        raise ConfigurationError("a STOMP header contains text that UTF-8 cannot encode") from None
    return head + b"\n\n"


class FrameParser:
    """Reads bytes in pieces of any size into frames and heart-beats.

    Args:
        maximum_body: the longest body accepted, in bytes.

    Attributes:
        maximum_body: the longest body accepted, in bytes. It may change between frames.
        version: whose escapes are read. Set it when CONNECTED was sent or received.
    """

    __slots__ = ("_buffer", "_head", "_scanned", "maximum_body", "version")

    def __init__(self, *, maximum_body: int = DEFAULT_MAXIMUM_BODY) -> None:
        self.version: str = "1.2"
        self._buffer = bytearray()
        self._head: tuple[str, dict[str, str], int | None] | None = None
        self._scanned = 0  # how far the buffer has been searched, so that each byte is searched once
        self.maximum_body: int = maximum_body

    def feed(self, data: bytes | str) -> list[Frame | None]:
        """Take the next piece.

        Returns:
            The frames that are complete now, and ``None`` for each heart-beat between them.

        Raises:
            DecodeError: the bytes are not STOMP, or too many. The connection cannot be used any more.
        """
        self._buffer += data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
        found: list[Frame | None] = []
        while self._buffer:
            if self._head is None:
                if self._skip_heart_beat():
                    found.append(None)
                    continue
                if not self._read_head():
                    break
            frame = self._read_body()
            if frame is None:
                break
            found.append(frame)
        return found

    def _skip_heart_beat(self) -> bool:
        if self._buffer[:1] == b"\n":
            del self._buffer[:1]
            return True
        if self._buffer[:2] == b"\r\n":
            del self._buffer[:2]
            return True
        return False

    def _read_head(self) -> bool:
        """Whether a head is complete now. It is kept in ``_head``."""
        match = _BLANK_LINE.search(self._buffer, max(0, self._scanned - 3), _MAXIMUM_HEAD)
        if match is None:
            line = self._buffer.find(b"\n", 0, _LONGEST_COMMAND + 2)
            if line < 0 and len(self._buffer) > _LONGEST_COMMAND + 1:
                raise DecodeError("not a STOMP frame: it does not begin with a command")
            if len(self._buffer) >= _MAXIMUM_HEAD:
                raise DecodeError(f"the headers of a STOMP frame are longer than {_MAXIMUM_HEAD} bytes")
            self._scanned = len(self._buffer)
            return False
        head = bytes(self._buffer[: match.start()])
        del self._buffer[: match.end()]
        self._scanned = 0
        self._head = self._parse_head(head)
        return True

    def _parse_head(self, head: bytes) -> tuple[str, dict[str, str], int | None]:
        try:
            command, *lines = head.decode().split("\n")
        except UnicodeDecodeError:
            raise DecodeError("the headers of a STOMP frame are not UTF-8") from None
        command = command.removesuffix("\r")
        if command not in _COMMANDS:
            raise DecodeError("not a STOMP frame: it does not begin with a command")
        if len(lines) > _MAXIMUM_HEADERS:
            raise DecodeError(f"a STOMP frame has more than {_MAXIMUM_HEADERS} headers")
        headers: dict[str, str] = {}
        for line in lines:
            name, colon, value = line.removesuffix("\r").partition(":")
            if not colon or not name:
                raise DecodeError("a header of a STOMP frame has no name or no colon")
            if command not in _UNESCAPED:
                name, value = self._unescape(name), self._unescape(value)
            headers.setdefault(name, value)
        return command, headers, self._content_length(command, headers)

    def _content_length(self, command: str, headers: dict[str, str]) -> int | None:
        text = headers.get("content-length")
        if text is None:
            return None
        if not (text.isascii() and text.isdigit() and len(text) < 16):
            raise DecodeError("the content-length of a STOMP frame is not a number")
        length = int(text)
        if length > self.maximum_body:
            raise DecodeError(f"a STOMP frame announces {length} bytes; the maximum is {self.maximum_body}")
        if length and command not in _WITH_BODY:
            raise DecodeError(f"a {command} frame has no body")
        return length

    def _unescape(self, text: str) -> str:
        if "\\" not in text:
            return text  # a colon should be escaped, but older brokers do not
        table = _UNESCAPES[self.version]

        def replace(match: re.Match[str]) -> str:
            try:
                return table[match[0]]
            except KeyError:
                raise DecodeError("a header of a STOMP frame has an escape that is not defined") from None

        return _ESCAPE.sub(replace, text)

    def _read_body(self) -> Frame | None:
        if self._head is None:
            return None
        command, headers, length = self._head
        if length is None:
            end = self._buffer.find(b"\0", self._scanned)
            if end < 0:
                if len(self._buffer) > self.maximum_body:
                    raise DecodeError(f"the body of a STOMP frame is longer than {self.maximum_body} bytes")
                self._scanned = len(self._buffer)
                return None
        else:
            end = length
            if len(self._buffer) <= end:
                return None
            if self._buffer[end] != 0:
                raise DecodeError("the body of a STOMP frame is longer than its content-length")
        body = bytes(self._buffer[:end])
        if body and command not in _WITH_BODY:
            raise DecodeError(f"a {command} frame has no body")
        if len(body) > self.maximum_body:
            raise DecodeError(f"the body of a STOMP frame is longer than {self.maximum_body} bytes")
        del self._buffer[: end + 1]
        self._head = None
        self._scanned = 0
        return Frame(command, headers, body)


_BLANK_LINE: Final = re.compile(rb"\r?\n\r?\n")


def parse_heart_beat(text: str | None) -> tuple[int, int]:
    """Read the ``heart-beat`` header: what its sender can do, and what it wants, in milliseconds.

    Raises:
        DecodeError: it is not two numbers.
    """
    if text is None:
        return 0, 0
    can, comma, wants = text.partition(",")
    numbers = can.strip(), wants.strip()
    if not comma or not all(number.isascii() and number.isdigit() and len(number) < 10 for number in numbers):
        raise DecodeError("the heart-beat header is not two numbers of milliseconds")
    return int(numbers[0]), int(numbers[1])


def heart_beats(ours: tuple[int, int], theirs: tuple[int, int]) -> tuple[float, float]:
    """The seconds between beats that we send, and between beats that we expect; 0 for none.

    Each direction runs at the slower of what one side can do and what the other wants, if neither is 0.
    """
    send = max(ours[0], theirs[1]) if ours[0] and theirs[1] else 0
    expect = max(ours[1], theirs[0]) if ours[1] and theirs[0] else 0
    return send / 1000, expect / 1000
