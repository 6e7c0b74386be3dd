"""What has become of each order and cancel that was sent, told apart by what the exchange says in which order.

Three facts tie answers to questions. Events answer messages in the order of their sequences. A rejection for lack of
funds carries no client order id, so it belongs to the oldest order that has no answer yet. And an error frame is the
answer to the last message that the exchange has seen, whose sequence the next handshake tells.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable

from ..exceptions import (
    CryptoprotoError,
    InsufficientFundsError,
    OrderRejected,
    OutcomeUnknown,
    RequestNotSent,
    ServerError,
)
from ..messages import InsufficientFunds, Message, OrderCancelled, OrderNotFound, OrderPlaced, Unknown

__all__ = ["Kind", "OrderNotOpen", "Outcomes", "Pending", "never_sent"]


class OrderNotOpen(OrderRejected):
    """There was nothing to cancel."""


class Kind(enum.Enum):
    """What was sent."""

    PLACE = "place"
    CANCEL = "cancel"
    CANCEL_ALL = "cancel_all"


class Pending:
    """One message whose outcome is not known yet.

    Attributes:
        kind: what it asks for.
        payload: its JSON.
        client_order_id: of the order to place, or ``None``.
        order_id: of the order to cancel, or ``None``.
        sequence: the sequence it was last sent with, ``None`` before.
        resend: whether it may be sent once more if the exchange has not received it.
        deadline: in loop time, until when that makes sense.
        sent_ns: when it was handed to the connection, in unix nanoseconds.
        unknown: whether its caller was told that the outcome is not known.
        waited_for: whether its caller is still there.
        key: its number in the store's outbox, ``None`` while it is not there.
        answer: resolved with ``None`` when it took effect, or with the error that tells why not.
    """

    __slots__ = (
        "answer", "client_order_id", "deadline", "key", "kind", "order_id", "payload", "resend", "sent_ns", "sequence",
        "unknown", "waited_for",
    )  # fmt: skip

    def __init__(
        self,
        kind: Kind,
        payload: bytes,
        *,
        client_order_id: int | None = None,
        order_id: int | None = None,
        deadline: float = 0.0,
        resend: bool = False,
    ) -> None:
        self.kind = kind
        self.payload = payload
        self.client_order_id = client_order_id
        self.order_id = order_id
        self.deadline = deadline
        self.resend = resend
        self.sent_ns = 0
        self.unknown = False
        self.waited_for = False
        self.sequence: int | None = None
        self.key: int | None = None
        self.answer: asyncio.Future[CryptoprotoError | None] = asyncio.get_running_loop().create_future()


class Outcomes:
    """The messages without an outcome, in the order of their sequences.

    Args:
        on_settled: called with each message and what became of it: ``None``, or the error that tells why not.

    Attributes:
        unanswered: the messages by their ``id()``, in the order of sending; for others to look whether there are any.
    """

    def __init__(self, on_settled: Callable[[Pending, CryptoprotoError | None], None]) -> None:
        self._on_settled = on_settled
        self.unanswered: dict[int, Pending] = {}

    def pending(self) -> list[Pending]:
        """All of them, oldest first."""
        return list(self.unanswered.values())

    def add(self, pending: Pending) -> None:
        """It is about to be sent, with its sequence."""
        self.unanswered[id(pending)] = pending

    def remove(self, pending: Pending) -> None:
        """It was not received."""
        self.unanswered.pop(id(pending), None)

    def apply(self, message: Message | Unknown) -> None:
        """Settle what an event answers. Idempotent: an answer finds nothing the second time."""
        if isinstance(message, OrderPlaced):
            if message.client_order_id is not None:
                self._settle_first(
                    lambda one: one.kind is Kind.PLACE and one.client_order_id == message.client_order_id, None
                )
        elif isinstance(message, InsufficientFunds):
            error = InsufficientFundsError(message.currency, message.order_id)
            self._settle_first(lambda one: one.kind is Kind.PLACE and one.sequence is not None, error)
        elif isinstance(message, OrderCancelled):
            self._settle_first(lambda one: one.kind is Kind.CANCEL and one.order_id == message.order_id, None)
        elif isinstance(message, OrderNotFound):
            error_ = OrderNotOpen(f"order {message.order_id} is not open")
            self._settle_first(lambda one: one.kind is Kind.CANCEL and one.order_id == message.order_id, error_)

    def not_received(self, last_sequence: int) -> list[Pending]:
        """What the exchange has not seen, and will not see any more."""
        return [one for one in self.unanswered.values() if one.sequence is None or one.sequence > last_sequence]

    def caught_up(self, last_sequence: int, error: CryptoprotoError | None, *, complete: bool) -> None:
        """Everything up to *last_sequence* has been answered by now; settle what is left.

        Args:
            last_sequence: the last sequence that the exchange has seen.
            error: what ended the connection on which it was seen, where that is known.
            complete: whether all events since then were replayed.
        """
        for one in list(self.unanswered.values()):
            if one.sequence is None or one.sequence > last_sequence:
                continue
            if one.kind is Kind.CANCEL_ALL:
                self._settle(one, None)
            elif one.sequence == last_sequence and isinstance(error, ServerError):
                self._settle(one, error)
            elif not complete:
                self._settle(one, _missed())
            else:
                # Received, and neither accepted nor refused by an event: refused with an error frame that was lost.
                self._settle(one, OrderRejected("the exchange refused it; the reason was lost with the connection"))

    def settle(self, pending: Pending, error: CryptoprotoError | None) -> None:
        """Settle one by other knowledge."""
        if self.unanswered.get(id(pending)) is pending:
            self._settle(pending, error)

    def _settle_first(self, fits: Callable[[Pending], bool], error: CryptoprotoError | None) -> None:
        for one in self.unanswered.values():
            if fits(one):
                self._settle(one, error)
                return

    def _settle(self, pending: Pending, error: CryptoprotoError | None) -> None:
        self._on_settled(pending, error)  # if the store fails, nothing has happened yet, and the event comes again
        self.unanswered.pop(id(pending), None)


def _missed() -> OutcomeUnknown:
    error = OutcomeUnknown("the exchange received it, and its answer was among the events that were not asked for")
    error.sent = True
    return error


def never_sent(reason: str) -> RequestNotSent:
    """The error of a message that the exchange has not received and will not."""
    error = RequestNotSent(reason)
    error.sent = False
    return error
