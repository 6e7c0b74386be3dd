"""One client's link to the exchange: handshake, messages, requests, and the events of its history."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, Protocol

from ..exceptions import ConfigurationError, DecodeError, InvalidKey, InvalidSequence, JournalError, UnsupportedVersion
from ..keys import PrivateKey
from ..messages import encode
from ..transport import Closed, Heartbeat, Transport
from ..wire import (
    HEARTBEAT_TEXT,
    ClientFrame,
    ClientHello,
    CloseCode,
    ErrorType,
    MessageFrame,
    Proven,
    RequestFrame,
    ServerSession,
)
from .byte_queue import ByteQueue
from .commands import Refused
from .handshakes import Handshakes
from .ledger import ClientRecord, Transaction
from .rate_limit import RateLimit
from .venue import Venue

__all__ = ["ClientLink", "Host"]

logger = logging.getLogger("cryptoproto.exchange")

_CLOSE_TIMEOUT: Final = 2.0
_HANDSHAKE_TIMEOUT: Final = 10.0  # a client's default open_timeout
_MAX_BROADCASTS: Final = 2**16  # bytes of broadcasts to a client that does not read; no history holds them
_MAX_OWED: Final = 2**20  # bytes of responses that wait to be sent; beyond it no more frames are handled
_MAX_UNHANDLED: Final = 2**20  # bytes of frames that wait to be handled, besides one of the largest size
_BATCH: Final = 500  # transactions or frames in one turn of the event loop, so that one link does not stop the others
_MAX_BACKLOG: Final = 10_000  # inputs that wait for the disk; beyond it no more frames are handled
_FRAME_OVERHEAD: Final = 64  # bytes of a frame besides its payload: IV, header, padding


class Host(Protocol):
    """The exchange, as a link uses it."""

    venue: Venue
    private_key: PrivateKey
    handshakes: Handshakes
    max_message_size: int
    rate_limit: float | None
    ping_interval: float
    ping_timeout: float

    def opened(self, link: ClientLink) -> None:
        """A connection was accepted."""

    def is_newest(self, client_id: str, hello_number: int) -> bool:
        """Whether no live link of the client began with a later hello."""

    def joined(self, link: ClientLink) -> None:
        """A client has proven its identity."""

    def left(self, link: ClientLink) -> None:
        """A link has ended."""

    def monotonic(self) -> float:
        """Seconds, for rate limits."""


class ClientLink:
    """The server's end of one connection.

    What a peer can make it hold is bounded in bytes: frames wait unhandled while the peer does not read, while too many
    responses are waiting, or while the disk is behind, and then nothing more is read.

    Attributes:
        record: the client, once it has proven its identity.
        hello_number: the later the client's hello arrived, the higher.
    """

    def __init__(self, host: Host) -> None:
        loop = asyncio.get_running_loop()
        self.record: ClientRecord | None = None
        self.hello_number = 0
        self._host = host
        self._loop = loop
        self._session = ServerSession(host.private_key, os.urandom, host.max_message_size)
        self._transport: Transport | None = None
        self._address: str | None = None  # while the handshake is under way
        self._hello: ClientHello | None = None
        self._claimed: ClientRecord | None = None
        self._computing = False  # a thread does RSA
        self._unhandled: ByteQueue[bytes] = ByteQueue()
        self._paused = False
        self._cursor = 0  # the place in the history of what is sent next
        self._position = 0  # the id of what was sent last
        self._pumping = False
        self._owed = 0  # bytes of responses that wait for the disk, for events before them, or for the peer
        self._answers: ByteQueue[tuple[int, int, bytes]] = ByteQueue()  # transaction before it, request id, JSON
        self._catching_up: asyncio.Task[None] | None = None
        self._deaf = False  # a message was refused: no more are handled
        self._refused: Refused | None = None
        self._drain: asyncio.Task[None] | None = None
        self._limit = RateLimit(host.rate_limit, host.monotonic()) if host.rate_limit else None
        self._broadcasts = 0  # bytes sent while the peer did not read
        self._patience: asyncio.TimerHandle | None = None
        self._closing = False
        self._farewell: tuple[int, str] | None = None
        self._gone = loop.create_future()
        self._heartbeat = Heartbeat(
            loop,
            interval=host.ping_interval,
            timeout=host.ping_timeout,
            ping=lambda: self._on_transport(lambda transport: transport.ping()),
            deaf=lambda: self._paused,
            on_silence=self._on_silence,
        )

    # What the transport calls

    def on_open(self, transport: Transport) -> None:
        """See :class:`~cryptoproto.transport.Listener`."""
        self._transport = transport
        self._host.opened(self)
        if self._closing:
            return
        address = transport.remote_address
        refusal = self._host.handshakes.begin(address, self._host.monotonic())
        if refusal is not None:
            self.close(CloseCode.TRY_AGAIN_LATER, refusal)
            return
        self._address = address
        self._heartbeat.start()
        self._patience = self._loop.call_later(_HANDSHAKE_TIMEOUT, self._on_slow_handshake)

    def on_message(self, data: bytes, more: bool = False) -> None:
        """See :class:`~cryptoproto.transport.Listener`."""
        if self._closing or self._deaf:
            return
        self._heartbeat.heard = True
        if self._unhandled or self._is_blocked():
            self._unhandled.push(data, len(data))
            if self._unhandled.size > _MAX_UNHANDLED + self._host.max_message_size:
                self.close(CloseCode.POLICY_VIOLATION, "more was sent than can be handled")
            else:
                self._pause()
            return
        self._handle(data)
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
        self._end_handshake()
        self._unhandled.clear()
        self._answers.clear()
        for task in (self._drain, self._catching_up):
            if task is not None:
                task.cancel()
        if self.record is not None:
            code, reason = self._farewell or (closed.code, closed.fault or closed.reason)
            logger.info("client %s left: %s %s", self.record.client_id, code or "no close code,", reason)
        self._host.left(self)
        if not self._gone.done():
            self._gone.set_result(None)

    # Frames are handled one after the other, and wait while that is not possible

    def _is_blocked(self) -> bool:
        return (
            self._computing
            or self._drain is not None
            or self._owed > _MAX_OWED
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
        for _ in range(_BATCH):
            if self._closing or self._deaf or self._is_blocked() or not self._unhandled:
                break
            self._handle(self._unhandled.pop())
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
        if self.hello_number:
            self._receive(self._session.receive, data)
            return
        # Decrypting a hello takes about 2 ms. The rest of the handshake takes RSA's fast half, with the public key.
        self.hello_number = self._host.handshakes.next_number()
        self._computing = True
        self._host.handshakes.run(lambda: self._session.receive(data), lambda done: self._on_decrypted(done, data))

    def _on_decrypted(self, done: Future[ClientHello | Proven | ClientFrame], data: bytes) -> None:
        self._computing = False
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
            what = "the hello was encrypted under another key than this exchange's" if self._hello is None else error
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
        self._hello = hello
        record = self._claimed = self._host.venue.client(hello.client_id)
        if record is None:
            self.close(CloseCode.POLICY_VIOLATION, f"invalid key: client id {hello.client_id!r} is not registered")
        else:
            try:
                answer = self._session.accept(record.public_key, record.last_sequence)
            except ConfigurationError as error:
                self.close(CloseCode.POLICY_VIOLATION, f"invalid key: {error}")
            else:
                # The answer contains the last sequence of the client, which must not be taken back by a crash.
                self._host.venue.ledger.when_durable(self._send, answer)

    def _on_proven(self) -> None:
        record, hello = self._claimed, self._hello
        if record is None or hello is None:
            return
        if not self._host.is_newest(record.client_id, self.hello_number):
            self.close(CloseCode.CONCURRENT_CONNECTION, "a newer connection of this client is live")
            return
        if record.last_sequence != self._session.next_sequence - 1:
            # An older connection of the same client went on sending during this handshake.
            self.close(CloseCode.INVALID_SEQUENCE, "messages came over another connection meanwhile; connect again")
            return
        self._stop_patience()
        address = self._address
        self._end_handshake()
        self.record = record
        self._cursor = record.after(hello.last_seen_order)
        self._position = hello.last_seen_order if hello.last_seen_order >= 0 else record.newest
        logger.info(
            "client %s connected from %s, resumes after transaction %d",
            record.client_id,
            address or "memory",
            hello.last_seen_order,
        )
        self._host.joined(self)
        self.pump()

    def _end_handshake(self) -> None:
        if self._address is not None:
            self._host.handshakes.end(self._address)
            self._address = None

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
        logger.debug("client %s sent %d: %s", record.client_id, frame.sequence, frame.payload)
        venue = self._host.venue
        refused = venue.submit(record.client_id, frame.sequence, frame.payload)
        if refused is not None:
            self._refuse(refused)
        elif level:
            venue.ledger.when_durable(self._throttle, level, frame.sequence, venue.engine.last_order_id)

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
        if len(payload) > self._host.max_message_size - _FRAME_OVERHEAD:
            text = f"the response has {len(payload)} bytes, and a message at most {self._host.max_message_size}"
            self._refuse(Refused(record.client_id, ErrorType.UNKNOWN, text))
            return
        self._owed += len(payload)
        venue.ledger.when_durable(self._respond, frame.request_id, payload)
        if level:
            venue.ledger.when_durable(self._throttle, level, frame.request_id, venue.engine.last_order_id)

    def _respond(self, request_id: int, payload: bytes) -> None:
        """Queue a response behind every event that it takes into account: then the client has received them all."""
        if self.record is not None:
            self._answers.push((self.record.newest, request_id, payload), len(payload))
            self.pump()

    def _answer(self) -> None:
        if not self._answers:
            return
        transport = self._transport
        while self._answers and transport is not None and transport.writable:
            after, request_id, payload = self._answers.first
            if after > self._position:
                return
            self._answers.pop()
            self._owed -= len(payload)
            self._send(self._session.response(request_id, payload))
        if self._paused and not self._is_blocked():
            self._loop.call_soon(self._go_on)

    def _throttle(self, level: int, number: int, order_id: int) -> None:
        self._send(self._session.throttling(level, number, order_id))

    def _refuse(self, refused: Refused) -> None:
        """Send an error frame and close; events before it are sent before it, as far as the client reads."""
        self._deaf = True
        self._host.venue.ledger.when_durable(self._end_refused, refused)

    def _end_refused(self, refused: Refused) -> None:
        record, transport, self._refused = self.record, self._transport, refused
        if self._catching_up is not None:  # which comes here again when it is done
            return
        while record is not None and transport is not None and self._cursor < record.end and transport.writable:
            if self._cursor < record.first:
                self._catch_up(record)
                return
            self._send_next(record)
        logger.info("client %s refused, error %d: %s", refused.client_id, refused.error_type, refused.text)
        self._send(self._session.error(refused.error_type, refused.text))
        self.close(CloseCode.POLICY_VIOLATION, "see the error frame")

    def broadcast(self, payload: bytes) -> None:
        """Send a broadcast; a client that does not read is disconnected before too many wait."""
        if self.record is None or self._closing:
            return
        if self._drain is not None:
            self._broadcasts += len(payload)
            if self._broadcasts > _MAX_BROADCASTS:
                self.close(CloseCode.POLICY_VIOLATION, "broadcasts were not read")
                return
        self._send(self._session.broadcast(payload))

    # The pump

    def pump(self) -> None:
        """Send events beyond the cursor, and responses in their place, as fast as the client reads."""
        if not self._pumping and not self._closing:
            self._pump()

    def _pump(self) -> None:
        self._pumping = False
        record, transport = self.record, self._transport
        if record is None or transport is None or self._closing:
            return
        self._answer()
        if self._cursor < record.first:
            self._catch_up(record)
            return
        stop = min(record.end, self._cursor + _BATCH)
        while self._cursor < stop and transport.writable:
            self._send_next(record)
        if self._cursor < record.end and transport.writable:
            self._pumping = True
            self._loop.call_soon(self._pump)

    def _send_next(self, record: ClientRecord) -> None:
        transaction = record.history[self._cursor - record.first]
        self._cursor += 1
        self._send_transaction(transaction)

    def _send_transaction(self, transaction: Transaction) -> None:
        self._position = transaction.transaction_id
        self._send(self._session.transaction(transaction.transaction_id, transaction.timestamp, transaction.payload))
        self._answer()

    def _catch_up(self, record: ClientRecord) -> None:
        """Send the events that are only in the file, then those in memory."""
        self._pumping = True
        self._catching_up = self._loop.create_task(self._send_older(record))

    async def _send_older(self, record: ClientRecord) -> None:
        try:
            while self._cursor < record.first and self._transport is not None and not self._closing:
                for transaction in await self._host.venue.ledger.read(record, self._position, _BATCH):
                    self._send_transaction(transaction)
                self._cursor = record.after(self._position)
                await self._transport.drain()
        except JournalError as error:
            logger.critical("client %s: %s", record.client_id, error)
            self.close(CloseCode.INTERNAL_ERROR, "the history cannot be read")
            return
        self._catching_up = None
        self._pumping = False
        if self._refused is not None:
            self._end_refused(self._refused)
        else:
            self.pump()

    def _send(self, frame: bytes) -> None:
        transport = self._transport
        if transport is None or self._closing:
            return
        transport.send(frame)
        if not transport.writable and self._drain is None:
            # Nothing more is read from a peer that does not read: responses would pile up.
            self._drain = self._loop.create_task(self._drained(transport))
            self._pause()

    async def _drained(self, transport: Transport) -> None:
        await transport.drain()
        self._drain = None
        self._broadcasts = 0
        self.pump()
        self._go_on()

    # The end

    def _on_silence(self) -> None:
        if self.record is not None:
            self._send(self._session.error(ErrorType.UNKNOWN, HEARTBEAT_TEXT))
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
            self._farewell = (code, reason)
            if self.record is None:
                logger.info("connection from %s refused: %d %s", self._address or "unknown address", code, reason)
            self._stop_timers()
            self._on_transport(lambda transport: transport.close(code, reason, _CLOSE_TIMEOUT))

    async def wait_closed(self) -> None:
        """Wait until the link has ended."""
        await asyncio.shield(self._gone)
