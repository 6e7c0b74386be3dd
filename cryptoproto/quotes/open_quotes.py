"""The orders of the quotes that are open, or may be: what plans start from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ..client import Order, OrderStatus, StateChange, TradingClient
from .levels import QuoteLevel
from .ownership import Ownership
from .plan import Certainty, OpenQuote

__all__ = ["OpenQuotes", "Placement"]

_UNANSWERED: Final = frozenset((OrderStatus.PENDING, OrderStatus.UNKNOWN))


@dataclass(slots=True, eq=False)
class Placement:
    """One order that is being placed.

    Attributes:
        level: what it is placed for.
        client_order_id: its number.
        state: the state of the client when it was sent.
        is_answered: whether the call that placed it has returned.
    """

    level: QuoteLevel
    client_order_id: int
    state: StateChange
    is_answered: bool = False


class OpenQuotes:
    """The orders of the quotes that are open or may be, as the client knows them at this moment.

    An order counts from before it is sent until the client knows that it has ended or never reached the exchange. So an
    order without an answer is never placed twice.

    Args:
        client: has the orders.
        ownership: which of them belong to the quotes.
        refill: whether fills are made up; otherwise a partially filled order stands for its whole amount.
    """

    def __init__(self, client: TradingClient, ownership: Ownership, *, refill: bool) -> None:
        self._client = client
        self._ownership = ownership
        self._refill = refill
        self._placements: dict[int, Placement] = {}
        self._cancelling: dict[Order, StateChange] = {}

    def orders(self) -> list[Order]:
        """The open ones, oldest first."""
        return [order for order in self._client.orders.open if self._ownership.owns(order)]

    def since(self, time_ns: int) -> list[Order]:
        """The orders that were open at some time since *time_ns*."""
        return [
            order
            for order in self._client.orders
            if order.acknowledged_ns is not None
            and (order.closed_ns is None or order.closed_ns >= time_ns)
            and self._ownership.owns(order)
        ]

    def view(self) -> list[OpenQuote]:
        """Everything that may be open, oldest first."""
        quotes = []
        for order in self.orders():
            certainty = Certainty.CANCELLING if order in self._cancelling else Certainty.OPEN
            counts = order.remaining if self._refill else order.amount
            quotes.append(OpenQuote(order, order.side, order.price, order.remaining, counts, certainty))
        for placement in self.unanswered():
            side, price, amount = placement.level.side, placement.level.price, placement.level.amount
            quotes.append(OpenQuote(placement, side, price, amount, amount, Certainty.UNCERTAIN))
        return quotes

    def unanswered(self) -> list[Placement]:
        """Orders that the client does not know to be open, nor to have ended."""
        waiting = []
        for placement in list(self._placements.values()):
            if self._may_be_open(placement):
                waiting.append(placement)
            elif placement.is_answered:
                del self._placements[placement.client_order_id]
        return waiting

    def _may_be_open(self, placement: Placement) -> bool:
        order = self._client.orders.by_client_order_id(placement.client_order_id)
        if order is None:
            return not placement.is_answered
        return order.status in _UNANSWERED and not order.is_closed

    def begin(self, level: QuoteLevel) -> Placement:
        """An order for *level* is about to be sent."""
        placement = Placement(level, self._ownership.next_id(), self._client.state)
        self._placements[placement.client_order_id] = placement
        return placement

    def end(self, placement: Placement) -> None:
        """The call that placed it has returned; it goes on to count until its outcome is known."""
        placement.is_answered = True

    def order_of(self, placement: Placement) -> Order | None:
        """The order, once it was sent."""
        return self._client.orders.by_client_order_id(placement.client_order_id)

    def begin_cancel(self, order: Order) -> None:
        """A cancel of *order* is about to be sent."""
        self._cancelling[order] = self._client.state

    def end_cancel(self, order: Order, *, is_known: bool) -> None:
        """The cancel has returned; if its outcome *is_known*, the client's table says whether the order is open."""
        if is_known or not order.is_open:
            self._cancelling.pop(order, None)

    def settle(self, live: StateChange) -> None:
        """The client has compared its orders with the exchange: what was sent before has an outcome, or never took."""
        self._cancelling = {
            order: state for order, state in self._cancelling.items() if state is live and order.is_open
        }
        for placement in self.unanswered():
            if placement.is_answered and placement.state is not live:
                del self._placements[placement.client_order_id]
        self._ownership.learn(self._client.orders)
