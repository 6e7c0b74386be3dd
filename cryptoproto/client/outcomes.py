"""Decides what has become of each order and cancel that was sent. No futures, no event loop, no I/O.

Three facts connect answers to messages. Events answer messages in the order of their sequences. A rejection for lack of
funds carries no client order id, so it belongs to the oldest order without an answer. And an error frame answers the
last message that the exchange has seen, whose sequence the next handshake gives.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from ..exceptions import (
    CryptoprotoError,
    InsufficientFundsError,
    OrderNotOpen,
    OrderRejected,
    OutcomeUnknown,
    ServerError,
)
from ..messages import (
    BuyOrderCancelled,
    BuyOrderPlaced,
    InsufficientFunds,
    Message,
    OrderCancelled,
    OrderNotFound,
    OrderPlaced,
    SellOrderCancelled,
    SellOrderPlaced,
    Unknown,
)

__all__ = ["ANSWERS", "Kind", "Outcomes", "Pending", "Settled"]


ANSWERS: Final[frozenset[type[Any]]] = frozenset(
    (BuyOrderPlaced, SellOrderPlaced, InsufficientFunds, BuyOrderCancelled, SellOrderCancelled, OrderNotFound)
)
"""The messages that can settle anything. A look here saves a call for each of the others."""


class Kind(enum.StrEnum):
    """What a message asks for."""

    PLACE = "place"
    CANCEL = "cancel"
    CANCEL_ALL = "cancel_all"


class Pending(msgspec.Struct, eq=False, kw_only=True):
    """One message that was sent and has no outcome yet.

    Attributes:
        kind: what it asks for.
        client_order_id: of the order to place, or ``None``.
        order_id: of the order to cancel, or ``None``.
        sequence: the sequence it was sent with, ``None`` before that.
    """

    kind: Kind
    client_order_id: int | None = None
    order_id: int | None = None
    sequence: int | None = None


class Settled(NamedTuple):
    """An outcome: *error* is ``None`` if the message took effect, and says why not otherwise."""

    pending: Pending
    error: CryptoprotoError | None


class Outcomes:
    """Decides about the messages without an outcome.

    It changes nothing: a message stays until its sender removes it, so a decision that could not be stored is made
    again when its event comes again.

    Args:
        unanswered: the messages without an outcome, in the order of their sequences, as they are at any time.
    """

    __slots__ = ("_unanswered",)

    def __init__(self, unanswered: Mapping[Pending, object]) -> None:
        self._unanswered = unanswered

    def apply(self, message: Message | Unknown) -> list[Settled]:
        """What *message* settles: one outcome or none. A repeated answer settles nothing."""
        error: CryptoprotoError | None = None
        if isinstance(message, OrderPlaced):
            kind, number = Kind.PLACE, message.client_order_id
            if number is None:
                return []
        elif isinstance(message, InsufficientFunds):
            kind, number = Kind.PLACE, None  # of the oldest order
            error = InsufficientFundsError(message.currency, message.order_id)
        elif isinstance(message, OrderCancelled):
            kind, number = Kind.CANCEL, message.order_id
        elif isinstance(message, OrderNotFound):
            kind, number = Kind.CANCEL, message.order_id
            error = OrderNotOpen(f"order {number} is not open")
        else:
            return []
        for one in self._unanswered:
            if one.kind is kind and number in (None, one.client_order_id if kind is Kind.PLACE else one.order_id):
                return [Settled(one, error)]
        return []

    def not_received(self, last_sequence: int) -> list[Pending]:
        """What the exchange has not seen, and will not see any more."""
        return [one for one in self._unanswered if one.sequence is None or one.sequence > last_sequence]

    def caught_up(self, last_sequence: int, error: CryptoprotoError | None, *, complete: bool) -> list[Settled]:
        """What is settled once everything up to *last_sequence* has been answered.

        Args:
            last_sequence: the last sequence that the exchange has seen.
            error: what ended the connection on which it was seen, if that is known.
            complete: whether all events since then were replayed.
        """
        return [
            Settled(one, self._verdict(one, last_sequence, error, complete=complete))
            for one in self._unanswered
            if one.sequence is not None and one.sequence <= last_sequence
        ]

    def _verdict(
        self, one: Pending, last_sequence: int, error: CryptoprotoError | None, *, complete: bool
    ) -> CryptoprotoError | None:
        if one.kind is Kind.CANCEL_ALL:
            return None
        if one.sequence == last_sequence and isinstance(error, ServerError):
            return error
        if not complete:
            unknown = OutcomeUnknown("the exchange received it; its answer was among events that were not requested")
            unknown.sent = unknown.is_final = True
            return unknown
        # Received, and neither accepted nor refused by an event: refused with an error frame that was lost.
        return OrderRejected("the exchange refused it; the reason was lost with the connection")
