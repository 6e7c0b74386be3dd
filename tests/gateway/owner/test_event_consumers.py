"""An owner has the event stream delivered to strategies; with a real NATS server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest
from nats import connect
from nats.aio.client import Client as Nats
from nats.js.api import StreamConfig

import cryptoproto as cp
from cryptoproto.exceptions import GatewayError
from cryptoproto.gateway.calls import EventsFrom, OpenEvents
from cryptoproto.gateway.event_codec import encode_events
from cryptoproto.gateway.names import Names
from cryptoproto.gateway.owner.event_consumers import EventConsumers
from tests.support.nats_server import nats_server

NAMES = Names("alice")
TRANSACTIONS = (3, 4, 8, 9, 20)


@pytest.fixture
async def nc(tmp_path: Path) -> AsyncIterator[Nats]:
    """A connection to a server with an event stream, from which the first message is gone."""
    with nats_server(tmp_path) as server:
        nc = await connect(server.url)
        js = nc.jetstream()
        await js.add_stream(StreamConfig(name=NAMES.events_stream, subjects=[NAMES.events], max_msgs=len(TRANSACTIONS)))
        for previous, number in pairwise((-1, 1, *TRANSACTIONS)):
            event = cp.Event(number, 0.0, cp.Unknown("x", {}), 0, b"{}")
            await js.publish(NAMES.events, encode_events([event], previous))
        yield nc
        await nc.close()


@pytest.mark.parametrize(
    ("position", "number"),
    [(None, 2), (1, 2), (2, 2), (3, 3), (8, 5), (10, 6), (20, 7), (99, 7)],
)
async def test_the_first_message_after_a_position(nc: Nats, position: int | None, number: int) -> None:
    consumers = EventConsumers(nc.jetstream(), NAMES)
    assert await consumers.open(OpenEvents(1, "_INBOX.mm1.x", position), "mm1") == EventsFrom(number)


async def test_only_what_is_new(nc: Nats) -> None:
    call = OpenEvents(1, "_INBOX.mm1.x", None, live_only=True)
    assert await EventConsumers(nc.jetstream(), NAMES).open(call, "mm1") == EventsFrom(7, position=20)
    await nc.jetstream().purge_stream(NAMES.events_stream)
    assert await EventConsumers(nc.jetstream(), NAMES).open(call, "mm1") == EventsFrom(7)


async def test_a_position_before_the_start_of_the_stream(nc: Nats) -> None:
    """Transaction ids have gaps: only the first message shows that transaction 1, and nothing after it, is gone."""
    consumers = EventConsumers(nc.jetstream(), NAMES)
    assert await consumers.open(OpenEvents(1, "_INBOX.mm1.x", 0), "mm1") == EventsFrom(2, truncated_at=3)
    assert (await nc.jetstream().stream_info(NAMES.events_stream)).state.consumer_count == 0


async def test_messages_arrive_in_the_inbox(nc: Nats) -> None:
    inbox = await nc.subscribe("_INBOX.mm1.x")
    await EventConsumers(nc.jetstream(), NAMES).open(OpenEvents(1, "_INBOX.mm1.x", 8), "mm1")
    async with asyncio.timeout(10):
        numbers = [(await inbox.next_msg(10)).metadata.sequence.stream for _ in range(2)]
    assert numbers == [5, 6]


@pytest.mark.parametrize(
    "deliver",
    ["_INBOX.mm2.x", "cryptoproto.alice.state", "_INBOX.mm1", "_INBOX.mm1.*", "_INBOX.mm1.>", "_INBOX.mm1.a b", ""],
)
async def test_nothing_is_delivered_elsewhere(nc: Nats, deliver: str) -> None:
    with pytest.raises(cp.OrderInvalid, match="not a subject of the inbox of strategy mm1"):
        await EventConsumers(nc.jetstream(), NAMES).open(OpenEvents(1, deliver), "mm1")


async def test_a_strategy_has_a_bounded_number_of_consumers(nc: Nats) -> None:
    consumers = EventConsumers(nc.jetstream(), NAMES)
    for _ in range(12):
        await consumers.open(OpenEvents(1, "_INBOX.mm1.x"), "mm1")
    await consumers.open(OpenEvents(1, "_INBOX.mm2.x"), "mm2")
    assert (await nc.jetstream().stream_info(NAMES.events_stream)).state.consumer_count == 9


async def test_a_consumer_that_the_server_has_forgotten_is_no_error(nc: Nats) -> None:
    js = nc.jetstream()
    consumers = EventConsumers(js, NAMES)
    for _ in range(8):
        await consumers.open(OpenEvents(1, "_INBOX.mm1.x"), "mm1")
    for consumer in await js.consumers_info(NAMES.events_stream):
        await js.delete_consumer(NAMES.events_stream, consumer.name or "")
    await consumers.open(OpenEvents(1, "_INBOX.mm1.x"), "mm1")
    assert (await js.stream_info(NAMES.events_stream)).state.consumer_count == 1


async def test_a_stream_that_cannot_be_read(nc: Nats) -> None:
    await nc.jetstream().delete_stream(NAMES.events_stream)
    with pytest.raises(GatewayError, match="the event stream cannot be read"):
        await EventConsumers(nc.jetstream(), NAMES).open(OpenEvents(1, "_INBOX.mm1.x"), "mm1")
