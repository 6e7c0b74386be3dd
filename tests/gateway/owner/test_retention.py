from __future__ import annotations

import asyncio
from typing import Any

import pytest
from nats.js.api import StreamConfig

from cryptoproto.gateway.nats_connection import NatsConnection
from cryptoproto.gateway.owner import retention
from cryptoproto.gateway.owner.retention import keep_events
from cryptoproto.gateway.streams import StreamWriter, ensure_stream

NO_NATS: Any = None


async def test_the_last_event_is_never_deleted(nc: NatsConnection) -> None:
    js = nc.jetstream(timeout=2)
    await ensure_stream(js, StreamConfig(name="s", subjects=["s"]))
    writer = StreamWriter(nc, "s", 0, 2)
    for message in (b"a", b"b", b"c"):
        await writer.append(message)
    keeping = asyncio.ensure_future(keep_events(js, "s", 0.1))
    async with asyncio.timeout(20):
        while (await js.stream_info("s")).state.first_seq != 3:
            pass
    assert not keeping.done()
    keeping.cancel()
    await asyncio.wait([keeping])


async def test_without_a_limit_nothing_is_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    turns = 0

    async def sleep(_seconds: float) -> None:
        nonlocal turns
        turns += 1
        if turns == 3:
            raise asyncio.CancelledError

    monkeypatch.setattr("cryptoproto.gateway.owner.retention.asyncio.sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        await keep_events(NO_NATS, "s", None)
    assert turns == 3


async def test_without_an_answer_of_nats_it_tries_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tries = 0

    async def first_since(*_: object) -> int:
        nonlocal tries
        tries += 1
        if tries == 2:
            raise asyncio.CancelledError
        raise TimeoutError

    monkeypatch.setattr(retention, "first_since", first_since)
    with pytest.raises(asyncio.CancelledError):
        await keep_events(NO_NATS, "s", 0.01)
    assert tries == 2
