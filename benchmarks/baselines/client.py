"""A straightforward client of the same protocol: an aiohttp WebSocket, the baseline codec, one task for each event."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

import xdrlib3

import cryptoproto as cp

from . import codec

__all__ = ["BaselineClient", "Handler", "WebSocket"]

WebSocket = Any  # of aiohttp, or what has its methods
Handler = Callable[[int, float, dict[str, Any]], Awaitable[None]]


class BaselineClient:
    """One connection over *websocket*; each event starts a task that runs *handler*."""

    def __init__(self, websocket: WebSocket, handler: Handler) -> None:
        self._websocket = websocket
        self._handler = handler
        self._client_aes_key = os.urandom(32)
        self._server_aes_key = b""
        self._next_request_id = 1
        self._tasks: set[asyncio.Task[None]] = set()

    async def handshake(self, client_id: str, private_key: cp.PrivateKey, server_key: cp.PublicKey) -> None:
        packer = xdrlib3.Packer()
        packer.pack_bytes(client_id.encode())
        packer.pack_hyper(0)
        packer.pack_bytes(self._client_aes_key)
        packer.pack_uint(5)
        await self._websocket.send_bytes(server_key.encrypt(packer.get_buffer()))
        unpacker = xdrlib3.Unpacker(private_key.decrypt(await self._websocket.receive_bytes()))
        challenge = unpacker.unpack_bytes()
        unpacker.unpack_hyper()
        self._server_aes_key = unpacker.unpack_bytes()
        await self._websocket.send_bytes(private_key.sign(challenge))

    async def request(self, message: dict[str, Any]) -> dict[str, Any]:
        """Send a request and wait for its response, which must be the next frame."""
        request_id = self._next_request_id
        self._next_request_id += 1
        await self._websocket.send_bytes(codec.encode_request(self._client_aes_key, request_id, message))
        answered, payload = codec.decode_response(self._server_aes_key, await self._websocket.receive_bytes())
        if answered != request_id:
            raise ValueError(f"expected the response to request {request_id}, received the one to {answered}")
        return payload

    async def receive_events(self, count: int) -> None:
        """Receive *count* events and wait until all of them have been handled."""
        received = 0
        async for message in self._websocket:
            transaction_id, timestamp, payload = codec.decode_event(self._server_aes_key, message.data)
            task = asyncio.create_task(self._handle(transaction_id, timestamp, payload))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            received += 1
            if received == count:
                break
        while self._tasks:
            await asyncio.gather(*self._tasks)

    async def _handle(self, transaction_id: int, timestamp: float, payload: dict[str, Any]) -> None:
        await self._handler(transaction_id, timestamp, payload)
