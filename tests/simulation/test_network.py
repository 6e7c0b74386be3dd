"""The simulated network: bytes come late and in order, links break at a byte, and whoever does not read stalls them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cryptoproto.transport import Closed, OpenOptions, Transport
from tests.support.simulation.network import LinkEnd, Network
from tests.support.virtual_time import virtual


class Ear:
    """Remembers what a link tells it."""

    def __init__(self) -> None:
        self.transport: LinkEnd
        self.heard: list[Any] = []
        self.signs = 0
        self.closed: Closed | None = None

    def on_open(self, transport: Transport) -> None:
        assert isinstance(transport, LinkEnd)
        self.transport = transport

    def on_message(self, data: bytes, more: bool = False) -> None:
        self.heard.append((asyncio.get_running_loop().time(), data))

    def on_text(self, text: str) -> None:
        raise AssertionError(text)

    def on_heard(self) -> None:
        self.signs += 1

    def on_closed(self, closed: Closed) -> None:
        assert self.closed is None
        self.closed = closed


async def linked(window: int = 100, jitter: float = 0.0) -> tuple[Network, Ear, Ear]:
    network, here, there = Network(1, 0.5, jitter, window, lambda *_: None), Ear(), Ear()
    server = await network.serve(lambda: there, "127.0.0.1", 9)
    await network.opener("alice")("ws://127.0.0.1:9", here, OpenOptions())
    server.close()
    with pytest.raises(ConnectionRefusedError):
        await network.opener("alice")("ws://127.0.0.1:9", Ear(), OpenOptions())
    return network, here, there


@virtual
async def test_messages_arrive_late_and_in_order() -> None:
    _, here, there = await linked(window=10_000, jitter=5.0)
    begun = asyncio.get_running_loop().time()
    for number in range(20):
        here.transport.send(b"%d" % number)
    await asyncio.sleep(6)
    assert [data for _, data in there.heard] == [b"%d" % number for number in range(20)]
    times = [when for when, _ in there.heard]
    assert times == sorted(times)
    assert times[0] >= begun + 0.5
    here.transport.abort()
    await asyncio.sleep(10)
    assert here.closed is not None
    assert there.closed is not None
    assert there.closed.code is None


@virtual
async def test_a_link_is_closed_with_a_code() -> None:
    _, here, there = await linked()
    there.transport.ping()
    here.transport.send(b"last")
    here.transport.close(4001, "why", 5.0)
    here.transport.send(b"too late")
    await asyncio.sleep(3)
    assert [data for _, data in there.heard] == [b"last"]
    assert here.closed == there.closed == Closed(4001, "why")


@virtual
async def test_a_peer_that_does_not_read_stalls_the_link() -> None:
    _, here, there = await linked()
    there.transport.pause_reading()
    here.transport.send(bytes(60))
    before = here.transport.writable
    here.transport.send(bytes(60))
    assert (before, here.transport.writable) == (True, False)
    draining = asyncio.create_task(here.transport.drain())
    await asyncio.sleep(100)
    assert not there.heard
    assert not draining.done()
    there.transport.resume_reading()
    await draining
    assert len(there.heard) == 2
    here.transport.abort()
    await asyncio.sleep(1)


@virtual
async def test_a_link_breaks_at_a_byte() -> None:
    network, here, there = await linked(window=10_000)
    here.transport.cut_after = 100
    for _ in range(10):
        here.transport.send(bytes(20))
        await asyncio.sleep(1)
    assert len(there.heard) == 3  # 26 bytes each, and none in part
    assert here.closed is not None
    assert there.closed is not None
    assert not network.ends


@virtual
async def test_a_half_open_link_says_nothing() -> None:
    network, here, there = await linked()
    network.lose(here.transport, silent=there.transport)
    there.transport.send(b"is anybody there?")
    there.transport.ping()
    await asyncio.sleep(100)
    assert here.closed is not None
    assert there.closed is None
    assert not there.signs
    there.transport.close(1001, "silence", 1.0)
    await asyncio.sleep(2)
    assert there.closed == Closed(None, "the connection was lost")


@virtual
async def test_a_process_that_is_gone() -> None:
    for reset in (True, False):
        network, here, there = await linked()
        here.transport.send(b"under way")
        network.sever("alice", reset=reset)
        await asyncio.sleep(10)
        assert not there.heard
        assert (there.closed is not None) is reset
        there.transport.abort()
        await asyncio.sleep(1)
