"""The floor of a round trip: a bare picows client that sends a frame and waits for the next one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

__all__ = ["EchoClient", "echo_client"]

_BINARY = WSMsgType.BINARY


class EchoClient(WSListener):
    """The least code that does it."""

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


@asynccontextmanager
async def echo_client(url: str) -> AsyncIterator[EchoClient]:
    """Connected while the block runs."""
    transport, listener = await ws_connect(EchoClient, url)
    assert isinstance(listener, EchoClient)
    try:
        yield listener
    finally:
        transport.disconnect()
