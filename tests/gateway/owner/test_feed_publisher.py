"""What the publisher of market data sends; NATS and the feed are lists."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Self

import msgspec
import nats.errors
import pytest

import cryptoproto as cp
from cryptoproto.gateway.feed_codec import FeedBeat, Numbered, decode_update
from cryptoproto.gateway.names import Names
from cryptoproto.gateway.owner import feed_publisher
from cryptoproto.gateway.owner.feed_publisher import FeedPublisher

NAMES = Names("alice")
PAIR = "BTC_USD"
INBOX = "_INBOX.one.1"


class States:
    """Never changes, until the feed is closed."""

    def __init__(self, ends: asyncio.Event) -> None:
        self._ends = ends

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> None:
        await self._ends.wait()
        raise StopAsyncIteration

    def close(self) -> None:
        """Nothing is kept."""


class World:
    """In the place of NATS and of the feed; ``sent`` is what was published."""

    def __init__(self, *updates: Any) -> None:
        self.sent: list[tuple[str, bytes]] = []
        self.fence = 3
        self.looks = 0  # how often it has looked whether it is the owner
        self.is_connected = True
        self.is_down = False
        self.error: cp.CryptoprotoError | None = None
        self.ends = asyncio.Event()
        self.read = asyncio.Event()
        self._updates = updates
        self._on_request: Any = None
        fake: Any = self
        self.publisher = FeedPublisher(fake, NAMES, fake, self._look)

    def _look(self) -> int:
        self.looks += 1
        return self.fence

    # NATS

    async def subscribe(self, _subject: str, *, cb: Any) -> Any:
        self._on_request = cb
        return self

    async def unsubscribe(self) -> None:
        """Nobody asks any more."""

    async def publish(self, subject: str, data: bytes) -> None:
        if self.is_down:
            raise nats.errors.ConnectionClosedError
        self.sent.append((subject, data))

    # The feed

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """It is closed."""

    async def __aiter__(self) -> AsyncIterator[Any]:
        for update in self._updates:
            yield update
        self.read.set()
        await self.ends.wait()
        if self.error is not None:
            raise self.error

    def states(self) -> States:
        return States(self.ends)

    # The test's end

    async def start(self) -> asyncio.Task[None]:
        running = asyncio.ensure_future(self.publisher.run())
        async with asyncio.timeout(10):
            await self.read.wait()
        return running

    async def finish(self, running: asyncio.Task[None]) -> None:
        self.ends.set()
        await running

    async def ask(self, what: bytes, reply: str = INBOX) -> bytes | None:
        subject = NAMES.market_request("one")
        message = type("Message", (), {"subject": subject, "data": what, "reply": reply})()
        self.sent.clear()
        await self._on_request(message)
        return self.sent[-1][1] if self.sent else None

    def updates(self) -> list[Numbered]:
        return [decode_update(data) for subject, data in self.sent if ".pair." in subject or subject.endswith(".all")]

    def beats(self) -> list[FeedBeat]:
        return [msgspec.json.decode(data, type=FeedBeat) for subject, data in self.sent if subject == NAMES.market_beat]


def book() -> cp.OrderBookAgg:
    return cp.OrderBookAgg(PAIR, 0, {}, {})


async def test_updates_are_numbered_by_pair() -> None:
    unknown = cp.Unknown("something new", {"@type": "something new"})
    world = World(book(), book(), unknown)
    running = await world.start()
    assert [(each.pair, each.number, each.is_book, each.fence) for each in world.updates()] == [
        (PAIR, 1, True, 3), (PAIR, 2, True, 3), ("", 1, False, 3),
    ]  # fmt: skip
    assert world.publisher.published == 3
    await world.finish(running)


async def test_a_standby_publishes_nothing_and_has_every_book_when_it_follows() -> None:
    world = World(book())
    world.fence = 0
    running = await world.start()
    assert await world.ask(b"?") is None
    assert world.updates() == []
    world.fence = 4
    latest = await world.ask(PAIR.encode())
    assert latest is not None
    assert decode_update(latest)[:4] == (4, 0, True, PAIR)
    await world.finish(running)


async def test_questions_are_answered_in_the_inbox_of_who_asks() -> None:
    world = World(book())
    running = await world.start()
    state = await world.ask(b"?")
    assert state is not None
    assert msgspec.json.decode(state, type=FeedBeat) == FeedBeat(3, True, {PAIR: 1}, [PAIR])
    unknown = await world.ask(b"\xff" * 200)
    assert unknown is not None
    assert decode_update(unknown).frame == b""
    assert await world.ask(b"?", reply="cryptoproto.alice.state") is None
    await world.finish(running)


async def test_beats_say_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_publisher, "_BEAT_S", 0.001)
    world = World(book())
    world.is_connected = False
    running = await world.start()
    async with asyncio.timeout(10):
        while len(world.beats()) < 3:  # noqa: ASYNC110 - nobody says when
            await asyncio.sleep(0.001)
    assert world.beats()[-1] == FeedBeat(3, False, {PAIR: 1}, [])
    world.fence, world.looks = 0, 0
    world.sent.clear()
    async with asyncio.timeout(10):
        while world.looks < 3:  # noqa: ASYNC110 - nobody says when
            await asyncio.sleep(0.001)
    assert world.beats() == [], "a standby says nothing"
    await world.finish(running)


async def test_without_nats_nothing_is_kept() -> None:
    world = World(book())
    world.is_down = True
    running = await world.start()
    assert world.sent == []
    await world.finish(running)


async def test_the_end_of_the_market_data_ends_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    world.error = cp.DecodeError("a version that is not supported")
    await world.finish(await world.start())
    assert "there is no market data from here on" in caplog.text
