from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import StreamConfig, StreamState

from cryptoproto.exceptions import GatewayError, OwnershipLost
from cryptoproto.gateway.nats_connection import NatsConnection, close_nats
from cryptoproto.gateway.streams import (
    Stored,
    StreamWriter,
    ensure_stream,
    first_since,
    last_stored,
    purge_before,
    read_stream,
    state_of,
)
from tests.support.nats_server import NatsServer
from tests.support.virtual_time import virtual

STREAM = "s"
SUBJECT = "s.messages"


@pytest.fixture
async def js(nc: NatsConnection) -> JetStreamContext:
    js = nc.jetstream(timeout=2)
    await ensure_stream(js, StreamConfig(name=STREAM, subjects=[SUBJECT]))
    return js


async def stored_in(js: JetStreamContext) -> AsyncIterator[Stored]:
    async for stored in read_stream(js, STREAM, SUBJECT, await state_of(js, STREAM)):
        yield stored


async def append(nc: NatsConnection, *messages: bytes) -> None:
    writer = StreamWriter(nc, SUBJECT, 0, 2)
    for message in messages:
        await writer.append(message)


async def test_messages_are_appended_in_order(js: JetStreamContext, nc: NatsConnection) -> None:
    writer = StreamWriter(nc, SUBJECT, 0, 2)
    assert await last_stored(js, STREAM) == (0, b"")
    assert [each async for each in stored_in(js)] == []
    numbers = await asyncio.gather(writer.append(b"a", "1"), writer.append(b"b", "2"), writer.append(b"c"))
    assert (*numbers, writer.last) == (1, 2, 3, 3)
    assert [(each.number, each.data) async for each in stored_in(js)] == [
        (1, b"a"), (2, b"b"), (3, b"c"),
    ]  # fmt: skip
    assert await last_stored(js, STREAM) == (3, b"c")
    await writer.close()


async def test_a_second_writer_ends_the_first(js: JetStreamContext, nc: NatsConnection) -> None:
    old, new = StreamWriter(nc, SUBJECT, 0, 2), StreamWriter(nc, SUBJECT, 0, 2)
    failing = asyncio.ensure_future(old.wait_failed())
    await new.append(b"new")
    with pytest.raises(OwnershipLost, match="another process has written"):
        await old.append(b"old")
    with pytest.raises(OwnershipLost):
        await old.append(b"again")
    with pytest.raises(OwnershipLost):
        await failing
    assert [each.data async for each in stored_in(js)] == [b"new"]


async def test_a_message_that_is_ignored_ends_the_writer(js: JetStreamContext, nc: NatsConnection) -> None:
    writer = StreamWriter(nc, SUBJECT, 0, 2)
    await writer.append(b"a", "1")
    with pytest.raises(OwnershipLost, match="id is known"):
        await writer.append(b"b", "1")


async def test_what_is_on_its_way_fails_with_the_first_that_fails(js: JetStreamContext, nc: NatsConnection) -> None:
    """Also the message after it, which the stream accepts: the new owner has written one in between."""
    writer = StreamWriter(nc, SUBJECT, 0, 2)
    await writer.append(b"a")
    await js.publish(SUBJECT, b"of another owner")
    first, second = await asyncio.gather(writer.append(b"b"), writer.append(b"c"), return_exceptions=True)
    assert isinstance(first, OwnershipLost)
    assert isinstance(second, OwnershipLost)
    await writer.close()
    assert [each.data async for each in stored_in(js)] == [b"a", b"of another owner", b"c"]


async def test_a_message_that_cannot_be_sent_ends_the_writer(js: JetStreamContext, nc: NatsConnection) -> None:
    writer = StreamWriter(nc, SUBJECT, 0, 2)
    with pytest.raises(OwnershipLost, match="could not be sent"):
        await writer.append(b"x" * (nc.max_payload + 1))
    await close_nats(nc)
    await writer.close()
    with pytest.raises(OwnershipLost, match="nothing can be written"):
        await StreamWriter(nc, SUBJECT, 0, 2).append(b"a")


async def test_a_message_that_no_stream_takes_ends_the_writer(nc: NatsConnection, nats: NatsServer) -> None:
    writer = StreamWriter(nc, "nobody.listens", 0, 2)
    with pytest.raises(OwnershipLost, match="no stream takes it"):
        await writer.append(b"a")


