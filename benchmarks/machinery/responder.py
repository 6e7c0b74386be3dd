"""The process at the other end: it answers requests, sends streams of events, and echoes.

``python -m benchmarks.machinery.responder DIRECTORY`` reads the keys in the directory, prints its three ports as one
line of JSON, and ends when its standard input is closed.

It knows five requests. ``PrepareStream`` prepares the frames of a number of events (of the kind ``orders``, the events
of orders from placement to end; of the kind ``standing``, of orders that stay open; or of a ``size`` in bytes), and
``StartStream`` sends them. ``StartTicks`` sends events at a steady rate (see ``metronome``); ``FinishTicks`` is
answered once the times at which they were sent are in the file. ``UserBalanceRequest`` is answered with a balance.

Stream frames are written in large pieces, so only the client limits the speed. Of a balance request only the id is
read: one decryption, one encryption and a few copied bytes, so that a round trip measures mostly the client. It is
recognized by its length, which is why other short requests are padded. At the third port, ticks come without WebSocket
and encryption.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from struct import Struct
from typing import Final

from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

import cryptoproto as cp
from cryptoproto.wire import ClientHello, Proven, RequestFrame, ServerFrameCodec, ServerSession

from .metronome import start_ticks
from .runtime import run
from .samples import (
    BALANCE,
    BALANCE_REQUEST_FRAME_BYTES,
    EVENT_FRAME_BYTES,
    TIMESTAMP,
    event_json,
    order_event_json,
    sized_event_json,
    standing_order_json,
)

__all__ = ["Echo", "Seat", "main"]

_EVENTS_PER_WRITE: Final = 1000
_MAKERS: Final = {"fills": event_json, "orders": order_event_json, "standing": standing_order_json}
_WS_HEAD: Final = Struct(">BBH")
_MOMENT: Final = Struct("<d")
_BINARY = WSMsgType.BINARY
_ANSWER: Final = ServerFrameCodec(cp.Protocol.V5).padded_response(0, BALANCE)
_ANSWER_HEAD: Final = _ANSWER[:4]
_ANSWER_REST: Final = _ANSWER[12:]  # what follows the request id


class Seat(WSListener):
    """The exchange's end of one connection."""

    def __init__(self, key: cp.PrivateKey, client_key: cp.PublicKey, folder: Path) -> None:
        super().__init__()
        self._session = ServerSession(key, os.urandom)
        self._client_key = client_key
        self._folder = folder
        self._next_event = 1
        self._stream: Iterable[bytes] = ()
        self._streaming: asyncio.Task[None] | None = None
        self._ticking: threading.Thread | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        # Set when the handshake is done.
        self._decrypt: Callable[[bytes], bytes]
        self._encrypt: Callable[[bytes], bytes]
        self._draw: Callable[[], None]
        self._nonces: list[bytes]

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type != _BINARY:
            if frame.msg_type == WSMsgType.CLOSE:
                transport.send_close(frame.get_close_code())
                transport.disconnect()
            return
        data = frame.get_payload_as_bytes()
        if len(data) == BALANCE_REQUEST_FRAME_BYTES:
            if not self._nonces:
                self._draw()
            request_id = self._decrypt(data)[20:28]
            transport.send(_BINARY, self._encrypt(self._nonces.pop() + _ANSWER_HEAD + request_id + _ANSWER_REST))
            return
        received = self._session.receive(data)
        if isinstance(received, RequestFrame):
            self._on_command(transport, received.payload)
            transport.send(_BINARY, self._session.response(received.request_id, BALANCE))
        elif isinstance(received, ClientHello):
            transport.send(_BINARY, self._session.accept(self._client_key, 0))
        elif isinstance(received, Proven):
            opener, sealer = self._session._opener, self._session._sealer
            assert opener is not None
            assert sealer is not None
            self._decrypt, self._encrypt = opener.update, sealer.update
            self._nonces, self._draw = sealer.nonces, sealer.draw

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if self._streaming is not None:
            self._streaming.cancel()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def _on_command(self, transport: WSTransport, payload: bytes) -> None:
        command = json.loads(payload)
        if command["@type"] == "PrepareStream":
            make = _MAKERS[command.get("kind", "fills")]
            if "size" in command:
                make = partial(sized_event_json, command["size"])
            pieces = self._pieces(command["count"], make)
            self._stream = pieces if command["as_it_goes"] else list(pieces)
        elif command["@type"] == "StartTicks":
            first = self._next_event
            self._next_event += command["count"]
            connected = transport.underlying_transport.get_extra_info("socket")
            self._ticking = start_ticks(
                connected,
                command["rate"],
                command["count"],
                lambda number, due: self._websocket_frame(first + number, event_json(first + number), due),
                self._folder,
            )
        elif command["@type"] == "FinishTicks" and self._ticking is not None:
            self._ticking.join()
        elif command["@type"] == "StartStream":
            self._streaming = asyncio.get_running_loop().create_task(self._send_stream(transport.underlying_transport))

    def _pieces(self, count: int, make: Callable[[int], bytes]) -> Iterator[bytes]:
        for start in range(self._next_event, self._next_event + count, _EVENTS_PER_WRITE):
            stop = min(start + _EVENTS_PER_WRITE, self._next_event + count)
            yield b"".join(self._websocket_frame(number, make(number)) for number in range(start, stop))
        self._next_event += count

    def _websocket_frame(self, number: int, payload: bytes, timestamp: float | None = None) -> bytes:
        at = TIMESTAMP + number / 1000 if timestamp is None else timestamp
        frame = self._session.transaction(number, at, payload)
        return _WS_HEAD.pack(0x82, 126, len(frame)) + frame

    async def _send_stream(self, socket: asyncio.Transport) -> None:
        for piece in self._stream:
            await self._writable.wait()
            socket.write(piece)
            await asyncio.sleep(0)
        self._stream = ()


