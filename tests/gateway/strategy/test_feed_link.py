"""What a reader of market data does with each message; NATS and the feed are lists."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import nats.errors
import pytest

from cryptoproto.exceptions import ConnectError
from cryptoproto.gateway.feed_codec import FeedBeat, Numbered, encode_update
from cryptoproto.gateway.names import Names
from cryptoproto.gateway.strategy.feed_link import FeedOpener

NAMES = Names("alice")
FENCE = 4
PAIR = "BTC_USD"


class Subscription:
    def __init__(self, world: World) -> None:
        self._world = world

    async def unsubscribe(self) -> None:
        self._world.left += 1
        if self._world.is_closed:
            raise nats.errors.ConnectionClosedError


class Message:
    def __init__(self, subject: str, data: bytes) -> None:
        self.subject = subject
        self.data = data


class World:
    """In the place of NATS and of the feed; ``frames`` is what the feed received."""

    def __init__(self, *pairs: str) -> None:
        self.beat = FeedBeat(FENCE, True, {PAIR: 1}, [PAIR])
        self.latest: dict[str, Numbered] = {"": Numbered(FENCE, 0, False, "", b"")}
        self.asked: list[str] = []
        self.frames: list[bytes] = []
        self.ended: list[str] = []
        self.opened = 0
        self.left = 0
        self.is_closed = False
        self.answers = True
        self.handler: Callable[[Any], Awaitable[None]] | None = None
        fake: Any = self
        self.opener = FeedOpener(fake, NAMES, "one", frozenset(pairs) or None)

    # NATS

    async def subscribe(self, _subject: str, *, cb: Any, **_: Any) -> Subscription:
        if self.is_closed:
            raise nats.errors.ConnectionClosedError
        self.handler = cb
        return Subscription(self)

    async def request(self, _subject: str, what: bytes, **_: Any) -> Message:
        self.asked.append(what.decode())
        if not self.answers:
            raise nats.errors.NoRespondersError
        if what == b"?":
            return Message("", encode(self.beat))
        return Message("", encode_update(self.latest[what.decode()]))

    # The feed

    def on_open(self, _transport: Any) -> None:
        self.opened += 1

    def on_heard(self) -> None:
        """Something has arrived."""

    def on_message(self, data: bytes) -> None:
        if self.opened and data[:1] != b"\x00":  # not the hello
            self.frames.append(data)

    def on_closed(self, closed: Any) -> None:
        self.ended.append(closed.reason)

    # The test's end

    async def open(self) -> Any:
        fake: Any = self
        link = await self.opener("", fake, fake)
        await self.settle()
        return link

    async def settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    async def send(self, subject: str, data: bytes) -> None:
        assert self.handler is not None
        await self.handler(Message(subject, data))
        await self.settle()

    async def update(
        self, number: int, frame: bytes = b"f", *, fence: int = FENCE, is_book: bool = False, pair: str = PAIR
    ) -> None:
        await self.send(NAMES.market_of(pair), encode_update(Numbered(fence, number, is_book, pair, frame)))

    async def hear(self, beat: FeedBeat) -> None:
        await self.send(NAMES.market_beat, encode(beat))


def encode(beat: FeedBeat) -> bytes:
    return msgspec.json.encode(beat)


def book(number: int, frame: bytes = b"book", fence: int = FENCE) -> Numbered:
    return Numbered(fence, number, True, PAIR, frame)


async def opened(*pairs: str, latest: Numbered | None = None) -> World:
    world = World(*pairs)
    world.latest[PAIR] = latest or book(1)
    await world.open()
    return world


async def test_a_newcomer_gets_the_latest_book_and_then_what_follows() -> None:
    world = await opened()
    assert world.asked == ["?", "", PAIR]
    await world.update(2, b"trade")
    await world.update(2, b"twice")
    assert world.frames[-2:] == [b"book", b"trade"]
    assert world.opener.gaps == 0


async def test_a_book_that_is_older_than_the_one_that_was_fetched() -> None:
    world = await opened(latest=book(5, b"fifth"))
    await world.update(2, b"second", is_book=True)
    assert world.frames[-1] == b"fifth"


async def test_a_gap_is_healed_by_a_book_that_arrives_or_by_asking() -> None:
    world = await opened()
    await world.update(4, b"fourth", is_book=True)
    assert (world.frames[-1], world.opener.gaps, world.asked.count(PAIR)) == (b"fourth", 1, 1)
    world.latest[PAIR] = book(6, b"sixth")
    await world.update(7, b"trade")
    assert (world.frames[-2:], world.opener.gaps, world.asked.count(PAIR)) == ([b"trade", b"sixth"], 2, 2)


async def test_a_beat_shows_what_was_lost_at_the_end() -> None:
    world = await opened()
    world.latest[PAIR] = book(3, b"third")
    await world.hear(FeedBeat(FENCE, True, {PAIR: 3}, [PAIR]))
    await world.hear(FeedBeat(FENCE, True, {PAIR: 3}, [PAIR]))
    assert (world.frames[-1], world.opener.gaps) == (b"third", 1)


async def test_pairs_that_are_not_read() -> None:
    world = await opened("ETH_USD")
    await world.update(5)
    await world.hear(FeedBeat(FENCE, True, {PAIR: 9}, [PAIR]))
    assert world.opener.gaps == 0
    assert PAIR not in world.asked


async def test_a_publisher_that_was_deposed_is_not_listened_to() -> None:
    world = await opened()
    await world.update(2, b"old", fence=FENCE - 1)
    await world.hear(FeedBeat(FENCE - 1, False, {}, []))
    world.latest[PAIR] = book(9, b"old book", FENCE - 1)
    await world.update(9, b"trade")  # the answer to the question for the gap is that of the old one
    assert world.frames[-1] == b"trade"
    assert world.ended == []


@pytest.mark.parametrize("by_beat", [True, False])
async def test_the_next_publisher_ends_the_link(by_beat: bool) -> None:
    world = await opened()
    if by_beat:
        await world.hear(FeedBeat(FENCE + 1, True, {}, []))
    else:
        await world.update(1, fence=FENCE + 1)
    assert world.ended == ["another gateway publishes the market data from here on"]
    assert world.left == 1
    await world.update(2, fence=FENCE + 1)
    assert len(world.ended) == 1


async def test_the_publisher_has_no_market_data_any_more() -> None:
    world = await opened()
    await world.hear(FeedBeat(FENCE, False, {}, []))
    assert world.ended == ["the gateway has lost its market data"]


@pytest.mark.parametrize("subject", [NAMES.market_beat, NAMES.market_of(PAIR)])
async def test_a_message_that_no_gateway_has_sent(subject: str) -> None:
    world = await opened()
    await world.send(subject, b"rubbish")
    assert len(world.ended) == 1


async def test_a_question_without_an_answer_ends_the_link() -> None:
    world = await opened()
    world.answers = False
    await world.update(5, b"trade")
    assert "no gateway publishes market data" in world.ended[0]


async def test_an_end_while_a_book_is_asked_for() -> None:
    world = await opened()
    asked = world.asked.copy()
    link = world.opener
    assert world.handler is not None
    await world.handler(Message(NAMES.market_of(PAIR), encode_update(Numbered(FENCE, 5, False, PAIR, b"trade"))))
    await world.handler(Message(NAMES.market_beat, b"rubbish"))
    await world.settle()
    assert world.asked == asked, "the question was not asked any more"
    assert (link.gaps, len(world.ended)) == (1, 1)


async def test_there_is_nothing_to_read() -> None:
    world = World()
    world.beat = FeedBeat(FENCE, False, {}, [])
    with pytest.raises(ConnectError, match="no market data at the moment"):
        await world.open()
    world.answers = False
    with pytest.raises(ConnectError, match="no gateway publishes"):
        await world.open()
    assert world.left == 2
    world.is_closed = True
    with pytest.raises(ConnectError):
        await world.open()
    assert (world.left, world.opened) == (2, 0)


async def test_closing_and_what_a_reader_does_not_do() -> None:
    world = World()
    world.latest[PAIR] = book(1)
    link = await world.open()
    link.send(b"")
    link.send_text("")
    link.ping()
    link.pause_reading()
    link.resume_reading()
    await link.drain()
    assert (link.remote_address, link.writable) == ("", True)
    world.is_closed = True
    link.close(1000, "enough", 1.0)
    link.abort()
    await world.settle()
    assert world.ended == ["enough"]


async def test_an_abort() -> None:
    world = World()
    world.latest[PAIR] = book(1)
    link = await world.open()
    link.abort()
    await world.settle()
    assert world.ended == ["aborted"]