async def test_a_message_that_is_too_large_ends_the_writer(js: JetStreamContext, nc: NatsConnection) -> None:
    js_config = (await js.stream_info(STREAM)).config
    js_config.max_msg_size = 10
    await js.update_stream(js_config)
    writer = StreamWriter(nc, SUBJECT, 0, 2)
    with pytest.raises(OwnershipLost, match="NATS refused a message"):
        await writer.append(b"a" * 100)


async def test_a_message_without_an_acknowledgement_ends_the_writer(
    js: JetStreamContext, nc: NatsConnection, nats: NatsServer
) -> None:
    writer = StreamWriter(nc, SUBJECT, 0, 0.2)
    nats.kill()
    with pytest.raises(OwnershipLost, match="did not acknowledge"):
        await writer.append(b"a")


class SlowNats:
    """Acknowledges the first *count* messages, each a second after it was posted."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.take: Callable[[Msg], object] = repr

    def new_inbox(self) -> str:
        return "inbox"

    async def listen(self, _subject: str, take: Callable[[Msg], object]) -> None:
        self.take = take

    def post(self, _subject: str, _payload: bytes, reply: str, _headers: dict[str, str]) -> None:
        number = reply.rpartition(".")[2]
        if int(number) <= self.count:
            ack: Any = Msg(None, reply, data=b'{"seq":%s}' % number.encode())  # type: ignore[arg-type]
            asyncio.get_running_loop().call_later(1, self.take, ack)


@virtual
async def test_each_message_has_its_whole_time() -> None:
    nc: Any = SlowNats(3)
    writer = StreamWriter(nc, SUBJECT, 0, 4)
    loop = asyncio.get_running_loop()
    begun = loop.time()
    for _ in range(3):
        await writer.append(b"a")
    assert loop.time() - begun == 3
    with pytest.raises(OwnershipLost, match=r"did not acknowledge a message to .* within 4 s"):
        await writer.append(b"b")
    assert loop.time() - begun == 7
    await writer.close()


async def test_a_caller_that_leaves_changes_nothing(js: JetStreamContext, nc: NatsConnection) -> None:
    writer = StreamWriter(nc, SUBJECT, 0, 2)
    leaving = asyncio.ensure_future(writer.append(b"a"))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await writer.append(b"b") == 2
    await writer.close()


async def test_old_messages_are_deleted(js: JetStreamContext, nc: NatsConnection) -> None:
    await append(nc, b"a", b"b", b"c")
    await purge_before(js, STREAM, 0)
    assert [each.number async for each in stored_in(js)] == [1, 2, 3]
    await purge_before(js, STREAM, 3)
    assert [each.number async for each in stored_in(js)] == [3]
    await js.purge_stream(STREAM)
    assert await last_stored(js, STREAM) == (3, b"")
    assert [each async for each in stored_in(js)] == []


async def test_number_and_data_of_the_last_message_belong_together() -> None:
    """A server that is behind knows of no message; the next one that is asked does. Nothing may be appended to that."""
    states = iter((StreamState(0, 0, 0, 0, 0), StreamState(5, 50, 1, 5, 0)))

    class Servers:
        async def stream_info(self, _: str) -> Any:
            return SimpleNamespace(state=next(states))

        async def get_msg(self, _: str, number: int) -> Any:
            return SimpleNamespace(data=b"data of %d" % number)

    servers: Any = Servers()
    assert await last_stored(servers, STREAM) == (0, b"")
    assert await last_stored(servers, STREAM) == (5, b"data of 5")


async def test_the_first_message_since_a_time(js: JetStreamContext, nc: NatsConnection) -> None:
    await append(nc, b"a", b"b", b"c")
    now = datetime.now(UTC)
    assert await first_since(js, STREAM, now - timedelta(hours=1)) == 1
    assert await first_since(js, STREAM, now + timedelta(hours=1)) == 3
    second = (await js.get_msg(STREAM, 2)).time
    assert second is not None
    assert await first_since(js, STREAM, second) == 2


async def test_deleting_without_nats_is_tried_again_later(
    js: JetStreamContext, nc: NatsConnection, nats: NatsServer
) -> None:
    nats.kill()
    await purge_before(js, STREAM, 5)


async def test_a_stream_that_cannot_be_made(js: JetStreamContext, nc: NatsConnection) -> None:
    with pytest.raises(GatewayError, match="the stream other cannot be used"):
        await ensure_stream(js, StreamConfig(name="other", subjects=[SUBJECT]))
    await ensure_stream(js, StreamConfig(name=STREAM, subjects=["else"]))  # left as it is
    assert (await js.stream_info(STREAM)).config.subjects == [SUBJECT]
