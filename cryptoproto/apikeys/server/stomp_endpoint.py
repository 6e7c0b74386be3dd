"""The STOMP endpoint: an ASGI WebSocket application that checks CONNECT, then serves a broker's topics."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from ...exceptions import ConnectionClosed, CredentialsRefused, DecodeError, HeartbeatTimeout
from ..stomp_frames import (
    DEFAULT_MAXIMUM_BODY,
    HEARTBEAT,
    VERSIONS,
    Frame,
    FrameParser,
    encode_frame,
    heart_beats,
    parse_heart_beat,
)
from .gatekeeper import Gatekeeper
from .request_check import Principal
from .stomp_broker import StompBroker
from .stomp_peer import Authorize, Outbox, StompPeer, StompRefusal, allow_by_authorities

__all__ = ["Authorize", "StompEndpoint"]

logger: logging.Logger = logging.getLogger("cryptoproto.apikeys")

_SUBPROTOCOLS: Final = {"v12.stomp": "1.2", "v11.stomp": "1.1"}
_GRACE: Final = 2.0  # how many times its interval a heart-beat may take; networks delay


class StompEndpoint:
    """STOMP 1.1 and 1.2 over WebSocket, for clients whose CONNECT frame is signed.

    Args:
        gatekeeper: checks the CONNECT frames. Share the middleware's object, because sessions are in it.
        broker: whose topics are served.
        authorize: called for every SUBSCRIBE and SEND. By default a key needs the authority ``TB_ALLOW_READ`` to
            subscribe and ``TB_ALLOW_WRITE`` to send.
        heart_beat_ms: how often we can send, and how often we want to receive, in milliseconds; 0 for never.
        connect_timeout: seconds that a client has for its CONNECT frame.
        max_body: bytes of the longest message accepted.
        max_queue: how many messages may wait for one client. One more ends its connection.
        max_queue_bytes: how many bytes may wait for one client.
        max_subscriptions: how many subscriptions one client may have.
        clock: seconds, for the heart-beats.
        sleep: waits between heart-beats.
    """

    def __init__(
        self,
        gatekeeper: Gatekeeper,
        broker: StompBroker,
        *,
        authorize: Authorize = allow_by_authorities,
        heart_beat_ms: tuple[int, int] = (10_000, 10_000),
        connect_timeout: float = 10.0,
        max_body: int = DEFAULT_MAXIMUM_BODY,
        max_queue: int = 4096,
        max_queue_bytes: int = 16 * 1024 * 1024,
        max_subscriptions: int = 128,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._gatekeeper = gatekeeper
        self._broker = broker
        self._authorize = authorize
        self._heart_beat_ms = heart_beat_ms
        self._connect_timeout = connect_timeout
        self._max_body = max_body
        self._max_queue = max_queue
        self._max_queue_bytes = max_queue_bytes
        self._max_subscriptions = max_subscriptions
        self._clock = clock
        self._sleep = sleep

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one WebSocket."""
        socket = WebSocket(scope, receive, send)
        offered = [name for name in scope.get("subprotocols", ()) if name in _SUBPROTOCOLS]
        await socket.accept(subprotocol=offered[0] if offered else None)
        # No bodies before the credentials are checked.
        link = _Link(socket, FrameParser(maximum_body=0), self._clock)
        code, reason = 1000, ""
        try:
            await self._serve(link)
        except ConnectionClosed as error:
            logger.info("a STOMP connection ended: %s", error)
            code, reason = error.code or 1011, error.reason
        except (CredentialsRefused, DecodeError, StompRefusal) as error:
            logger.info("a STOMP connection was refused: %s", error)
            code, reason = 1008, "see the ERROR frame"
            text = error.description if isinstance(error, CredentialsRefused) else str(error)
            await link.send_error(text, error.receipt if isinstance(error, StompRefusal) else None)
        await link.close(code, reason)

    async def _serve(self, link: _Link) -> None:
        try:
            async with asyncio.timeout(self._connect_timeout):
                frame = await link.first_frame()
        except TimeoutError:
            raise StompRefusal(f"no CONNECT frame arrived within {self._connect_timeout:g} s") from None
        version, principal = self._welcome(frame)
        link.parser.version = version
        link.parser.maximum_body = self._max_body
        ours = self._heart_beat_ms
        send_s, expect_s = heart_beats(ours, parse_heart_beat(frame.headers.get("heart-beat")))
        connected = {
            "version": version,
            "heart-beat": f"{ours[0]},{ours[1]}",
            "server": "cryptoproto",
            "user-name": principal.user,
        }
        if not principal.user.isprintable():  # CONNECTED has no escapes
            del connected["user-name"]
        await link.send(encode_frame(Frame("CONNECTED", connected)))
        outbox = Outbox(version, self._max_queue, self._max_queue_bytes)
        peer = StompPeer(
            principal,
            version,
            self._broker,
            self._authorize,
            outbox,
            lambda: self._gatekeeper.still_stands(principal),
            max_subscriptions=self._max_subscriptions,
        )
        with peer:
            await self._converse(link, peer, outbox, send_s, expect_s * _GRACE)

    def _welcome(self, frame: Frame) -> tuple[str, Principal]:
        if frame.command not in ("CONNECT", "STOMP"):
            raise StompRefusal("the first frame must be CONNECT")
        accepted = frame.headers.get("accept-version", "1.0").split(",")
        version = next((known for known in VERSIONS if known in (one.strip() for one in accepted)), None)
        if version is None:
            raise StompRefusal(f"supported versions are {' and '.join(reversed(VERSIONS))}")
        return version, self._gatekeeper.check_connect(frame.headers)

    async def _converse(self, link: _Link, peer: StompPeer, outbox: Outbox, send_s: float, patience_s: float) -> None:
        """Read, write and watch the time until one of them ends. Its reason is the connection's."""
        reader = asyncio.create_task(self._read(link, peer))
        writer = asyncio.create_task(self._write(link, outbox))
        tasks = [reader, writer]
        if send_s:
            tasks.append(asyncio.create_task(self._beat(link, send_s)))
        if patience_s:
            tasks.append(asyncio.create_task(self._watch(link, patience_s)))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if reader in done and reader.exception() is None:  # after a DISCONNECT its receipt has to be written
                outbox.finish()
                await asyncio.wait([writer], timeout=self._connect_timeout)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        failures = [error for task in tasks if not task.cancelled() and (error := task.exception()) is not None]
        if failures:  # if several failed at once, the reader's is the most precise, and it is the first
            raise failures[0]

    async def _read(self, link: _Link, peer: StompPeer) -> None:
        while True:
            for frame in await link.frames():
                if not peer.take(frame):
                    return

    async def _write(self, link: _Link, outbox: Outbox) -> None:
        while True:
            while (data := outbox.pop()) is not None:
                await link.send(data)
            if outbox.finished:
                return
            await outbox.wait()

    async def _beat(self, link: _Link, interval_s: float) -> None:
        while True:
            due = link.sent_at + interval_s
            if (now := self._clock()) < due:
                await self._sleep(due - now)
            else:
                await link.send(HEARTBEAT)

    async def _watch(self, link: _Link, patience_s: float) -> None:
        while (left := link.heard_at + patience_s - self._clock()) > 0:
            await self._sleep(left)
        raise HeartbeatTimeout(1002, f"no data arrived for {patience_s:g} s")


