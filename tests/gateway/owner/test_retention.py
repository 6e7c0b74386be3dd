from __future__ import annotations

import asyncio

from nats.aio.client import Client as Nats
from nats.js.api import StreamConfig

from cryptoproto.gateway.nats_connection import close_nats, open_nats
from cryptoproto.gateway.owner.retention import keep_events
from cryptoproto.gateway.streams import StreamWriter, ensure_stream
from tests.support.nats_server import NatsServer


async def test_the_last_event_is_never_deleted(nats: NatsServer) -> None:
    nc = Nats()
    await open_nats(nc, nats.url, "test", inbox="_INBOX.test")
    js = nc.jetstream(timeout=2)
    await ensure_stream(js, StreamConfig(name="s", subjects=["s"]))
    writer = StreamWriter(nc, "s", 0, 2)
    for message in (b"a", b"b", b"c"):
        await writer.append(message)
    keeping = asyncio.ensure_future(keep_events(js, "s", 0.1))
    async with asyncio.timeout(20):
        while (await js.stream_info("s")).state.first_seq != 3:
            pass
    nats.kill()
    await asyncio.wait([keeping], timeout=0.1)
    assert not keeping.done()
    keeping.cancel()
    await asyncio.wait([keeping])
    await close_nats(nc)
