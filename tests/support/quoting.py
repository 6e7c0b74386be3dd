"""Ladders and open quotes in few words, and a client that a test answers, for the tests of quotes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import cryptoproto as cp
from cryptoproto import Side
from cryptoproto.quotes.levels import Ladder
from cryptoproto.quotes.plan import Certainty, OpenQuote
from cryptoproto.reconnect import StateStream

__all__ = ["BUY", "PAIR", "SELL", "ScriptedClient", "ladders", "open_quote"]

PAIR = "BTC_USD"

BUY, SELL = Side.BUY, Side.SELL


def ladders(bids: dict[str, str] | None = None, asks: dict[str, str] | None = None) -> dict[Side, Ladder]:
    """Amounts by price, best first."""
    sides: dict[Side, Ladder] = {}
    for side, levels in ((BUY, bids or {}), (SELL, asks or {})):
        prices = sorted(levels, key=Decimal, reverse=side is BUY)
        sides[side] = {Decimal(price): Decimal(levels[price]) for price in prices}
    return sides


def open_quote(
    key: int,
    side: Side,
    price: str,
    remaining: str,
    certainty: Certainty = Certainty.OPEN,
    counts: str | None = None,
) -> OpenQuote:
    return OpenQuote(key, side, Decimal(price), Decimal(remaining), Decimal(counts or remaining), certainty)


class ScriptedClient:
    """A client without an exchange: a test answers each call.

    Attributes:
        calls: what waits for its answer, by the order that it is about.
        before_balance: called before a balance is answered.
    """

    def __init__(self) -> None:
        self.orders = cp.OrderTable()
        self.instruments: dict[str, cp.Instrument] = {}
        self.stream = StateStream(cp.StateChange(cp.State.LIVE, "connected"))
        self.calls: dict[cp.Order, asyncio.Future[bool]] = {}
        self.before_balance: Callable[[], object] = lambda: None

    @property
    def state(self) -> cp.StateChange:
        return self.stream.current

    def states(self) -> cp.Subscription[cp.StateChange]:
        return self.stream.subscribe()

    async def balances(self, **_: Any) -> dict[str, cp.Balance]:
        await asyncio.sleep(0)
        self.before_balance()
        return {"BTC": cp.Balance(Decimal(10), Decimal(0))}

    async def place(
        self, trade_pair: str, side: Any, *, amount: Any, price: Any, client_order_id: int | None = None, **_: Any
    ) -> cp.Order:
        order = cp.Order(
            client_order_id=client_order_id, trade_pair=trade_pair, side=side, amount=amount, price=price
        )  # fmt: skip
        self.orders.add(order)
        await self._answer(order)
        return order

    async def cancel(self, order: Any = None, **_: Any) -> bool:
        return await self._answer(order)

    async def _unused(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError

    replace = cancel_all = request = open_orders = _unused

    def events(self) -> Any:
        raise NotImplementedError

    batches = reports = events

    async def _answer(self, order: cp.Order) -> bool:
        self.calls[order] = asyncio.get_running_loop().create_future()
        try:
            return await self.calls[order]
        finally:
            del self.calls[order]

    def tell(self, message: cp.Message) -> None:
        """An event arrives."""
        self.orders.handlers()[type(message)](message, 1, 1)

    def accept(self, order: cp.Order) -> None:
        """The event that says that *order* is open; the call that placed it goes on to wait."""
        kind = cp.BuyOrderPlaced if order.side is BUY else cp.SellOrderPlaced
        number = order.client_order_id or 0
        self.tell(
            kind(
                number, PAIR, (1, 0), number, price=order.price, initial_amount=order.amount, amount=order.amount,
                closed_inline=False,
            )
        )  # fmt: skip

    def end(self, order: cp.Order) -> None:
        """The event that says that *order* is cancelled."""
        kind = cp.BuyOrderCancelled if order.side is BUY else cp.SellOrderCancelled
        self.tell(kind(order.order_id or 0, PAIR, (1, 0), order.client_order_id))

    def enter(self, state: cp.State) -> None:
        self.stream.publish(cp.StateChange(state, "told so"), last=state is cp.State.CLOSED)
