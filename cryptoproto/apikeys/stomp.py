"""STOMP over WebSocket: one connection of a client, with the headers of either flow in its CONNECT."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import ssl as ssl_module
import time
from collections.abc import Awaitable, Callable, Generator, Mapping
from types import TracebackType
from typing import Final, Self

from ..exceptions import (
    ConfigurationError,
    ConnectionClosed,
    CryptoprotoError,
    DecodeError,
    HeartbeatTimeout,
    RequestNotSent,
    SlowConsumer,
    StompError,
)
from ..transport import TransportKind, TransportOpener
from .basic_auth import ApiKeyAuth
from .session_auth import SessionAuth
from .stomp_connect import introduce
from .stomp_frames import (
    DEFAULT_MAXIMUM_BODY,
    HEARTBEAT,
    VERSIONS,
    Frame,
    FrameParser,
    encode_frame,
    heart_beats,
    parse_heart_beat,
)
from .stomp_link import StompLink
from .stomp_subscription import AckMode, StompMessage, Subscription

__all__ = ["StompConnection"]

_ROOM_FOR_HEADERS: Final = 131_072  # in bytes; twice what the parser accepts
_SILENT_CLOSE_S: Final = 1.0  # for a silent gateway to answer a close
_GRACE: Final = 2.0  # how many times its interval a heart-beat may take; networks delay


class StompConnection:
    """A STOMP connection. Made by :meth:`connect`; belongs to one event loop.

    When it ends, every subscription and every waiting call ends with the same error.

    Attributes:
        version: of STOMP, as agreed: ``1.1`` or ``1.2``.
        headers: of the gateway's CONNECTED frame.
    """

    def __init__(
        self,
        link: StompLink,
        parser: FrameParser,
        connected: Frame,
        heart_beat_ms: tuple[int, int],
        *,
        max_queue: int,
        max_queue_bytes: int,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self.version: str = parser.version
        self.headers: Mapping[str, str] = connected.headers
        self._link = link
        self._parser = parser
        self._max_queue = max_queue
        self._max_queue_bytes = max_queue_bytes
        self._clock = clock
        self._sleep = sleep
        self._ids = itertools.count(1)
        self._subscriptions: dict[str, Subscription] = {}
        self._receipts: dict[str, asyncio.Future[None]] = {}
        self._ended: CryptoprotoError | None = None
        self._leaving = False
        self._sent_at = self._heard_at = clock()
        send_s, expect_s = heart_beats(heart_beat_ms, parse_heart_beat(connected.headers.get("heart-beat")))
        self._tasks = [asyncio.create_task(self._read(), name="cryptoproto-stomp-read")]
        if send_s:
            self._tasks.append(asyncio.create_task(self._beat(send_s), name="cryptoproto-stomp-beat"))
        if expect_s:
            self._tasks.append(asyncio.create_task(self._watch(expect_s * _GRACE), name="cryptoproto-stomp-watch"))

    @classmethod
    def connect(
        cls,
        url: str,
        *,
        auth: ApiKeyAuth | SessionAuth | None = None,
        headers: Mapping[str, str] | None = None,
        versions: tuple[str, ...] = VERSIONS,
        heart_beat_ms: tuple[int, int] = (10_000, 10_000),
        transport: TransportKind | TransportOpener = "auto",
        ssl: ssl_module.SSLContext | None = None,
        open_timeout: float | None = 10.0,
        max_queue: int = 4096,
        max_queue_bytes: int = 64 * 1024 * 1024,
        max_body: int = DEFAULT_MAXIMUM_BODY,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> _Connecting:
        """Connect: ``async with StompConnection.connect(url, auth=auth) as stomp``, or ``await`` it.

        Args:
            url: such as ``wss://host/stomp/v0``; ``ws://`` shows the credentials to the network.
            auth: signs the CONNECT frame.
            headers: more headers for the CONNECT frame.
            versions: the versions of STOMP to offer.
            heart_beat_ms: how often we can send, and how often we want to receive, in milliseconds; 0 for never.
            transport: ``"websockets"``, ``"picows"``, ``"auto"`` (picows if it is installed), or a custom opener.
            ssl: for ``wss://``. The default checks the gateway's certificate.
            open_timeout: seconds until CONNECTED.
            max_queue: how many messages may wait in one subscription. One more ends the connection.
            max_queue_bytes: how many bytes may wait in one subscription.
            max_body: bytes of the longest message accepted.
            clock: seconds, for the heart-beats.
            sleep: waits between heart-beats.

        Raises (when awaited or entered):
            ConfigurationError: an argument cannot be used.
            LoginRefused: the gateway answered the CONNECT with an ERROR frame.
            HandshakeError: the answer is not STOMP, or has none of *versions*.
            OSError: nothing answered; TimeoutError after *open_timeout*.
        """
        if not versions or any(version not in VERSIONS for version in versions):
            raise ConfigurationError(f"versions must be among {', '.join(VERSIONS)}")
        if max_queue < 1 or max_queue_bytes < 1 or max_body < 0 or min(heart_beat_ms) < 0:
            raise ConfigurationError(
                "max_queue and max_queue_bytes must be positive, max_body and heart_beat_ms not negative"
            )

        async def run() -> StompConnection:
            parser = FrameParser(maximum_body=max_body)
            link = StompLink(url, transport, ssl)
            try:
                async with asyncio.timeout(open_timeout):
                    await link.open(timeout=open_timeout, max_message_bytes=max_body + _ROOM_FOR_HEADERS)
                    connected = await introduce(link, parser, url, auth, headers or {}, versions, heart_beat_ms)
                return cls(
                    link,
                    parser,
                    connected,
                    heart_beat_ms,
                    max_queue=max_queue,
                    max_queue_bytes=max_queue_bytes,
                    clock=clock,
                    sleep=sleep,
                )
            except CryptoprotoError:
                link.close()
                await link.wait_closed()
                raise
            except BaseException:  # too late, or cancelled
                link.abort()
                raise

        return _Connecting(run)

    async def subscribe(
        self,
        destination: str,
        *,
        ack: AckMode = "auto",
        headers: Mapping[str, str] | None = None,
        receipt: bool = False,
    ) -> Subscription:
        """Subscribe to *destination*.

        Args:
            destination: such as ``/topic/streams``.
            ack: ``auto``, or ``client`` (one ACK for all messages so far), or ``client-individual``.
            headers: more headers for the frame.
            receipt: whether to wait until the gateway confirms. Some gateways never do.

        Returns:
            An async iterator of messages, and an async context manager that unsubscribes.
        """
        name = f"sub-{next(self._ids)}"
        subscription = Subscription(self, name, destination, ack, self._max_queue, self._max_queue_bytes)
        self._subscriptions[name] = subscription
        try:
            frame_headers = {**(headers or {}), "id": name, "destination": destination, "ack": ack}
            await self._command(Frame("SUBSCRIBE", frame_headers), receipt=receipt)
        except BaseException:
            self._subscriptions.pop(name, None)
            raise
        return subscription

    async def send(
        self,
        destination: str,
        body: bytes | str = b"",
        *,
        content_type: str | None = None,
        headers: Mapping[str, str] | None = None,
        receipt: bool = False,
    ) -> None:
        """Send a message to *destination*.

        Args:
            destination: such as ``/app/orders``.
            body: text is sent as UTF-8.
            content_type: by default ``text/plain`` for text and ``application/octet-stream`` for bytes.
            headers: more headers for the frame.
            receipt: whether to wait until the gateway confirms.

        Raises:
            ConnectionClosed: the connection has ended; ``sent`` says whether the message had left.
        """
        data = body.encode() if isinstance(body, str) else body
        kind = content_type or ("text/plain;charset=utf-8" if isinstance(body, str) else "application/octet-stream")
        frame_headers = {**(headers or {}), "destination": destination, "content-type": kind}
        await self._command(Frame("SEND", frame_headers, data), receipt=receipt)

    async def acknowledge(self, message: StompMessage, *, positive: bool = True) -> None:
        """Send ACK for *message*, or NACK if *positive* is false. See also :meth:`StompMessage.ack`."""
        if self.version == "1.2":
            headers = {"id": message.headers.get("ack", "")}
        else:
            headers = {
                "message-id": message.headers.get("message-id", ""),
                "subscription": message.headers.get("subscription", ""),
            }
        if not all(headers.values()):
            raise ConfigurationError(
                "this message does not ask for an acknowledgement; subscribe with ack='client-individual'"
            )
        await self._command(Frame("ACK" if positive else "NACK", headers))

    async def unsubscribe(self, subscription: Subscription) -> None:
        """End *subscription*. Its iterator ends after the messages that have arrived."""
        if self._subscriptions.pop(subscription.id, None) is None:
            return
        subscription._finish(None)
        if self._ended is None:
            await self._command(Frame("UNSUBSCRIBE", {"id": subscription.id}))

    async def _command(self, frame: Frame, *, receipt: bool = False) -> None:
        if self._ended is not None:
            raise _again(self._ended, sent=False)
        if not receipt:
            await self._write(encode_frame(frame, self.version))
            return
        name = f"receipt-{next(self._ids)}"
        data = encode_frame(Frame(frame.command, {**frame.headers, "receipt": name}, frame.body), self.version)
        confirmed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._receipts[name] = confirmed
        try:
            await self._write(data)
            await confirmed
        finally:
            self._receipts.pop(name, None)

    async def _write(self, data: bytes) -> None:
        self._sent_at = self._clock()
        try:
            await self._link.send(data)
        except ConnectionClosed as error:
            if self._ended is None:  # the reader reports it in a moment
                raise
            raise _again(self._ended, sent=bool(error.sent)) from None

    async def _read(self) -> None:
        try:
            while True:
                for frame in self._parser.feed(await self._link.receive()):
                    if frame is not None:
                        self._take(frame)
                self._heard_at = self._clock()
        except CryptoprotoError as error:
            self._end(error)

    def _take(self, frame: Frame) -> None:
        if frame.command == "MESSAGE":
            subscription = self._subscriptions.get(frame.headers.get("subscription", ""))
            if subscription is not None and not subscription._offer(frame):  # otherwise it has just been unsubscribed
                raise SlowConsumer(
                    None,
                    f"more than {self._max_queue} messages or {self._max_queue_bytes} bytes wait in the subscription "
                    f"to {subscription.destination}; read faster, or raise max_queue or max_queue_bytes",
                )
        elif frame.command == "RECEIPT":
            waiting = self._receipts.get(frame.headers.get("receipt-id", ""))
            if waiting is not None and not waiting.done():
                waiting.set_result(None)
        elif frame.command == "ERROR":
            raise StompError(frame.headers.get("message", ""), frame.body.decode(errors="replace")[:1000])
        else:
            raise DecodeError(f"a gateway does not send {frame.command} frames")

    async def _beat(self, interval_s: float) -> None:
        with contextlib.suppress(CryptoprotoError):  # the reader reports it
            while True:
                due = self._sent_at + interval_s
                if (now := self._clock()) < due:
                    await self._sleep(due - now)
                else:
                    await self._write(HEARTBEAT)

    async def _watch(self, patience_s: float) -> None:
        while (left := self._heard_at + patience_s - self._clock()) > 0:
            await self._sleep(left)
        self._end(HeartbeatTimeout(None, f"the gateway sent nothing for {patience_s:g} s"))

    def _end(self, error: CryptoprotoError) -> None:
        """Store the reason, wake all waiters, close. State first, waiters second."""
        if self._ended is not None:
            return
        self._ended = error
        ours = self._leaving and isinstance(error, ConnectionClosed)
        subscriptions, self._subscriptions = self._subscriptions, {}
        for subscription in subscriptions.values():
            subscription._finish(None if ours else error)
        for waiting in self._receipts.values():
            if not waiting.done():
                waiting.set_exception(_again(error, sent=True))
                waiting.exception()  # marks it as retrieved: the caller may have got the error from the link
        current = asyncio.current_task()
        for task in self._tasks:
            if task is not current:
                task.cancel()
        if isinstance(error, HeartbeatTimeout):
            self._link.close(_SILENT_CLOSE_S)
        else:
            self._link.close()

    async def close(self) -> None:
        """Send DISCONNECT, wait for its receipt for up to one second, and close. Calling it again does nothing."""
        if self._ended is None:
            self._leaving = True
            with contextlib.suppress(CryptoprotoError, TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._command(Frame("DISCONNECT"), receipt=True)
        self._end(ConnectionClosed(1000, "closed by this end"))
        await asyncio.wait(self._tasks)
        await self._link.wait_closed()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<StompConnection {self.version} {'open' if self._ended is None else 'closed'}>"


class _Connecting:
    """The result of :meth:`StompConnection.connect`: await it, or enter it with ``async with``."""

    def __init__(self, run: Callable[[], Awaitable[StompConnection]]) -> None:
        self._run = run
        self._connection: StompConnection | None = None

    def __await__(self) -> Generator[object, None, StompConnection]:
        return self._run().__await__()

    async def __aenter__(self) -> StompConnection:
        self._connection = await self._run()
        return self._connection

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._connection is not None:
            await self._connection.close()


def _again(error: CryptoprotoError, *, sent: bool) -> CryptoprotoError:
    """The reason of the end as a new error for one call, so that tracebacks do not grow."""
    if isinstance(error, StompError):
        fresh: CryptoprotoError = StompError(error.message, error.text)
    elif isinstance(error, ConnectionClosed):
        fresh = type(error)(error.code, error.reason)
    else:
        fresh = RequestNotSent(str(error)) if not sent else ConnectionClosed(None, str(error))
    fresh.sent = sent
    return fresh
