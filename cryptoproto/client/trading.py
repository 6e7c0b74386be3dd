"""What a bot needs of a client, as a type: for bots that run on more than one kind of client."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from ..connection import Event
from ..instruments import Instrument
from ..messages import AmountLike, Balance, Message, Outgoing, Side, TimeInForce, Unknown
from ..reconnect import Subscription
from .account import Order, OrderTable
from .reports import Report
from .states import StateChange

__all__ = ["TradingClient"]


class TradingClient(Protocol):
    """What a bot needs of a client. :class:`~cryptoproto.Client` and the gateway's ``GatewayClient`` satisfy it.

    Annotate a bot's client with it, and the bot runs on every client that has these methods, a double for tests
    included. What they do, return and raise is described at :class:`~cryptoproto.Client`.
    """

    async def place(
        self,
        trade_pair: str,
        side: Side | str,
        *,
        amount: AmountLike,
        price: AmountLike,
        time_in_force: TimeInForce | str = ...,
        ttl: int = ...,
        client_order_id: int | None = ...,
        timeout: float = ...,
        wait: bool = ...,
    ) -> Order:
        """See :meth:`cryptoproto.Client.place`."""

    async def replace(
        self,
        order: Order,
        *,
        price: AmountLike | None = ...,
        amount: AmountLike | None = ...,
        ttl: int | None = ...,
        client_order_id: int | None = ...,
        timeout: float = ...,
        wait: bool = ...,
        pipelined: bool = ...,
    ) -> Order:
        """See :meth:`cryptoproto.Client.replace`."""

    async def cancel(
        self,
        order: Order | int | None = ...,
        *,
        order_id: int | None = ...,
        client_order_id: int | None = ...,
        timeout: float = ...,
        wait: bool = ...,
    ) -> bool:
        """See :meth:`cryptoproto.Client.cancel`."""

    async def cancel_all(self, *, timeout: float = ..., wait: bool = ...) -> None:
        """See :meth:`cryptoproto.Client.cancel_all`."""

    async def request(self, message: Outgoing, *, timeout: float | None = ..., wait: bool = ...) -> Message | Unknown:
        """See :meth:`cryptoproto.Client.request`."""

    async def balances(self, *, timeout: float | None = ..., wait: bool = ...) -> dict[str, Balance]:
        """See :meth:`cryptoproto.Client.balances`."""

    async def open_orders(self, *, timeout: float | None = ..., wait: bool = ...) -> list[Order]:
        """See :meth:`cryptoproto.Client.open_orders`."""

    @property
    def orders(self) -> OrderTable:
        """See :attr:`cryptoproto.Client.orders`."""

    @property
    def instruments(self) -> Mapping[str, Instrument]:
        """See :attr:`cryptoproto.Client.instruments`."""

    @property
    def state(self) -> StateChange:
        """See :attr:`cryptoproto.Client.state`; the same object until the state changes."""

    def events(self) -> AsyncIterator[Event]:
        """See :meth:`cryptoproto.Client.events`."""

    def batches(self) -> AsyncIterator[list[Event]]:
        """See :meth:`cryptoproto.Client.batches`."""

    def states(self) -> Subscription[StateChange]:
        """See :meth:`cryptoproto.Client.states`."""

    def reports(self) -> AsyncIterator[Report]:
        """See :meth:`cryptoproto.Client.reports`."""
