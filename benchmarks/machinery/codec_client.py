"""What a round trip costs without a connection around it: our codec on a bare picows link, with a future for a call."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

import cryptoproto as cp
from cryptoproto.messages import Message, Unknown, decode, encode
from cryptoproto.wire import ClientSession, Opened, ResponseFrame

from .processes import Responder
from .samples import CLIENT_ID

__all__ = ["CodecClient", "codec_client"]

_BINARY = WSMsgType.BINARY


class CodecClient(WSListener):
    """The least code that speaks the protocol. One request at a time, and nothing ends it."""

    def __init__(self, session: ClientSession) -> None:
        super().__init__()
        self._session = session
        self._loop = asyncio.get_running_loop()
        self._transport: WSTransport | None = None
        self._answer: asyncio.Future[bytes] | None = None
        self.opened: asyncio.Future[None] = self._loop.create_future()

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        transport.send(_BINARY, self._session.hello())

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type != _BINARY:
            return
        received = self._session.receive(frame.get_payload_as_bytes())
        if type(received) is ResponseFrame and self._answer is not None:
            self._answer.set_result(received.payload)
        elif isinstance(received, Opened):
            transport.send(_BINARY, received.proof)
            self.opened.set_result(None)

    async def request(self, message: cp.UserBalanceRequest) -> Message | Unknown:
        assert self._transport is not None
        self._answer = self._loop.create_future()
        self._transport.send(_BINARY, self._session.request_frame(encode(message))[1])
        return decode(await self._answer)


@asynccontextmanager
async def codec_client(server: Responder) -> AsyncIterator[CodecClient]:
    """Connected to the responder while the block runs."""
    session = ClientSession(
        client_id=CLIENT_ID,
        private_key=cp.PrivateKey.load(server.directory / "client.pem"),
        server_key=cp.PublicKey.load(server.directory / "server.pub"),
        random=os.urandom,
        protocol=cp.Protocol.V5,
    )
    transport, listener = await ws_connect(lambda: CodecClient(session), server.url)
    assert isinstance(listener, CodecClient)
    try:
        await listener.opened
        yield listener
    finally:
        transport.disconnect()
