"""A message on its way through order entry."""

from __future__ import annotations

import asyncio
from typing import Final, Self

import msgspec

from ..exceptions import CryptoprotoError, StoreError
from ..messages import CancelOrder, PlaceOrder, decode_client_message
from .account import Order
from .outcomes import Kind, Pending
from .reports import OutcomeReport
from .store import OutboxEntry

__all__ = ["SENT", "SendAgain", "Submission"]

SENT: Final = {Kind.PLACE: "orders_sent", Kind.CANCEL: "cancels_sent", Kind.CANCEL_ALL: "cancel_alls_sent"}
"""What counts the messages of each kind, in :class:`~cryptoproto.client.metrics.Metrics`."""


class Submission(msgspec.Struct, eq=False):
    """A message on its way: what was sent, for whom, and the future of its outcome.

    Attributes:
        pending: what outcomes know of it.
        payload: its JSON.
        answer: resolved with ``None`` when it took effect, or with the error that says why not.
        waiter: what the caller waits for; see :meth:`wake`.
        order: the order that it places, or ``None``.
        deadline: loop time until which it makes sense to send it.
        resend: whether to send it once more if the exchange has not received it.
        key: its number in the store's outbox, ``None`` while it is not there.
        sent_ns: when it was handed to the connection, in unix nanoseconds.
        caller_left: whether nobody waits for the answer any more.
        is_prepared: whether it is kept signed until it is sent.
    """

    pending: Pending
    payload: bytes
    answer: asyncio.Future[CryptoprotoError | None]
    order: Order | None = None
    deadline: float = 0.0
    resend: bool = False
    key: int | None = None
    sent_ns: int = 0
    caller_left: bool = False
    is_prepared: bool = False
    waiter: asyncio.Future[None] | None = None

    @classmethod
    def restored(cls, entry: OutboxEntry, answer: asyncio.Future[CryptoprotoError | None]) -> Self:
        """The message of *entry*, which an earlier process left without an outcome.

        Raises:
            StoreError: it is damaged, or was written by a later version of this package.
        """
        order = None
        try:
            pending = Pending(kind=Kind(entry.kind), client_order_id=entry.client_order_id, sequence=entry.sequence)
            message = decode_client_message(entry.payload)
            if isinstance(message, CancelOrder):
                pending.order_id = message.order_id
            elif isinstance(message, PlaceOrder):
                order = Order.of(message, created_ns=entry.created_ns)
        except ValueError as error:  # DecodeError and OrderInvalid among them
            raise StoreError(
                f"message {entry.key} in the client's store cannot be read: {error}; restore a backup of the store, "
                f"or use the version of this package that wrote it"
            ) from None
        return cls(pending, entry.payload, answer, order=order, key=entry.key, caller_left=True)

    def settle(self, error: CryptoprotoError | None) -> None:
        """The outcome is known. Only the first one counts."""
        if not self.answer.done():
            self.answer.set_result(error)
            self.wake()

    def wake(self) -> None:
        """Let the caller look at the answer, if it waits.

        It does not wait for the answer itself: whoever cancels a task cancels what it waits for, and the outcome of a
        cancelled call has to be reported. ``asyncio.wait()`` would wake it a turn of the event loop later.
        """
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    def report(self, error: CryptoprotoError | None) -> OutcomeReport:
        """The report of its outcome, for readers of :meth:`cryptoproto.Client.reports`."""
        pending = self.pending
        return OutcomeReport(pending.kind, pending.client_order_id, pending.order_id, error)


class SendAgain(CryptoprotoError):
    """Not an error but an answer: the exchange has not received the message, and it is to be sent once more."""
