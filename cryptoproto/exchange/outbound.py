"""What a link sends to its client: events from its history, responses in their place, broadcasts, and the last error.

An event waits in the history until the client reads, so a slow client costs no memory. Events that are no longer in
memory are read from the journal.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from ..exceptions import JournalError
from ..transport import Transport
from ..wire import HEARTBEAT_TEXT, CloseCode, ErrorType, ServerSession
from .byte_queue import ByteQueue
from .commands import Refused
from .ledger import ClientRecord, Ledger, Transaction

__all__ = ["MAX_OWED", "Outbound"]

logger: logging.Logger = logging.getLogger("cryptoproto.exchange")

MAX_OWED: Final = 2**20
"""Bytes of responses that may wait to be sent; beyond it the link handles no more frames."""

_MAX_BROADCASTS: Final = 2**16  # bytes of broadcasts to a client that does not read; no history holds them
_BATCH: Final = 500  # transactions in one turn of the event loop, so that one link does not stop the others
_TOGETHER: Final = 64  # transactions in one write: a system call for each would cost more than all the rest


class Outbound:
    """The sending half of a link.

    Args:
        session: seals the frames.
        close: closes the link with a code and a reason.
        on_full: called when the client does not read as fast as the link sends.
        on_room: called when it has read, or when no more than :data:`MAX_OWED` bytes of responses wait any more.
        stall_timeout: seconds for the client to read when it has fallen behind; then the link is closed.

    Attributes:
        owed: bytes of responses that wait for the disk, for events before them, or for the client.
        drain: the task that waits until the client reads; ``None`` while it does.
    """

    def __init__(
        self,
        session: ServerSession,
        *,
        close: Callable[[int, str], None],
        on_full: Callable[[], None],
        on_room: Callable[[], None],
        stall_timeout: float,
    ) -> None:
        self.owed: int = 0
        self.drain: asyncio.Task[None] | None = None
        self._session = session
        self._close = close
        self._on_full = on_full
        self._on_room = on_room
        self._stall_timeout = stall_timeout
        self._stall: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._transport: Transport | None = None
        self._ledger: Ledger | None = None
        self._record: ClientRecord | None = None
        self._cursor = 0  # the place in the history of what is sent next
        self._position = 0  # the id of what was sent last
        self._next_pump: asyncio.Handle | None = None
        self._responses: ByteQueue[tuple[int, int, bytes]] = ByteQueue()  # transaction before it, request id, JSON
        self._catching_up: asyncio.Task[None] | None = None
        self._refused: Refused | None = None
        self._broadcasts = 0  # bytes sent while the client did not read
        self._stopped = False

    # Start and end

    def open(self, transport: Transport) -> None:
        """Send through *transport*."""
        self._transport = transport

    def start(self, record: ClientRecord, ledger: Ledger, last_seen: int) -> None:
        """Prepare to send the history of *record* after the transaction *last_seen*; -1 = only what is new."""
        self._record = record
        self._ledger = ledger
        self._cursor = record.after(last_seen)
        self._position = last_seen if last_seen >= 0 else record.newest

    def stop(self) -> None:
        """Send nothing more: the link closes."""
        self._stopped = True
        self._stop_stall()
        if self._next_pump is not None:
            self._next_pump.cancel()

    def end(self) -> None:
        """Drop what waits: the link has ended."""
        self.stop()
        self._responses.clear()
        for task in (self.drain, self._catching_up):
            if task is not None:
                task.cancel()

    # Frames

    def send(self, frame: bytes) -> None:
        """Send a frame."""
        transport = self._transport
        if transport is not None and not self._stopped:
            transport.send(frame)
            self._heed(transport)

    def _heed(self, transport: Transport) -> None:
        """Begin to wait for the client if it does not read."""
        if not transport.writable and self.drain is None:
            # Nothing more is read from a peer that does not read: responses would pile up.
            self.drain = self._loop.create_task(self._drained(transport))
            self._stall = self._loop.call_later(self._stall_timeout, self._on_stall)
            self._on_full()

    def throttle(self, level: int, number: int, order_id: int) -> None:
        """Tell the client that it sends too fast."""
        self.pump()
        self.send(self._session.throttling(level, number, order_id))

    def respond(self, request_id: int, payload: bytes) -> None:
        """Send a response once it is durable, behind every event that it takes into account."""
        if self._ledger is not None:
            self.owed += len(payload)
            self._ledger.when_durable(self._queue_response, request_id, payload)

    def _queue_response(self, request_id: int, payload: bytes) -> None:
        if self._record is not None:
            self._responses.push((self._record.newest, request_id, payload), len(payload))
            self.pump()

    def broadcast(self, payload: bytes) -> None:
        """Send a broadcast; a client that does not read is disconnected before too many wait."""
        if self._record is None or self._stopped:
            return
        if self.drain is not None:
            self._broadcasts += len(payload)
            if self._broadcasts > _MAX_BROADCASTS:
                self._close(CloseCode.POLICY_VIOLATION, "broadcasts were not read")
                return
        self.pump()
        self.send(self._session.broadcast(payload))

    def report_silence(self) -> None:
        """Send the error frame of a heartbeat that was missed; before the handshake there is no key for it."""
        if self._record is not None:
            self.send(self._session.error(ErrorType.UNKNOWN, HEARTBEAT_TEXT))

    def refuse(self, refused: Refused) -> None:
        """Send an error frame and close; events before it are sent before it, as far as the client reads."""
        record, transport, self._refused = self._record, self._transport, refused
        if self._catching_up is not None:  # which comes here again when it is done
            return
        while record is not None and transport is not None and self._cursor < record.end and transport.writable:
            if self._cursor < record.first:
                self._catch_up(record)
                return
            self._send_next(record, transport, record.end)
        logger.info("client %s refused, error %d: %s", refused.client_id, refused.error_type, refused.text)
        self.send(self._session.error(refused.error_type, refused.text))
        self._close(CloseCode.POLICY_VIOLATION, "see the error frame")

    # The pump

    def pump_soon(self) -> None:
        """The history has grown: send the new events, those of one turn of the event loop with one write."""
        record = self._record
        if record is None or self._stopped:
            return
        if record.end - self._cursor >= _TOGETHER:
            self.pump()
        elif self._next_pump is None:
            self._next_pump = self._loop.call_soon(self.pump)

    def pump(self) -> None:
        """Send events beyond the cursor, and responses in their place, as fast as the client reads."""
        if self._next_pump is not None:
            self._next_pump.cancel()
            self._next_pump = None
        if self._catching_up is None and not self._stopped:
            self._pump()

    def _pump(self) -> None:
        record, transport = self._record, self._transport
        if record is None or transport is None:
            return
        self._send_responses()
        if self._cursor < record.first:
            self._catch_up(record)
            return
        stop = min(record.end, self._cursor + _BATCH)
        while self._cursor < stop and transport.writable:
            self._send_next(record, transport, stop)
        if self._cursor < record.end and transport.writable and self._next_pump is None:
            self._next_pump = self._loop.call_soon(self.pump)
        elif self._cursor < record.end or self._responses:
            self._heed(transport)  # perhaps it was a ping that filled the network

    def _send_next(self, record: ClientRecord, transport: Transport, stop: int) -> None:
        """Send events up to the place *stop*, as many as one write takes."""
        start = self._cursor - record.first
        transactions = record.history[start : min(stop - record.first, start + _TOGETHER)]
        self._cursor += len(transactions)
        self._send_transactions(transport, transactions)

    def _send_transactions(self, transport: Transport, transactions: Sequence[Transaction]) -> None:
        if self._stopped or not transactions:
            return
        seal = self._session.transaction
        if not self._responses:
            self._position = transactions[-1].transaction_id
            transport.send_many([seal(each.transaction_id, each.timestamp, each.payload) for each in transactions])
            self._heed(transport)
            return
        for each in transactions:
            self._position = each.transaction_id
            self.send(seal(each.transaction_id, each.timestamp, each.payload))
            self._send_responses()  # each has its place between two events

    def _send_responses(self) -> None:
        """Send the responses that wait for no event."""
        if not self._responses:
            return
        transport = self._transport
        owed = self.owed
        while self._responses and transport is not None and transport.writable:
            after, request_id, payload = self._responses.first
            if after > self._position:
                break
            self._responses.pop()
            self.owed -= len(payload)
            self.send(self._session.response(request_id, payload))
        if self.owed <= MAX_OWED < owed:
            self._loop.call_soon(self._on_room)

    def _catch_up(self, record: ClientRecord) -> None:
        """Send the events that are only in the file, then those in memory."""
        self._catching_up = self._loop.create_task(self._send_older(record))

    async def _send_older(self, record: ClientRecord) -> None:
        ledger, transport = self._ledger, self._transport
        try:
            while self._cursor < record.first and ledger is not None and transport is not None and not self._stopped:
                self._send_transactions(transport, await ledger.read(record, self._position, _BATCH))
                self._cursor = record.after(self._position)
                await transport.drain()
        except JournalError as error:
            logger.critical("client %s: %s", record.client_id, error)
            self._close(CloseCode.INTERNAL_ERROR, "the history cannot be read")
            return
        self._catching_up = None
        if self._stopped:  # and what is left is not sent: it would begin again
            return
        if self._refused is not None:
            self.refuse(self._refused)
        else:
            self.pump()

    async def _drained(self, transport: Transport) -> None:
        await transport.drain()
        self.drain = None
        self._stop_stall()
        self._broadcasts = 0
        self.pump()
        self._on_room()

    def _on_stall(self) -> None:
        reason = f"nothing was read for {self._stall_timeout:g} s"
        self._close(CloseCode.POLICY_VIOLATION, reason)

    def _stop_stall(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None