class _Link:
    """The WebSocket below a connection: frames in, bytes out, and the time of the last one each way."""

    __slots__ = ("_clock", "_open", "_socket", "heard_at", "parser", "sent_at")

    def __init__(self, socket: WebSocket, parser: FrameParser, clock: Callable[[], float]) -> None:
        self._socket = socket
        self._clock = clock
        self._open = True
        self.parser = parser
        self.heard_at = self.sent_at = clock()

    async def frames(self) -> list[Frame]:
        """The frames that the next message completes; may be none. Raises ConnectionClosed and DecodeError."""
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            self._open = False
            raise ConnectionClosed(message.get("code", 1005), "the client closed")
        self.heard_at = self._clock()
        data = message.get("text")
        found = self.parser.feed(data if data is not None else message.get("bytes") or b"")
        return [frame for frame in found if frame is not None]

    async def first_frame(self) -> Frame:
        """The CONNECT frame. Nothing else may come with it, because its answer decides how the rest is read."""
        while not (frames := await self.frames()):
            pass
        if len(frames) > 1:
            raise DecodeError("wait for CONNECTED before sending more frames")
        return frames[0]

    async def send(self, data: bytes) -> None:
        """Send one message, as text if it is UTF-8, otherwise as binary. Raises ConnectionClosed."""
        self.sent_at = self._clock()
        try:
            text = data.decode()
        except UnicodeDecodeError:
            message: Message = {"type": "websocket.send", "bytes": data}
        else:
            message = {"type": "websocket.send", "text": text}
        try:
            await self._socket.send(message)
        except (WebSocketDisconnect, OSError):
            self._open = False
            raise ConnectionClosed(1006, "the client left") from None

    async def send_error(self, text: str, receipt: str | None) -> None:
        """Send an ERROR frame if the client is still connected."""
        if not self._open:
            return
        headers = {"message": text, "content-type": "text/plain"}
        if receipt is not None:
            headers["receipt-id"] = receipt
        with contextlib.suppress(ConnectionClosed):
            await self.send(encode_frame(Frame("ERROR", headers, text.encode()), self.parser.version))

    async def close(self, code: int, reason: str) -> None:
        """Close the WebSocket unless the client did."""
        if self._open:
            self._open = False
            with contextlib.suppress(WebSocketDisconnect, OSError):
                await self._socket.close(code, reason[:120])
