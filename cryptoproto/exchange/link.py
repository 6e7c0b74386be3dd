"""One client's connection to the exchange: handshake, messages, requests, and the pump of its history."""

from __future__ import annotations

import asyncio
import logging
import os
from collections import deque
from collections.abc import Callable
from typing import Protocol

from ..exceptions import ConfigurationError, DecodeError, InvalidKey, InvalidSequence, JournalError, UnsupportedVersion
from ..keys import PrivateKey
from ..messages import encode
from ..transport import Closed, Heartbeat, Transport
from ..wire import HEARTBEAT_TEXT, ClientHello, CloseCode, ErrorType, MessageFrame, Proven, RequestFrame, ServerSession
from .commands import Refused
from .ledger import ClientRecord, Transaction
from .rate_limit import RateLimit
from .venue import Venue

__all__ = ["ClientLink", "Host"]

logger = logging.getLogger("cryptoproto.exchange")

_CLOSE_TIMEOUT = 2.0
_HANDSHAKE_TIMEOUT = 10.0  # what a client's open_timeout is by default
_MAX_UNREAD = 1000  # broadcasts to a client that reads nothing: they are in no history, and have to wait somewhere
_BATCH = 500  # transactions sent in one turn of the event loop, so that one replay does not stop the others
_MAX_BACKLOG = 10_000  # inputs that wait for the disk; beyond it no more are read, or they would pile up without bound


class Host(Protocol):
    """What a link needs of the exchange."""

    venue: Venue
    private_key: PrivateKey
    max_message_size: int
    rate_limit: float | None
    ping_interval: float
    ping_timeout: float

    def opened(self, link: ClientLink) -> None:
        """Somebody connected."""

    def joined(self, link: ClientLink) -> None:
        """A client has proven who it is."""

    def left(self, link: ClientLink) -> None:
        """A link is gone."""

    def monotonic(self) -> float:
        """Seconds, for the rate limit."""


