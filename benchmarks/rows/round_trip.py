"""The round trip of a request over loopback, against a bare picows echo, and against the codec on such a link."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from typing import Final

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

import cryptoproto as cp
from cryptoproto.messages import decode, encode
from cryptoproto.wire import ClientSession, Opened, ResponseFrame

from ..machinery import samples
from ..machinery.effort import Effort
from ..machinery.link import connect_to
from ..machinery.processes import Responder
from ..machinery.report import Row
from ..machinery.runtime import run

__all__ = ["ROUNDS", "rows"]

ROUNDS: Final = 9

_BINARY = WSMsgType.BINARY


class _EchoClient(WSListener):
    """The least code that sends a frame and waits for the next one."""

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._transport: WSTransport | None = None
        self._answer: asyncio.Future[bytes] | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == _BINARY and self._answer is not None:
            self._answer.set_result(frame.get_payload_as_bytes())

    async def request(self, frame: bytes) -> bytes:
        assert self._transport is not None
        self._answer = self._loop.create_future()
        self._transport.send(_BINARY, frame)
        return await self._answer


class _CodecClient(WSListener):
    """The least code that speaks the protocol: our session and messages, and one future for the next response."""

    def __init__(self, session: ClientSession) -> None:
        super().__init__()
        self._session = session
        self._loop = asyncio.get_running_loop()
        self._transport: WSTransport | None = None
        self.opened: asyncio.Future[None] = self._loop.create_future()
        self._answer: asyncio.Future[bytes] | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        transport.send(_BINARY, self._session.hello())

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type != _BINARY:
            return
        received = self._session.receive(frame.get_payload_as_bytes())
        if isinstance(received, ResponseFrame) and self._answer is not None:
            self._answer.set_result(received.payload)
        elif isinstance(received, Opened):
            transport.send(_BINARY, received.proof)
            self.opened.set_result(None)

    async def request(self, message: cp.UserBalanceRequest) -> object:
        assert self._transport is not None
        self._answer = self._loop.create_future()
        self._transport.send(_BINARY, self._session.request_frame(encode(message))[1])
        return decode(await self._answer)


def rows(effort: Effort) -> list[Row]:
    """The medians of all three, in blocks that take turns."""
    server = effort.responder
    triples = run(_measure(effort, server), uvloop=server.uvloop)
    echo = "round trip of a request (p50), against a bare picows echo"
    codec = "the same, against our codec on a bare picows link"
    return [
        Row.from_pairs("round-trip", echo, [(ours, echo) for ours, echo, _ in triples], unit="us", at_most=1.5),
        Row.from_pairs("round-trip-codec", codec, [(ours, bare) for ours, _, bare in triples], unit="us", at_most=1.15),
    ]


async def _measure(effort: Effort, server: Responder) -> list[tuple[float, float, float]]:
    block = effort.scaled(400)
    request = cp.UserBalanceRequest()
    session, _ = samples.open_sessions(cp.Protocol.V5)
    frame = session.seal(session.draft_request(encode(request)))
    transport, listener = await ws_connect(_EchoClient, server.echo_url)
    assert isinstance(listener, _EchoClient)

    bare_transport, bare = await ws_connect(lambda: _CodecClient(_session(server)), server.url)
    assert isinstance(bare, _CodecClient)
    await bare.opened

    async def ours() -> None:
        await connection.request(request)

    async def echo() -> None:
        await listener.request(frame)

    async def codec() -> None:
        await bare.request(request)

    async with connect_to(server.url, server.directory) as connection:
        triples: list[tuple[float, float, float]] = []
        trips = [ours, echo, codec]
        for number in range(effort.rounds + 1):
            samples_us: list[list[int]] = [[], [], []]
            # Each round is many short blocks, so that a change of load meets all.
            for turn in range(15):
                place = (turn + number) % 3
                await _time(trips[place], block // 5, samples_us[place])
            first, second, third = (statistics.median(each) / 1000 for each in samples_us)
            triples.append((first, second, third))
    transport.disconnect()
    bare_transport.disconnect()
    return triples[1:]  # the first warmed up


def _session(server: Responder) -> ClientSession:
    return ClientSession(
        client_id=samples.CLIENT_ID,
        private_key=cp.PrivateKey.load(server.directory / "client.pem"),
        server_key=cp.PublicKey.load(server.directory / "server.pub"),
        random=os.urandom,
        protocol=cp.Protocol.V5,
    )


async def _time(trip: object, count: int, into: list[int]) -> None:
    clock = time.perf_counter_ns
    for _ in range(count):
        start = clock()
        await trip()  # type: ignore[operator]
        into.append(clock() - start)
