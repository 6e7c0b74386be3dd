"""Links in memory behave like links over a network."""

from __future__ import annotations

import asyncio

from cryptoproto.transport import Closed, MemoryLink, OpenOptions, memory_opener, memory_pair
from tests.support.links import Recorder
from tests.support.virtual_time import virtual


async def pair() -> tuple[Recorder, MemoryLink, Recorder, MemoryLink]:
    client, server = Recorder(), Recorder()
    here, there = memory_pair(client, server)
    assert (client.transport, server.transport) == (here, there)
    return client, here, server, there


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_messages_arrive_in_order_and_are_recorded() -> None:
    client, here, server, there = await pair()
    here.send(b"one")
    here.send_text("two")
    here.send(b"three")
    there.send(b"four")
    assert server.log == [], "nothing arrives within the call"
    await settle()
    assert server.log == [b"one", "two", b"three"]
    assert client.log == [b"four"]
    assert here.sent == [b"one", "two", b"three"]
    here.send_many([b"five", b"six"])
    await settle()
    assert server.log[3:] == here.sent[3:] == [b"five", b"six"]


async def test_more_is_promised_only_within_one_read() -> None:
    _, here, server, _ = await pair()
    for number in range(150):
        here.send(str(number).encode())
    await settle()
    assert len(server.log) == 150
    assert server.promises == 148  # all but the hundredth and the last
    assert server.broken_promises == 0


async def test_both_ends_notice_a_ping() -> None:
    client, here, server, _ = await pair()
    here.ping()
    await settle()
    assert (client.heard, server.heard, here.pings) == (1, 1, 1)


async def test_a_ping_is_not_answered_by_a_peer_that_does_not_read() -> None:
    client, here, server, there = await pair()
    there.pause_reading()
    here.ping()
    await settle()
    assert (client.heard, server.heard) == (0, 0)
    there.resume_reading()
    await settle()
    assert (client.heard, server.heard) == (0, 1)


async def test_an_end_says_whether_it_reads() -> None:
    _, _, _, there = await pair()
    states = [there.reading]
    there.pause_reading()
    states.append(there.reading)
    there.resume_reading()
    states.append(there.reading)
    assert states == [True, False, True]


async def test_a_paused_end_reads_nothing_until_it_resumes() -> None:
    _, here, server, there = await pair()
    there.pause_reading()
    here.send(b"one")
    await settle()
    assert server.log == []
    there.resume_reading()
    await settle()
    assert server.log == [b"one"]


async def test_a_slow_network_holds_writes_until_it_drains() -> None:
    _, here, _, _ = await pair()
    await here.drain()
    here.hold_writes = True
    here.hold_writes = True
    held = here.hold_writes
    draining = asyncio.ensure_future(here.drain())
    await settle()
    assert not draining.done()
    here.hold_writes = False
    await draining
    assert (held, here.hold_writes, here.writable) == (True, False, True)


async def test_a_close_reaches_both_ends_once() -> None:
    client, here, server, there = await pair()
    here.hold_writes = True
    there.hold_writes = True
    draining = [asyncio.ensure_future(end.drain()) for end in (here, there)]
    await settle()
    here.close(4000, "enough", 1.0)
    here.close(4001, "again", 1.0)
    here.abort()
    there.abort()
    await asyncio.gather(*draining)
    assert await client.closed == await server.closed == Closed(4000, "enough")


async def test_an_abort_is_a_lost_connection_for_both() -> None:
    client, here, server, _ = await pair()
    here.abort()
    assert await client.closed == await server.closed == Closed(None, "the connection was lost")


async def test_nothing_passes_a_closed_link() -> None:
    client, here, server, _ = await pair()
    here.send(b"before")
    here.close(1000, "", 1.0)
    here.send(b"after")
    here.ping()
    await settle()
    assert server.log == [b"before"]
    assert server.heard == 0
    assert here.sent == [b"before"]
    assert client.closed.done()


async def test_what_arrives_together_with_the_end_is_dropped_behind_it() -> None:
    client, here, server, there = await pair()
    there.pause_reading()
    here.close(1000, "", 1.0)
    there.ping()
    await settle()
    assert server.heard == 0
    assert client.closed.done()
    assert server.closed.done()


async def test_an_end_whose_peer_is_gone_already() -> None:
    client = Recorder()
    alone = MemoryLink(client)
    alone.send(b"to nobody")
    alone.ping()
    assert alone.sent == []
    assert alone.pings == 1
    alone.abort()
    assert (await client.closed).code is None


async def test_every_link_of_an_opener_gets_a_new_listener() -> None:
    servers: list[Recorder] = []

    def make() -> Recorder:
        servers.append(Recorder())
        return servers[-1]

    connect = memory_opener(make)
    for _ in range(2):
        client = Recorder()
        link = await connect("ws://localhost", client, OpenOptions())
        assert client.transport is link
        link.send(b"hello")
        await settle()
        assert servers[-1].log == [b"hello"]
        link.abort()
        await client.closed
    assert len(servers) == 2


@virtual
async def test_messages_take_their_time_and_stay_in_order() -> None:
    client, server = Recorder(), Recorder()
    here, there = memory_pair(client, server, delay=0.5)
    for number in range(20):
        here.send(b"%d" % number)
    there.send(b"back")
    await asyncio.sleep(0.4)
    assert server.log == client.log == []
    await asyncio.sleep(0.2)
    assert server.log == [b"%d" % number for number in range(20)]
    assert client.log == [b"back"]
    here.close(1000, "", 1.0)
    await asyncio.sleep(0.6)
    assert server.closed.result() == Closed(1000, "")
