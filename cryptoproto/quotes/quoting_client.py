"""What quotes need of a client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from ..client import Order, OrderTable, StateChange
from ..instruments import Instrument
from ..messages import AmountLike, Balance, Side
from ..reconnect import Subscription

__all__ = ["QuotingClient"]


class QuotingClient(Protocol):
    """A client that can quote; :class:`~cryptoproto.Client` is one. Events keep its orders up to date."""

    @property
    def orders(self) -> OrderTable:
        """Every open order, and the latest closed ones."""
        ...

    @property
    def instruments(self) -> Mapping[str, Instrument]:
        """The rules that orders are checked against, by pair; empty if there are none."""
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
