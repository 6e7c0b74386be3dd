"""The proxy breaks connections in the way that it is ordered to, and passes everything else on as it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from tests.support.fault_proxy import Fault, FaultProxy
from tests.support.websocket_frames import PONG, FrameScanner

HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
PING_FRAME, PONG_FRAME = b"\x89\x00", b"\x8a\x84maskpong"
FRAMES = (
    b"\x82\x7e\x01\x00" + b"x" * 256,
    PING_FRAME,
    PONG_FRAME,
    b"\x82\x7f" + (65536).to_bytes(8, "big") + b"y" * 65536,
)

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000, 100_000])
def test_each_byte_belongs_to_its_frame(size: int) -> None:
    stream = HEAD + b"".join(FRAMES)
    scanner = FrameScanner()
    found: list[tuple[int, bytes]] = []
    is_new = True
    for start in range(0, len(stream), size):
        for opcode, data, ends in scanner.feed(stream[start : start + size]):
            if is_new:
                found.append((opcode, b""))
            found[-1] = opcode, found[-1][1] + data
            is_new = ends
    assert found == [(-1, HEAD), (2, FRAMES[0]), (9, PING_FRAME), (PONG, PONG_FRAME), (2, FRAMES[3])]


@asynccontextmanager
async def through_a_proxy() -> AsyncIterator[tuple[FaultProxy, Streams, Streams]]:
    """A proxy, and both ends of a connection through it."""
    accepted: asyncio.Queue[Streams] = asyncio.Queue()
    server = await asyncio.start_server(lambda *ends: accepted.put_nowait(ends), "127.0.0.1", 0)
    async with FaultProxy.to(server.sockets[0].getsockname()[1]) as proxy:
        near = await asyncio.open_connection("127.0.0.1", proxy.port)
        far = await accepted.get()
        try:
            yield proxy, near, far
        finally:
            for _, writer in (near, far):
                writer.close()
                with suppress(ConnectionError):
                    await writer.wait_closed()
            server.close()


async def test_without_a_fault_everything_passes() -> None:
    async with through_a_proxy() as (proxy, near, far):
        sent = HEAD + b"".join(FRAMES)
        near[1].write(sent)
        assert await far[0].readexactly(len(sent)) == sent
        far[1].write(sent[::-1])
        far[1].write_eof()
        assert await near[0].read(-1) == sent[::-1]
        near[1].write(b"more")  # the other direction is still open
        near[1].write_eof()
        assert await far[0].read(-1) == b"more"
    assert proxy.connections == 1
    assert not proxy.struck


async def test_a_cut_comes_after_so_many_bytes() -> None:
    async with through_a_proxy() as (proxy, near, far):
        proxy.arm(Fault("cut", "up", after=5))
        near[1].write(b"abc")
        assert await far[0].readexactly(3) == b"abc"
        near[1].write(b"defg")
        assert await far[0].read(-1) == b"de"
        with suppress(ConnectionError):
            assert await near[0].read(-1) == b""
    assert proxy.struck == {"cut": 1}


async def test_a_reset_is_felt_at_both_ends() -> None:
    async with through_a_proxy() as (proxy, near, far):
        proxy.arm(Fault("reset", "down", after=0))
        far[1].write(b"a")
        for reader, _ in (near, far):
            with pytest.raises(ConnectionResetError):
                await reader.read(-1)


@pytest.mark.parametrize("kind", ["stall", "half open", "one byte"])
async def test_what_is_slow_arrives_all_the_same(kind: str) -> None:
    async with through_a_proxy() as (proxy, near, far):
        fault = Fault(kind, "up", after=1, seconds=0.01)  # type: ignore[arg-type]
        proxy.arm(fault)
        near[1].write(b"abcdefgh" * 100)
        await fault.struck.wait()
        far[1].write(b"back")
        assert await near[0].readexactly(4) == b"back"
        assert await far[0].readexactly(800) == b"abcdefgh" * 100


async def test_one_bit_changes() -> None:
    async with through_a_proxy() as (proxy, near, far):
        proxy.arm(Fault("corrupt", "up", after=3))
        near[1].write(b"\0\0\0\0\0\0")
        assert sum(byte.bit_count() for byte in await far[0].readexactly(6)) == 1


async def test_a_late_pong_comes_between_two_frames() -> None:
    async with through_a_proxy() as (proxy, near, far):
        proxy.arm(Fault("late pongs", "up", after=len(HEAD), seconds=0.01))
        near[1].write(HEAD + PONG_FRAME + FRAMES[0][:100])
        assert await far[0].readexactly(len(HEAD) + 100) == HEAD + FRAMES[0][:100]
        near[1].write(FRAMES[0][100:] + PING_FRAME)
        rest = await far[0].readexactly(len(FRAMES[0]) - 100 + len(PING_FRAME) + len(PONG_FRAME))
        assert rest.replace(PONG_FRAME, b"") == FRAMES[0][100:] + PING_FRAME
        assert rest.startswith(FRAMES[0][100:])
