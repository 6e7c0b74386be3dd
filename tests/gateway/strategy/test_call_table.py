"""Each call gets its reply; with a real NATS server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import pytest
from nats.aio.msg import Msg

import cryptoproto as cp
from cryptoproto.gateway.nats_connection import NatsConnection, close_nats, flush_nats
from cryptoproto.gateway.strategy.call_table import CallTable


@pytest.fixture
async def calls(nc: NatsConnection) -> AsyncIterator[CallTable]:
    calls = CallTable(nc, "owner")
    await calls.close()  # nothing was started
    await calls.start()
    yield calls
    await calls.close()


@pytest.fixture
async def asked(nc: NatsConnection) -> list[Msg]:
    """The calls that have arrived, and are not answered."""
    asked: list[Msg] = []

    async def on_call(message: Msg) -> None:
        asked.append(message)

    await nc.subscribe("owner", cb=on_call)
    await flush_nats(nc)
    return asked


async def arrived(asked: list[Msg], count: int) -> None:
    async with asyncio.timeout(10):
        while len(asked) < count:  # noqa: ASYNC110 - a test server keeps no events
            await asyncio.sleep(0.001)


async def test_replies_may_come_in_any_order(nc: NatsConnection, calls: CallTable, asked: list[Msg]) -> None:
    first, second = (calls.call(payload, 10) for payload in (b"a", b"b"))
    await arrived(asked, 2)
    for message in reversed(asked):
        await nc.publish(message.reply, b"reply to " + message.data)
        await nc.publish(message.reply, b"a second reply")
    assert list(await asyncio.gather(first, second)) == [b"reply to a", b"reply to b"]


async def test_whoever_waits_is_woken(nc: NatsConnection, calls: CallTable, asked: list[Msg]) -> None:
    woken: asyncio.Queue[str] = asyncio.Queue()
    answered, ended, cancelled = (calls.call(name.encode(), 10, partial(woken.put_nowait, name)) for name in "aec")
    await arrived(asked, 3)
    cancelled.cancel()
    await nc.publish(asked[0].reply, b"reply")
    assert (await woken.get(), answered.result()) == ("a", b"reply")
    calls.end("the owner has changed")
    assert (await woken.get(), type(ended.exception())) == ("e", cp.OutcomeUnknown)
    refused = calls.call(b"x" * (nc.max_payload + 1), 10, partial(woken.put_nowait, "too large"))
    assert (woken.get_nowait(), refused.done()) == ("too large", True)
    assert woken.empty()


async def test_nobody_is_there(calls: CallTable) -> None:
    with pytest.raises(cp.RequestNotSent, match="no gateway owns the session"):
        await calls.call(b"a", 10)


async def test_there_is_no_reply_in_time(calls: CallTable, asked: list[Msg]) -> None:
    with pytest.raises(cp.OutcomeUnknown, match="no reply before the deadline") as caught:
        await calls.call(b"a", 0.01)
    assert caught.value.sent


async def test_all_calls_are_ended(calls: CallTable, asked: list[Msg]) -> None:
    waiting = [calls.call(b"a", 10) for _ in range(2)]
    await arrived(asked, 2)
    calls.end("the owner has changed")
    calls.end("once is enough")
    for each in waiting:
        with pytest.raises(cp.OutcomeUnknown, match="the owner has changed"):
            await each


async def test_a_reply_that_comes_too_late_is_ignored(nc: NatsConnection, calls: CallTable, asked: list[Msg]) -> None:
    leaving = calls.call(b"a", 10)
    ended = calls.call(b"b", 10)
    await arrived(asked, 2)
    leaving.cancel()
    await asyncio.wait([leaving])
    calls.end("the owner has changed")
    for message in asked:
        await nc.publish(message.reply, b"late")
    with pytest.raises(cp.OutcomeUnknown):
        await ended
    await flush_nats(nc)


async def test_a_call_that_cannot_be_sent(nc: NatsConnection, calls: CallTable) -> None:
    with pytest.raises(cp.OutcomeUnknown, match="did not answer"):
        await calls.call(b"x" * (nc.max_payload + 1), 10)
    await close_nats(nc)
    await calls.close()
