"""The position in the base currency, and how much of it the limits still allow."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Final, NamedTuple

from ..client import Order
from ..exceptions import ConfigurationError
from ..instruments.grid import EXACT
from ..messages import AmountLike, Side

__all__ = ["Inventory", "InventoryLimits", "read_limits"]

_ZERO: Final = Decimal(0)


class InventoryLimits(NamedTuple):
    """How far the position may go: from ``-max_short`` to ``max_long``. ``None`` = no limit.

    Attributes:
        max_long: the largest position.
        max_short: the largest negative position, as a positive number.
        flat_at: the balance at which the position is zero; ``None`` = the balance at the start.
    """

    max_long: Decimal | None
    max_short: Decimal | None
    flat_at: Decimal | None

    @property
    def are_set(self) -> bool:
        """Whether the position matters."""
        return self.max_long is not None or self.max_short is not None


def read_limits(
    max_long: AmountLike | None, max_short: AmountLike | None, flat_at: AmountLike | None
) -> InventoryLimits:
    """The limits as users write them.

    Raises:
        ConfigurationError: one is not a decimal number of zero or more.
    """
    return InventoryLimits(
        None if max_long is None else read_amount("max_long", max_long),
        None if max_short is None else read_amount("max_short", max_short),
        None if flat_at is None else read_amount("flat_at", flat_at),
    )


def read_amount(name: str, value: AmountLike) -> Decimal:
    """*value* as a finite Decimal of zero or more, called *name* in an error.

    Raises:
        ConfigurationError: it is something else, or a float, which has no exact decimal form.
    """
    if isinstance(value, Decimal | str | int) and not isinstance(value, bool):
        try:
            number = Decimal(value)
        except ArithmeticError:
            number = Decimal("NaN")
        if number.is_finite() and number >= _ZERO:
            return number
    raise ConfigurationError(f'{name}={value!r:.40} must be a Decimal, a string like "1.5" or an int, of zero or more')


class Inventory:
    """The position: what the balance was when it was last compared, and what orders of the pair have filled since.

    Fills count in the same step in which they reduce what is open, so at every moment the position and the open orders
    fit together. A balance would not: its event comes after that of the fill.

    Args:
        trade_pair: the pair that is quoted.
        limits: how far the position may go.
    """

    def __init__(self, trade_pair: str, limits: InventoryLimits) -> None:
        self.limits = limits
        self._pair = trade_pair
        self._flat_at = limits.flat_at
        self._start: Decimal | None = None
        self._seen: dict[Order, Decimal] = {}
        self._forgotten = _ZERO  # what orders filled that the client does not know any more

    def filled(self, orders: Iterable[Order]) -> Decimal:
        """How much the orders of the pair have bought and sold since they are counted, less the fees."""
        seen: dict[Order, Decimal] = {}
        sum_of_all = _ZERO
        for order in orders:
            if order.trade_pair == self._pair and (net := _net(order)):
                seen[order] = net
                sum_of_all = EXACT.add(sum_of_all, net)
        for order in self._seen.keys() - seen.keys():
            self._forgotten = EXACT.add(self._forgotten, _net(order))
        self._seen = seen
        return EXACT.add(sum_of_all, self._forgotten)

    def compare(self, balance: Decimal, orders: Iterable[Order]) -> None:
        """*balance* is the whole balance of the base currency, after all fills of *orders*."""
        if self._flat_at is None:
            self._flat_at = balance
        self._start = EXACT.subtract(EXACT.subtract(balance, self._flat_at), self.filled(orders))

    def position(self, orders: Iterable[Order]) -> Decimal | None:
        """The position; ``None`` until a balance was compared."""
        return None if self._start is None else EXACT.add(self._start, self.filled(orders))

    def rooms(self, orders: Iterable[Order]) -> dict[Side, Decimal | None]:
        """How much all bids, and all asks, may add up to; ``None`` = no limit. Nothing before the position is known."""
        position = self.position(orders) if self.limits.are_set else None
        return {
            Side.BUY: _room(self.limits.max_long, position),
            Side.SELL: _room(self.limits.max_short, None if position is None else EXACT.minus(position)),
        }


def _room(limit: Decimal | None, position: Decimal | None) -> Decimal | None:
    if limit is None:
        return None
    return _ZERO if position is None else EXACT.subtract(limit, position)


def _net(order: Order) -> Decimal:
    if order.side is Side.BUY:
        return EXACT.subtract(order.filled, order.fees)  # a buyer pays the fee in the base currency
    return EXACT.minus(order.filled)
