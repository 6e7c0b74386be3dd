"""Checks the orders of each strategy against its limits; without I/O, time is an argument."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, Protocol

import msgspec

from ...exceptions import OrderInvalid
from ...instruments import OrderLimits, OrderRate
from ...instruments.grid import bounded
from ...messages import PlaceOrder
from ..strategy_ids import strategy_number
from ..strategy_limits import StrategyLimits

__all__ = ["LimitChecks", "OrderRefused"]


class OrderRefused(OrderInvalid):
    """A limit, an operator, or what the strategy did before does not allow an order: it is neither logged nor sent."""


class _KnownOrder(Protocol):
    @property
    def client_order_id(self) -> int | None: ...
    @property
    def trade_pair(self) -> str: ...
    @property
    def remaining(self) -> Decimal: ...
    @property
    def price(self) -> Decimal: ...


class _Placing(msgspec.Struct, frozen=True):
    """An order that is being placed."""

    client_order_id: int | None
    trade_pair: str
    remaining: Decimal
    price: Decimal


class _Strategy:
    """The checks of one strategy, as long as its limits stay as they are."""

    def __init__(self, limits: StrategyLimits, book: Any) -> None:
        self.limits = limits
        self.order_limits: OrderLimits = limits.order_limits(book)
        self.rate = OrderRate(limits.max_orders_per_second)
        self.needs_open = limits.max_open_orders is not None or bool(limits.max_open_value)


class LimitChecks:
    """What the owner asks before it places an order for a strategy.

    Args:
        unfinished: the orders of all strategies that have not ended.
        book: the book of a pair, or ``None``; for price bands.
    """

    def __init__(self, unfinished: Callable[[], Iterable[_KnownOrder]], book: Callable[[str], Any]) -> None:
        self._unfinished = unfinished
        self._book = book
        self._strategies: dict[int, _Strategy] = {}
        self._placing: dict[int, dict[int | None, _Placing]] = {}

    @contextmanager
    def admit(self, name: str, number: int, limits: StrategyLimits, order: PlaceOrder, now: float) -> Iterator[None]:
        """Check an order, and count it as open for as long as it is being placed.

        Args:
            name: of the strategy, for errors.
            number: of the strategy.
            limits: of the strategy.
            order: about to be placed.
            now: seconds of a monotonic clock.

        Raises:
            OrderRefused: a limit does not allow it.
            OrderInvalid: its amount or price is no number that could be checked.
        """
        candidate = _Placing(
            order.client_order_id, order.trade_pair, bounded(order.amount, "amount"), bounded(order.price, "price")
        )
        try:
            self._check(number, limits, candidate, now)
        except OrderInvalid as error:
            raise OrderRefused(f"the limits of strategy {name}: {error}") from None
        placing = self._placing.setdefault(number, {})
        placing[candidate.client_order_id] = candidate
        try:
            yield
        finally:
            placing.pop(candidate.client_order_id, None)

    def _check(self, number: int, limits: StrategyLimits, candidate: _Placing, now: float) -> None:
        known = self._strategies.get(number)
        if known is None or known.limits != limits:
            known = self._strategies[number] = _Strategy(limits, self._book)
        opened = self._open_of(number) if known.needs_open else []
        most = limits.max_open_orders
        if most is not None and len(opened) >= most:
            raise OrderInvalid(
                f"{len(opened)} orders have not ended, which is the limit max_open_orders={most}; "
                f"cancel open orders, or have the limit raised"
            )
        known.order_limits.check(candidate, opened)
        known.rate.count(now)

    def _open_of(self, number: int) -> list[_KnownOrder]:
        """The orders of a strategy that have not ended, each once: sent ones, and those that wait to be sent."""
        opened: dict[int | None, _KnownOrder] = dict(self._placing.get(number, {}))
        for order in self._unfinished():
            if strategy_number(order.client_order_id) == number:
                opened[order.client_order_id] = order
        return list(opened.values())
