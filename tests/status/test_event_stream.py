"""What an open page receives, and that a slow one holds nothing up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

from cryptoproto.status.camera import Camera
from cryptoproto.status.event_stream import CLOSING, EventStreams
from cryptoproto.status.snapshot import Snapshot
from tests.support.virtual_time import virtual


class Subject:
    """Something to look at, which changes when a test says so; time is that of the loop."""

    def __init__(self) -> None:
        self.number = 0
        self.looks = 0

    def look(self) -> Snapshot:
        self.looks += 1
        return Snapshot(asyncio.get_running_loop().time(), {}, {"number": self.number})


def parsed(message: bytes) -> tuple[str, dict[str, Any]]:
    event, data, *rest = message.decode().split("\n")
    assert rest == ["", ""]
    return event.removeprefix("event: "), json.loads(data.removeprefix("data: "))


async def next_of(stream: AsyncGenerator[bytes]) -> tuple[str, dict[str, Any]]:
    return parsed(await anext(stream))


@virtual
async def test_first_everything_then_what_changes() -> None:
    subject = Subject()
    camera = Camera(subject.look, 0.2)
    stream = EventStreams(camera, 2).follow()
    assert await next_of(stream) == ("full", {"at": 0.0, "number": 0, "open_orders": []})
    subject.number = 1
    assert await next_of(stream) == ("changes", {"at": 0.2, "number": 1})
    camera.close()
    assert await anext(stream) == CLOSING
    assert [message async for message in stream] == []


@virtual
async def test_while_nothing_changes_it_says_so_every_three_seconds() -> None:
    camera = Camera(Subject().look, 0.25)
    stream = EventStreams(camera, 2).follow()
    await anext(stream)
    assert await next_of(stream) == ("beat", {"at": 3.0})
    assert await next_of(stream) == ("beat", {"at": 6.0})
    await stream.aclose()


@virtual
async def test_a_slow_reader_skips_what_it_has_missed() -> None:
    subject = Subject()
    streams = EventStreams(Camera(subject.look, 0.2), 2)
    slow, fast = streams.follow(), streams.follow()
    await asyncio.gather(anext(slow), anext(fast))
    for number in range(1, 6):
        subject.number = number
        assert (await next_of(fast))[1]["number"] == number
    assert await next_of(slow) == ("changes", {"at": 1.2, "number": 5})
    assert subject.looks == 7, "both are at the newest snapshot with one look"
    await slow.aclose()
    await fast.aclose()


@virtual
async def test_readers_at_the_same_snapshot_share_the_message() -> None:
    subject = Subject()
    streams = EventStreams(Camera(subject.look, 0.2), 2)
    one, other = streams.follow(), streams.follow()
    await asyncio.gather(anext(one), anext(other))
    subject.number = 1
    first, second = await asyncio.gather(anext(one), anext(other))
    assert first is second
    await one.aclose()
    await other.aclose()


@virtual
async def test_how_many_there_may_be() -> None:
    streams = EventStreams(Camera(Subject().look, 0.2), 2)
    one, other = streams.follow(), streams.follow()
    full = [streams.is_full]
    await asyncio.gather(anext(one), anext(other))
    full.append(streams.is_full)
    await one.aclose()
    full.append(streams.is_full)
    assert full == [False, True, False]
    await other.aclose()


@virtual
async def test_a_stream_of_a_closed_server() -> None:
    camera = Camera(Subject().look, 0.2)
    camera.close()
    assert [message async for message in EventStreams(camera, 2).follow()] == [CLOSING]
