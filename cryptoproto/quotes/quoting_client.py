"""What quotes need of a client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from ..client import Order, StateChange
from ..messages import AmountLike, Balance, Side
from ..reconnect import Subscription

__all__ = ["Orders", "QuotingClient"]


class Orders(Protocol):
    """The orders of a client; :class:`~cryptoproto.OrderTable` is one."""

    def __iter__(self) -> Iterator[Order]:
        """All known orders, closed ones first."""
        ...

    def open_orders(self) -> list[Order]:
        """The orders that the exchange has accepted and that have not ended, in order of id."""
        ...

    def by_client_order_id(self, client_order_id: int) -> Order | None:
        """The order that was placed with *client_order_id*, if it is known."""
        ...


class QuotingClient(Protocol):
    """A client that can quote; :class:`~cryptoproto.Client` is one. Events keep its orders up to date."""

    @property
    def orders(self) -> Orders:
        """Every open order, and the latest closed ones."""
        ...

    @property
    def state(self) -> StateChange:
        """The state that the client is in: the same object until it changes."""
        ...

    def states(self) -> Subscription[StateChange]:
        """The state now, and every change after it."""
        ...

    async def balances(self, *, wait: bool) -> dict[str, Balance]:
        """The balances by currency, after every event before them."""
        ...

    async def place(
        self,
        trade_pair: str,
        side: Side,
        *,
        amount: AmountLike,
        price: AmountLike,
        client_order_id: int,
        timeout: float,
        wait: bool,
    ) -> Order:
        """Place an order; see :meth:`Client.place() <cryptoproto.Client.place>`."""
        ...

    async def cancel(self, order: Order, *, timeout: float, wait: bool) -> bool:
        """Cancel an order; see :meth:`Client.cancel() <cryptoproto.Client.cancel>`."""
        ...
