"""STOMP frames: the same in pieces of any size, and written again as they were read."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import cryptoproto as cp
from cryptoproto.apikeys.stomp_frames import Frame, FrameParser, encode_frame, heart_beats, parse_heart_beat
from tests.fuzz.target import Cost, Target

__all__ = ["TARGETS"]

WORDS = (
    b"CONNECT\n", b"CONNECTED\n", b"MESSAGE\n", b"SEND\n", b"ERROR\n", b"RECEIPT\n", b"ACK\n", b"content-length:3",
    b"content-length:0\n", b"content-length:99999999999\n", b"\n\n", b"\r\n", b"\r\n\r\n", b"\0", b"\0\n", b":", b"\\n",
    b"\\c", b"\\r", b"\\\\", b"\\x", b"version:1.1\n", b"heart-beat:0,0\n", b"a:b\n",
)  # fmt: skip
_BODY = 2000
_SIZES = (1, 13, 2, 21, 3, 34, 5, 1, 8)


def seeds() -> Iterator[bytes]:
    frames = [
        Frame("CONNECT", {"accept-version": "1.1,1.2", "host": "h", "heart-beat": "0,0"}),
        Frame("CONNECTED", {"version": "1.2", "server": "a:b\\c"}),
        Frame("MESSAGE", {"destination": "/x:\n\r\\", "message-id": "1"}, b"body\0with a zero"),
        Frame("SEND", {"destination": "/x"}),
        Frame("ERROR", {"message": "ü"}, b"why"),
    ]
    for frame in frames:
        yield encode_frame(frame)
    yield b"\n\r\n" + b"\n".join(map(encode_frame, frames)) + b"\n"
    yield b"MESSAGE\r\ndestination:/x\r\n\r\nbody until zero\0\n\n"


def parser_of(version: str) -> FrameParser:
    parser = FrameParser(maximum_body=_BODY)
    parser.version = version
    return parser


def fed(parser: FrameParser, pieces: Iterator[bytes]) -> tuple[list[Frame | None], str | None]:
    """The frames, and why it ended early if it did."""
    frames: list[Frame | None] = []
    for piece in pieces:
        try:
            frames += parser.feed(piece)
        except cp.DecodeError as error:
            return frames, type(error).__name__
    return frames, None


def read(data: bytes) -> list[Frame | None]:
    """The first byte chooses the version and the size of the pieces of the second reading."""
    return parser_of(version_of(data)).feed(data[1:])


def version_of(data: bytes) -> str:
    return "1.1" if data[:1] and data[0] & 1 else "1.2"


def check(data: bytes, frames: list[Frame | None]) -> None:
    parsed, refused = in_pieces(data)
    assert (parsed, refused) == (frames, None)
    for frame in frames:
        if frame is not None:
            check_written(frame, version_of(data))


def check_refused(data: bytes) -> None:
    assert in_pieces(data)[1] is not None, "in pieces it is accepted"


def in_pieces(data: bytes) -> tuple[list[Frame | None], str | None]:
    return fed(parser_of(version_of(data)), pieces(data[1:], data[0] >> 1 if data else 0))


def pieces(data: bytes, begin: int) -> Iterator[bytes]:
    """Pieces of different sizes, of which *begin* chooses the first."""
    at = 0
    for turn in count(begin):
        size = _SIZES[turn % len(_SIZES)]
        yield data[at : at + size]
        at += size
        if at >= len(data):
            return


def check_written(frame: Frame, version: str) -> None:
    """What was read can be written, unless a carriage return has no escape there; and is read as the same."""
    try:
        data = encode_frame(frame, version)
    except cp.ConfigurationError:
        assert any(bad in name + value for name, value in frame.headers.items() for bad in "\r\0")
        return
    again = parser_of(version).feed(data)
    headers = dict(frame.headers)
    if frame.body:
        headers.setdefault("content-length", str(len(frame.body)))
    carriage_return = any("\r" in name + value for name, value in headers.items()) and version == "1.1"
    assert carriage_return or again == [Frame(frame.command, headers, frame.body)]


def read_heart_beat(data: bytes) -> tuple[int, int]:
    return parse_heart_beat(data.decode("utf-8", "replace"))


def check_heart_beat(data: bytes, both: tuple[int, int]) -> None:
    assert all(0 <= number < 10**9 for number in both)
    send, expect = heart_beats(both, (10, 20))
    assert send >= 0
    assert expect >= 0
    assert parse_heart_beat(f"{both[0]},{both[1]}") == both


COST = Cost(calls=1000, calls_per_byte=40, memory=100_000, memory_per_byte=100)

TARGETS = (
    Target(
        "stomp",
        read,
        (cp.DecodeError,),
        lambda: (bytes([choice]) + data for choice, data in enumerate(seeds())),
        check,
        check_refused,
        words=WORDS,
        cost=COST,
        stretched_to=4_096,
    ),
    Target(
        "stomp-heart-beat",
        read_heart_beat,
        (cp.DecodeError,),
        lambda: (b"0,0", b"10000, 20000 "),
        check_heart_beat,
        words=(b",", b" ", b"999999999", "٣".encode()),
        longest=64,
        cost=COST,
        in_suite=300,
    ),
)
