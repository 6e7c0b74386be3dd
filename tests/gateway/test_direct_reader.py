"""Whole messages are taken before the stream, and everything else goes to the stream, in order; without a socket."""

from __future__ import annotations

import asyncio

import pytest

from cryptoproto.gateway.direct_reader import DirectReader

PLAIN = b"MSG here 1 5\r\nhello\r\n"
WITH_REPLY = b"MSG here.a 1 there 2\r\n\r\n\r\n"
WITH_HEADER = b"HMSG here 1 12 14\r\nNATS/1.0\r\n\r\nhi\r\n"
NOT_LISTENED_TO = b"MSG here 2 2\r\nhi\r\n"


class Stream(asyncio.Protocol):
    def __init__(self) -> None:
        self.data = b""
        self.told: list[object] = []

    def data_received(self, data: bytes) -> None:
        self.data += data

    def eof_received(self) -> bool:
        self.told.append("eof")
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.told.append(exc)

    def pause_writing(self) -> None:
        self.told.append("pause")

    def resume_writing(self) -> None:
        self.told.append("resume")


class World:
    def __init__(self) -> None:
        self.stream = Stream()
        self.taken: list[tuple[bytes, bytes, bytes]] = []
        self.is_idle = True
        self.reader = DirectReader(self.stream, lambda: self.is_idle, self.take)

    def take(self, subscription: int, subject: bytes, reply: bytes, data: bytes) -> bool:
        if subscription == 1:
            self.taken.append((subject, reply, data))
        return subscription == 1


def test_whole_messages_are_taken() -> None:
    world = World()
    world.reader.data_received(PLAIN)
    world.reader.data_received(WITH_REPLY + PLAIN)
    plain = (b"here", b"", b"hello")
    assert world.taken == [plain, (b"here.a", b"there", b"\r\n"), plain]
    assert world.stream.data == b""


@pytest.mark.parametrize(
    "data",
    [b"PING\r\n", WITH_HEADER, NOT_LISTENED_TO, PLAIN[:-1], PLAIN[:10], b"MSG here\r\n", b"MSG here 1 x\r\nhello\r\n"],
    ids=["ping", "headers", "not-listened-to", "begun", "head-begun", "too-short", "no-size"],
)
def test_anything_else_goes_to_the_stream(data: bytes) -> None:
    world = World()
    world.reader.data_received(data)
    assert (world.taken, world.stream.data) == ([], data)
    world.reader.data_received(PLAIN + data)
    assert (len(world.taken), world.stream.data) == (1, data + data)


def test_nothing_overtakes_what_goes_to_the_stream() -> None:
    world = World()
    world.reader.data_received(PLAIN + WITH_HEADER + PLAIN)
    assert (len(world.taken), world.stream.data) == (1, WITH_HEADER + PLAIN)


def test_nothing_is_taken_while_the_stream_has_something() -> None:
    world = World()
    world.is_idle = False
    world.reader.data_received(PLAIN)
    assert (world.taken, world.stream.data) == ([], PLAIN)
    world.is_idle = True
    world.reader.data_received(PLAIN)
    assert (len(world.taken), world.stream.data) == (1, PLAIN)


def test_the_stream_learns_what_becomes_of_the_connection() -> None:
    world, error = World(), OSError("lost")
    world.reader.pause_writing()
    world.reader.resume_writing()
    assert world.reader.eof_received()
    world.reader.connection_lost(error)
    assert world.stream.told == ["pause", "resume", "eof", error]
