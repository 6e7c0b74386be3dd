"""One client's link to the exchange: frames come in, and are handled one after the other."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, Protocol

from ..exceptions import DecodeError, InvalidKey, InvalidSequence, UnsupportedVersion
from ..keys import PrivateKey
from ..messages import encode
from ..transport import Closed, Heartbeat, Transport
from ..wire import (
    ClientFrame,
    ClientHello,
    CloseCode,
    ErrorType,
    MessageFrame,
    Proven,
    RequestFrame,
    ServerSession,
)
from .authentication import Authentication, AuthenticationHost, ClientConnections, Rejection
from .byte_queue import ByteQueue
from .commands import Refused
from .ledger import ClientRecord
from .options import LinkOptions
from .outbound import MAX_OWED, Outbound
from .rate_limit import RateLimit

__all__ = ["ClientLink", "Host", "Links"]

logger: logging.Logger = logging.getLogger("cryptoproto.exchange")

_CLOSE_TIMEOUT: Final = 2.0
_HANDSHAKE_TIMEOUT: Final = 10.0  # a client's default open_timeout
_MAX_UNHANDLED: Final = 2**20  # bytes of frames that wait to be handled, besides one of the largest size
_BATCH: Final = 500  # frames in one turn of the event loop, so that one link does not stop the others
_MAX_BACKLOG: Final = 10_000  # inputs that wait for the disk; beyond it no more frames are handled
_FRAME_OVERHEAD: Final = 64  # bytes of a frame besides its payload: IV, header, padding


class Links(ClientConnections, Protocol):
    """The links of the exchange, as one of them uses them."""

    def opened(self, link: ClientLink) -> None:
        """A connection was accepted."""

    def expect_more(self, more: bool) -> None:
        """A link handles a message; *more*: and others after it, in this turn of the event loop."""

    def joined(self, link: ClientLink) -> None:
        """A client has proven its identity."""

    def left(self, link: ClientLink) -> None:
        """A link has ended."""


class Host(AuthenticationHost, Protocol):
    """The exchange, as a link uses it."""

    @property
    def private_key(self) -> PrivateKey:
        """The key that hellos are encrypted for."""

    @property
    def options(self) -> LinkOptions:
        """The options of all links."""

    @property
    def links(self) -> Links:
        """All links."""


class ClientLink:
    """The server's end of one connection.

    What a peer can make it hold is bounded in bytes and in time: frames wait unhandled while the peer does not read,
    while too many responses are waiting, or while the disk is behind, and then nothing more is read.

    Attributes:
        record: the client, once it has proven its identity.
        outbound: the sending half.
    """

    def __init__(self, host: Host) -> None:
        loop = asyncio.get_running_loop()
        options = host.options
        self.record: ClientRecord | None = None
        self._host = host
        self._loop = loop
        self._session = ServerSession(host.private_key, os.urandom, options.max_message_size)
        self.outbound: Outbound = Outbound(
            self._session,
            close=self.close,
            on_full=self._pause,
            on_room=self._go_on,
            stall_timeout=options.stall_timeout,
        )
        self._authentication = Authentication(host, self._session)
        self._transport: Transport | None = None
        self._unhandled: ByteQueue[bytes] = ByteQueue()
        self._paused = False
        self._deaf = False  # a message was refused: no more are handled
        self._limit = RateLimit(options.rate_limit, host.monotonic()) if options.rate_limit else None
        self._patience: asyncio.TimerHandle | None = None
        self._closing = False
        self._farewell: tuple[int, str] | None = None
        self._gone = loop.create_future()
        self._heartbeat = Heartbeat(
            loop,
            interval=options.ping_interval,
            timeout=options.ping_timeout,
            ping=lambda: self._on_transport(lambda transport: transport.ping()),
            deaf=lambda: self._paused,
            on_silence=self._on_silence,
        )

    @property
    def hello_number(self) -> int:
        """The later the client's hello arrived, the higher; 0 before it has arrived."""
        return self._authentication.hello_number

    # What the transport calls

    def on_open(self, transport: Transport) -> None:
        """See :class:`~cryptoproto.transport.Listener`."""
        self._transport = transport
        self.outbound.open(transport)
        self._host.links.opened(self)
        if self._closing:
            return
        rejection = self._authentication.begin(transport.remote_address)
        if rejection is not None:
            self.close(rejection.code, rejection.reason)
            return
        self._heartbeat.start()
        self._patience = self._loop.call_later(_HANDSHAKE_TIMEOUT, self._on_slow_handshake)

    def on_message(self, data: bytes, more: bool = False) -> None:
        """See :class:`~cryptoproto.transport.Listener`."""
        waits = self._paused or bool(self._unhandled)  # it is paused whenever it is blocked
        self._host.links.expect_more(more and not (waits or self._closing or self._deaf))
        if self._closing or self._deaf:
            return
        self._heartbeat.heard = True
        if waits:
            self._unhandled.push(data, len(data))
            if self._unhandled.size > _MAX_UNHANDLED + self._host.options.max_message_size:
                self.close(CloseCode.POLICY_VIOLATION, "more was sent than can be handled")
            else:
                self._pause()
            return
        self._handle(data)
        if not more:
            self.outbound.pump()
        if self._is_blocked():
            self._pause()

    def on_text(self, text: str) -> None:
        """See :class:`~cryptoproto.transport.Listener`."""
        self.close(CloseCode.PROTOCOL_ERROR, "a text message came where frames are binary")

    def on_heard(self) -> None:
        """See :class:`~cryptoproto.transport.Listener`."""
        self._heartbeat.heard = True

    def on_closed(self, closed: Closed) -> None:
        """See :class:`~cryptoproto.transport.Listener`."""
        self._closing = True
        self._stop_timers()
        self._authentication.end()
        self._unhandled.clear()
        self.outbound.end()
        if self.record is not None:
            code, reason = self._farewell or (closed.code, closed.fault or closed.reason)
            ended = f"{code or 'no close code,'} {reason}".rstrip(" ,")
            logger.info("client %s left: %s", self.record.client_id, ended)
        self._host.links.left(self)
        if not self._gone.done():
            self._gone.set_result(None)

    # Frames are handled one after the other, and wait while that is not possible

    def _is_blocked(self) -> bool:
        return (
            self._authentication.computing
            or self.outbound.drain is not None
            or self.outbound.owed > MAX_OWED
            or self._host.venue.ledger.backlog > _MAX_BACKLOG
        )

    def _pause(self) -> None:
        if not self._paused and not self._closing:
            self._paused = True
            self._on_transport(lambda transport: transport.pause_reading())
            if self._host.venue.ledger.backlog > _MAX_BACKLOG:
                self._host.venue.ledger.when_durable(self._go_on)

    def _go_on(self) -> None:
        """Handle the frames that wait; when none is left, read again."""
        self._host.links.expect_more(True)
        for _ in range(_BATCH):
            if self._closing or self._deaf or self._is_blocked() or not self._unhandled:
                break
            self._handle(self._unhandled.pop())
        self._host.links.expect_more(False)
        self.outbound.pump()
        if self._closing or self._deaf:
            self._unhandled.clear()
        elif self._is_blocked():
            if self._host.venue.ledger.backlog > _MAX_BACKLOG:
                self._host.venue.ledger.when_durable(self._go_on)
        elif self._unhandled:
            self._loop.call_soon(self._go_on)
        elif self._paused:
            self._paused = False
            self._on_transport(lambda transport: transport.resume_reading())

    def _handle(self, data: bytes) -> None:
        if self._authentication.hello_number:
            self._receive(self._session.receive, data)
        else:
            self._authentication.decrypt(data, lambda done: self._on_decrypted(done, data))

    def _on_decrypted(self, done: Future[ClientHello | Proven | ClientFrame], data: bytes) -> None:
        if not self._closing:
            self._receive(lambda _: done.result(), data)
            self._go_on()

    def _receive(self, receive: Callable[[bytes], ClientHello | Proven | ClientFrame], data: bytes) -> None:
        try:
            received = receive(data)
        except InvalidSequence as error:
            self.close(CloseCode.INVALID_SEQUENCE, error.reason)
        except UnsupportedVersion as error:
            self.close(CloseCode.PROTOCOL_ERROR, str(error))
        except InvalidKey as error:
            what = (
                "the hello was encrypted under another key than this exchange's"
                if self._authentication.hello is None
                else error
            )
            self.close(CloseCode.POLICY_VIOLATION, f"invalid key: {what}")
        except DecodeError as error:
            self.close(CloseCode.PROTOCOL_ERROR, str(error))
        else:
            if isinstance(received, MessageFrame):
                self._on_client_message(received)
            elif isinstance(received, RequestFrame):
                self._on_request(received)
            elif isinstance(received, ClientHello):
                self._on_hello(received)
            else:
                self._on_proven()

    # The handshake

    def _on_hello(self, hello: ClientHello) -> None:
        answer = self._authentication.answer(hello)
        if isinstance(answer, Rejection):
            self.close(answer.code, answer.reason)
        else:
            # The answer contains the last sequence of the client, which must not be taken back by a crash.
            self._host.venue.ledger.when_durable(self.outbound.send, answer)

    def _on_proven(self) -> None:
        authentication = self._authentication
        record, hello = authentication.finish(), authentication.hello
        if isinstance(record, Rejection):
            self.close(record.code, record.reason)
            return
        self._stop_patience()
        address = authentication.address
        authentication.end()
        last_seen = -1 if hello is None else hello.last_seen_order
        self.record = record
        self.outbound.start(record, self._host.venue.ledger, last_seen)
        logger.info(
            "client %s connected from %s, resumes after transaction %d",
            record.client_id,
            address or "memory",
            last_seen,
        )
        self._host.links.joined(self)
        self.outbound.pump()

    # Messages and requests

    def _count(self) -> int:
        """Count a message or request in the rate limit; how many there are too many now."""
        if self._limit is None:
            return 0
        level = self._limit.count(self._host.monotonic())
        if self._limit.exhausted(level):
            self.close(CloseCode.RATE_LIMITED, "rate limit")
        return level

    def _on_client_message(self, frame: MessageFrame) -> None:
        level = self._count()
        record = self.record
        if record is None or self._closing:
            return
        if logger.isEnabledFor(logging.DEBUG):
            address = self._transport.remote_address if self._transport is not None else ""
            logger.debug(
                "client %s sent %d from %s: %s", record.client_id, frame.sequence, address or "memory", frame.payload
            )
        venue = self._host.venue
        refused = venue.submit(record.client_id, frame.sequence, frame.payload)
        if refused is not None:
            self._refuse(refused)
        elif level:
            venue.ledger.when_durable(self.outbound.throttle, level, frame.sequence, venue.engine.last_order_id)

    def _on_request(self, frame: RequestFrame) -> None:
        level = self._count()
        record = self.record
        if record is None or self._closing:
            return
        venue = self._host.venue
        try:
            payload = encode(venue.request(record.client_id, frame.payload))
        except DecodeError as error:
            self._refuse(Refused(record.client_id, ErrorType.INVALID_PAYLOAD, str(error)))
            return
        largest = self._host.options.max_message_size
        if len(payload) > largest - _FRAME_OVERHEAD:
            text = f"the response has {len(payload)} bytes, and a message at most {largest}"
            self._refuse(Refused(record.client_id, ErrorType.UNKNOWN, text))
            return
        self.outbound.respond(frame.request_id, payload)
        if level:
            venue.ledger.when_durable(self.outbound.throttle, level, frame.request_id, venue.engine.last_order_id)

    def _refuse(self, refused: Refused) -> None:
        """Handle nothing more, send an error frame behind the events before it, and close."""
        self._deaf = True
        self._host.venue.ledger.when_durable(self.outbound.refuse, refused)

    # The end

    def _on_silence(self) -> None:
        self.outbound.report_silence()
        self.close(CloseCode.GOING_AWAY, "heartbeat timeout")

    def _on_slow_handshake(self) -> None:
        reason = f"the handshake took longer than {_HANDSHAKE_TIMEOUT:g} s; try again"
        self.close(CloseCode.TRY_AGAIN_LATER, reason)

    def _stop_timers(self) -> None:
        self._heartbeat.stop()
        self._stop_patience()

    def _stop_patience(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _on_transport(self, action: Callable[[Transport], None]) -> None:
        if self._transport is not None:
            action(self._transport)

    def close(self, code: int, reason: str) -> None:
        """Close the link with a WebSocket close code and a reason."""
        if not self._closing:
            self._closing = True
            self.outbound.pump()
            self.outbound.stop()
            self._farewell = (code, reason)
            if self.record is None:
                address = self._authentication.address
                logger.info("connection from %s refused: %d %s", address or "unknown address", code, reason)
            self._stop_timers()
            self._on_transport(lambda transport: transport.close(code, reason, _CLOSE_TIMEOUT))

    async def wait_closed(self) -> None:
        """Wait until the link has ended."""
        await asyncio.shield(self._gone)
