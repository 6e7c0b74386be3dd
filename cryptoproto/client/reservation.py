"""For stores that write across a network: a message is written down under its sequence before it is sent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from ..connection import Connection
from ..exceptions import ConnectionClosed, CryptoprotoError
from ..messages import Message, Outgoing, Unknown
from .store import OutboxEntry, ReservingStore, Store
from .submission import Submission

__all__ = ["Reservations"]


class Reservations:
    """Promises sequences to a :class:`~cryptoproto.client.store.ReservingStore`, to one message at a time.

    Args:
        store: the client's store; of any other kind, :attr:`are_needed` is false.

    Attributes:
        are_needed: whether messages need a reservation.
    """

    def __init__(self, store: Store) -> None:
        self._store: ReservingStore | None = store if isinstance(store, ReservingStore) else None
        self._lock = asyncio.Lock()
        self._held = 0  # messages that hold a sequence, or wait for one
        self.are_needed: bool = self._store is not None

    @asynccontextmanager
    async def hold(self, connection: Connection, submission: Submission) -> AsyncIterator[bool]:
        """Hold the next sequence of *connection* for *submission*.

        Gives whether the message may be sent now. It must be sent without awaiting anything before. If something else
        has taken the sequence while the store wrote, the message is written down once more, under the next one.
        """
        self._held += 1
        try:
            async with self._lock:
                is_alone = self._held == 1
                connection.keep_signed(submission.payload, soon=not is_alone)
                try:
                    yield await self._reserve(connection, submission, is_alone=is_alone)
                finally:
                    connection.release(submission.payload)
        finally:
            self._held -= 1

    async def _reserve(self, connection: Connection, submission: Submission, *, is_alone: bool) -> bool:
        """Write the message down until the sequence is free; returns whether it may be sent."""
        payload = submission.payload
        reserved = None
        while self._store is not None and connection.is_open and connection.is_free_for(payload):
            sequence = connection.next_sequence
            if sequence == reserved:
                return True
            # It is signed while the store writes: neither needs the other.
            reserving = self._store.reserve(_entry(submission, sequence))
            if is_alone:  # what comes together is signed by threads
                connection.sign_now(payload)
            try:
                await reserving
            except CryptoprotoError:
                # Perhaps it is written down: nothing else may be sent with this sequence.
                connection.give_up(ConnectionClosed(None, "a message could not be written down"))
                raise
            reserved = sequence
            with suppress(CryptoprotoError):  # the connection has ended, which the loop sees
                await connection.wait_signed(payload)
        return False

    async def connected(self, connection: Connection) -> None:
        """A connection was opened, and nothing was sent on it."""
        if self._store is not None:
            await self._store.connected(connection.last_sequence)

    async def request_at(
        self, connection: Connection, message: Outgoing, at: Callable[[Message | Unknown], None], timeout: float
    ) -> None:
        """As :meth:`Connection.request_at <cryptoproto.Connection.request_at>`, with a sequence that is not promised.

        Otherwise the sequence that the exchange has seen last would not tell whether it has seen a message.
        """
        if not self.are_needed:
            await connection.request_at(message, at, timeout=timeout)
            return
        async with self._lock:
            sending = asyncio.ensure_future(connection.request_at(message, at, timeout=timeout))
            try:
                await asyncio.sleep(0)  # it is sent in the first step, if the transport takes it
            except asyncio.CancelledError:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
                raise
        await sending


def _entry(submission: Submission, sequence: int) -> OutboxEntry:
    pending = submission.pending
    return OutboxEntry(
        kind=pending.kind.value,
        payload=submission.payload,
        created_ns=time.time_ns(),
        client_order_id=pending.client_order_id,
        sequence=sequence,
    )