class ClientLink:
    """The server's end of one connection.

    Attributes:
        record: the client, once it has proven who it is.
    """

    def __init__(self, host: Host) -> None:
        loop = asyncio.get_running_loop()
        self.record: ClientRecord | None = None
        self._host = host
        self._loop = loop
        self._session = ServerSession(host.private_key, os.urandom, host.max_message_size)
        self._transport: Transport | None = None
        self._hello: ClientHello | None = None
        self._claimed: ClientRecord | None = None
        self._cursor = 0  # the place in the history of what is sent next
        self._position = 0  # the id of what was sent last
        self._pumping = False
        self._answers: deque[tuple[int, int, bytes]] = deque()  # the transaction that comes before, request id, JSON
        self._catching_up: asyncio.Task[None] | None = None
        self._deaf = False  # a message was refused: no more are taken
        self._last_words: Refused | None = None
        self._held_back = False
        self._drain: asyncio.Task[None] | None = None
        self._limit = RateLimit(host.rate_limit, host.monotonic()) if host.rate_limit else None
        self._unread = 0
        self._patience: asyncio.TimerHandle | None = None
        self._closing = False
        self._gone = loop.create_future()
        self._heartbeat = Heartbeat(
            loop,
            interval=host.ping_interval,
            timeout=host.ping_timeout,
            ping=lambda: self._on_transport(lambda transport: transport.ping()),
            deaf=lambda: self._drain is not None,
            on_silence=self._on_silence,
        )

    # What the transport calls

    def on_open(self, transport: Transport) -> None:
        """See :class:`~cryptoproto.transport.Listener`."""
        self._transport = transport
        self._heartbeat.start()
        self._patience = self._loop.call_later(_HANDSHAKE_TIMEOUT, self._on_no_handshake)
        self._host.opened(self)

    def on_message(self, data: bytes, more: bool = False) -> None:
        """See :class:`~cryptoproto.transport.Listener`."""
        if self._closing or self._deaf:
            return
        self._heartbeat.heard = True
        try:
            received = self._session.receive(data)
        except InvalidSequence as error:
            self.close(CloseCode.INVALID_SEQUENCE, error.reason)
        except UnsupportedVersion as error:
            self.close(CloseCode.PROTOCOL_ERROR, str(error))
        except InvalidKey as error:
            words = "the hello was encrypted under another key than this exchange's" if self._hello is None else error
            self.close(CloseCode.POLICY_VIOLATION, f"invalid key: {words}")
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
                self._on_proven(received)

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
        for task in (self._drain, self._catching_up):
            if task is not None:
                task.cancel()
        self._host.left(self)
        if not self._gone.done():
            self._gone.set_result(None)

    # The handshake

    def _on_hello(self, hello: ClientHello) -> None:
        self._hello = hello
        record = self._claimed = self._host.venue.client(hello.client_id)
        if record is None:
            self.close(CloseCode.POLICY_VIOLATION, f"client id {hello.client_id!r} is not registered")
        else:
            try:
                answer = self._session.accept(record.public_key, record.last_sequence)
            except ConfigurationError as error:
                self.close(CloseCode.POLICY_VIOLATION, str(error))
            else:
                # It says what was seen of the client last, which has to stay true.
                self._host.venue.ledger.when_durable(self._send, answer)

    def _on_proven(self, _: Proven) -> None:
        record, hello = self._claimed, self._hello
        if record is None or hello is None:
            return
        if record.last_sequence != self._session.next_sequence - 1:
            # An older connection of the same client went on sending during this handshake.
            self.close(CloseCode.INVALID_SEQUENCE, "messages came over another connection meanwhile; connect again")
            return
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        self.record = record
        self._cursor = record.after(hello.last_seen_order)
        self._position = hello.last_seen_order if hello.last_seen_order >= 0 else record.newest
        logger.info("client %s connected, resumes after transaction %d", record.client_id, hello.last_seen_order)
        self._host.joined(self)
        self.pump()

    # Messages and requests

    def _on_client_message(self, frame: MessageFrame) -> None:
        if self.record is None:
            return
        client_id = self.record.client_id
        level = 0
        if self._limit is not None:
            level = self._limit.count(self._host.monotonic())
            if self._limit.exhausted(level):
                self.close(CloseCode.RATE_LIMITED, "rate limit")
                return
        venue = self._host.venue
        ledger = venue.ledger
        refused = venue.submit(client_id, frame.sequence, frame.payload)
        if refused is not None:
            self._refuse(refused)
        elif level:
            ledger.when_durable(self._throttle, level, frame.sequence, venue.engine.last_order_id)
        if ledger.backlog > _MAX_BACKLOG and not self._held_back:
            self._held_back = True
            self._on_transport(lambda transport: transport.pause_reading())
            ledger.when_durable(self._read_on)

    def _on_request(self, frame: RequestFrame) -> None:
        if self.record is None:
            return
        client_id = self.record.client_id
        try:
            response = self._host.venue.request(client_id, frame.payload)
        except DecodeError as error:
            self._refuse(Refused(client_id, ErrorType.INVALID_PAYLOAD, str(error)))
        else:
            self._host.venue.ledger.when_durable(self._respond, frame.request_id, encode(response))

    def _respond(self, request_id: int, payload: bytes) -> None:
        """A response goes behind every event that it takes into account: so the client knows that it has heard all."""
        if self.record is not None:
            self._answers.append((self.record.newest, request_id, payload))
            self.pump()

    def _answer(self) -> None:
        while self._answers and self._answers[0][0] <= self._position:
            _, request_id, payload = self._answers.popleft()
            self._send(self._session.response(request_id, payload))

    def _throttle(self, level: int, sequence: int, order_id: int) -> None:
        self._send(self._session.throttling(level, sequence, order_id))

    def _read_on(self) -> None:
        self._held_back = False
        if self._drain is None:
            self._on_transport(lambda transport: transport.resume_reading())

    def _refuse(self, refused: Refused) -> None:
        """An error frame and then the end; what happened before it is sent before it, as far as the client reads."""
        self._deaf = True
        self._host.venue.ledger.when_durable(self._end_refused, refused)

    def _end_refused(self, refused: Refused) -> None:
        record, transport, self._last_words = self.record, self._transport, refused
        if self._catching_up is not None:  # which comes here again at its end
            return
        while record is not None and transport is not None and self._cursor < record.end and transport.writable:
            if self._cursor < record.first:
                self._catch_up(record)
                return
            self._send_next(record)
        self._send(self._session.error(refused.error_type, refused.text))
        self.close(CloseCode.POLICY_VIOLATION, "see the error frame")

    def broadcast(self, payload: bytes) -> None:
        """Send a broadcast; a client that does not read them is disconnected before they pile up."""
        if self.record is None or self._closing:
            return
        if self._drain is not None:
            self._unread += 1
            if self._unread > _MAX_UNREAD:
                self.close(CloseCode.POLICY_VIOLATION, "broadcasts were not read")
                return
        self._send(self._session.broadcast(payload))

    # The pump

    def pump(self) -> None:
        """Send what the history holds beyond the cursor, and responses in their place, as fast as the client reads."""
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
        """Send what is no longer in memory, and then go on with what is."""
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
        if self._last_words is not None:
            self._end_refused(self._last_words)
        else:
            self.pump()

    def _send(self, frame: bytes) -> None:
        transport = self._transport
        if transport is None or self._closing:
            return
        transport.send(frame)
        if not transport.writable and self._drain is None:
            # Who does not read gets nothing more to do either: replies would pile up without bound.
            transport.pause_reading()
            self._drain = self._loop.create_task(self._drained(transport))

    async def _drained(self, transport: Transport) -> None:
        await transport.drain()
        self._drain = None
        self._unread = 0
        if not self._held_back:
            transport.resume_reading()
        self.pump()

    # The end

    def _on_silence(self) -> None:
        if self.record is not None:
            self._send(self._session.error(ErrorType.UNKNOWN, HEARTBEAT_TEXT))
        self.close(CloseCode.GOING_AWAY, "heartbeat timeout")

    def _on_no_handshake(self) -> None:
        self.close(CloseCode.POLICY_VIOLATION, "the handshake took too long")

    def _stop_timers(self) -> None:
        self._heartbeat.stop()
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _on_transport(self, action: Callable[[Transport], None]) -> None:
        if self._transport is not None:
            action(self._transport)

    def close(self, code: int, reason: str) -> None:
        """End the connection."""
        if not self._closing:
            self._closing = True
            self._stop_timers()
            self._on_transport(lambda transport: transport.close(code, reason, _CLOSE_TIMEOUT))

    async def wait_closed(self) -> None:
        """Wait until the connection is gone."""
        await asyncio.shield(self._gone)