class Echo(WSListener):
    """The floor of a round trip: answers each frame with *answer* and does nothing else."""

    def __init__(self, answer: bytes) -> None:
        super().__init__()
        self._answer = answer

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == _BINARY:
            frame.get_payload_as_bytes()
            transport.send(_BINARY, self._answer)
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()


async def _tick_plainly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, folder: Path) -> None:
    """The same without WebSocket and encryption: a line with rate and count is answered with messages of that size."""
    rate, count = (await reader.readline()).split()
    rest = bytes(EVENT_FRAME_BYTES - 8)
    connected = writer.get_extra_info("socket")
    ticking = start_ticks(connected, float(rate), int(count), lambda _, due: _MOMENT.pack(due) + rest, folder)
    await asyncio.to_thread(ticking.join)
    writer.close()


async def _serve(directory: Path) -> None:
    key = cp.PrivateKey.load(directory / "server.pem")
    client_key = cp.PublicKey.load(directory / "client.pub")
    answer = bytes(int((directory / "answer_bytes").read_text()))

    def seat(_request: WSUpgradeRequest) -> Seat:
        return Seat(key, client_key, directory)

    def echo(_request: WSUpgradeRequest) -> Echo:
        return Echo(answer)

    exchange = await ws_create_server(seat, "127.0.0.1", 0)
    echoes = await ws_create_server(echo, "127.0.0.1", 0)
    plain = await asyncio.start_server(partial(_tick_plainly, folder=directory), "127.0.0.1", 0)
    ports = [server.sockets[0].getsockname()[1] for server in (exchange, echoes, plain)]
    print(json.dumps(dict(zip(("exchange", "echo", "plain"), ports, strict=True))), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    exchange.close()
    echoes.close()
    plain.close()


def main(directory: str, uvloop: str = "") -> None:
    run(_serve(Path(directory)), uvloop=uvloop == "uvloop")


if __name__ == "__main__":
    main(*sys.argv[1:])
