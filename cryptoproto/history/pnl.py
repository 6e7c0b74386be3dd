"""Profit and loss of one pair from its trades. Exact: no float, and no rounding of any sum or product.

Positions may be long or short. A trade against the position realises a profit or a loss; what goes beyond it opens a
position on the other side. A fee is a loss at the moment of its trade; one in the base currency also makes the position
smaller, and counts at the price of the trade.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any, Final, Literal, Protocol, TypeAlias, runtime_checkable

import msgspec

from ..exceptions import ConfigurationError
from ..instruments import split_pair
from ..instruments.grid import shown
from ..messages import EXACT, AmountLike, Side, exact, plain_values
from .records import TradeRecord

__all__ = ["CostMethod", "HasMid", "PairLedger", "Prices", "ProfitAndLoss", "profit_and_loss"]

CostMethod: TypeAlias = Literal["average", "fifo"]
"""How the cost of what is sold is found: the mean of the position, or its oldest part first."""


@runtime_checkable
class HasMid(Protocol):
    """What has a mid price: an :class:`~cryptoproto.OrderBook`."""

    @property
    def mid(self) -> Decimal | None:
        """The price between the best bid and the best ask; ``None`` if there is none."""


Prices: TypeAlias = Mapping[str, AmountLike | HasMid] | Callable[[str], AmountLike | HasMid | None]
"""Prices by pair, or a function that returns the price of a pair: numbers, or order books, whose mid is used."""

_ZERO: Final = Decimal(0)
_ONE: Final = Decimal(1)
_add: Final = EXACT.add
_subtract: Final = EXACT.subtract
_multiply: Final = EXACT.multiply
# A mean may have no end. Its last digit here is far beyond that of a result, so that no sum of results shows it.
_MEAN: Final = Context(prec=200, rounding=ROUND_HALF_EVEN, traps=[])
_MEAN_STEP: Final = _ONE.scaleb(-60)
_RESULT_STEP: Final = _ONE.scaleb(-28)


class ProfitAndLoss(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one pair, in its quote currency.

    All numbers are exact, except that a mean price may have no end: then they are rounded to 28 decimals.

    Attributes:
        trade_pair: base and quote currency.
        method: ``"average"`` or ``"fifo"``.
        trades: how many trades are in the range.
        bought: how much of the base currency was bought in the range.
        sold: how much of it was sold in the range.
        position: how much is held at the end; negative if more was sold than bought.
        average_price: what the position cost by unit; ``None`` without a position.
        realised: the profit of what was bought and sold again in the range, less the fees.
        fees: the fees in the range, those in the base currency at the price of their trade.
        price: the price that *unrealised* is from.
        unrealised: what closing the position at *price* would add; ``None`` if there is a position and no price.
    """

    trade_pair: str
    method: CostMethod
    trades: int
    bought: Decimal
    sold: Decimal
    position: Decimal
    average_price: Decimal | None
    realised: Decimal
    fees: Decimal
    price: Decimal | None
    unrealised: Decimal | None

    @property
    def total(self) -> Decimal | None:
        """Realised and unrealised together."""
        return None if self.unrealised is None else _add(self.realised, self.unrealised)

    def __str__(self) -> str:
        sign = "+" if self.position > 0 else ""
        words = f"{self.trade_pair}: position {sign}{shown(self.position)}"
        if self.price is not None:
            words += f" at {shown(self.price)}"
        words += f", realised {shown(self.realised)}"
        if self.unrealised is not None and self.total is not None:
            words += f", unrealised {shown(self.unrealised)}, total {shown(self.total)}"
        return f"{words} {split_pair(self.trade_pair)[1]}"

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON and data frames, *total* included; amounts as strings."""
        names = (*self.__struct_fields__, "total")
        return {name: plain_values(getattr(self, name)) for name in names}


class PairLedger:
    """The position of one pair, and what trades have realised.

    Args:
        trade_pair: base and quote currency.
        method: how the cost of what is sold is found.
    """

    def __init__(self, trade_pair: str, method: CostMethod) -> None:
        self._trade_pair = trade_pair
        self._method = method
        self._lots: deque[tuple[Decimal, Decimal]] = deque()  # amounts and costs; with the average method at most one
        self._position = _ZERO  # negative if short
        self._trades = 0
        self._bought = _ZERO
        self._sold = _ZERO
        self._realised = _ZERO
        self._fees = _ZERO

    def add(self, trade: TradeRecord, *, counts: bool = True) -> None:
        """Apply the next trade; what it realises is counted if *counts*."""
        is_buy = trade.side is Side.BUY
        price, fee, held = trade.price, trade.fee or _ZERO, trade.amount
        if is_buy and fee:
            held = _subtract(held, fee)
            fee = _multiply(fee, price)
        profit = _subtract(self._move(held if is_buy else held.copy_negate(), price), fee)
        if counts:
            self._trades += 1
            self._realised = _add(self._realised, profit)
            self._fees = _add(self._fees, fee)
            if is_buy:
                self._bought = _add(self._bought, trade.amount)
            else:
                self._sold = _add(self._sold, trade.amount)

    def result(self, price: Decimal | None) -> ProfitAndLoss:
        """The result so far, with the position at *price*."""
        cost, position = self._cost(), self._position
        unrealised: Decimal | None = _ZERO
        if position:
            unrealised = None if price is None else _result(_subtract(_multiply(position, price), cost))
        return ProfitAndLoss(
            trade_pair=self._trade_pair,
            method=self._method,
            trades=self._trades,
            bought=self._bought,
            sold=self._sold,
            position=position,
            average_price=_result(_MEAN.divide(cost, position)) if position else None,
            realised=_result(self._realised),
            fees=_result(self._fees),
            price=price,
            unrealised=unrealised,
        )

    def _cost(self) -> Decimal:
        """What the position cost; negative for a short one."""
        total = _ZERO
        for _, cost in self._lots:
            total = _add(total, cost)
        return total

    def _move(self, amount: Decimal, price: Decimal) -> Decimal:
        """Change the position by *amount* at *price*; returns the profit."""
        before = self._position
        self._position = _add(before, amount)
        if not before or before.is_signed() == amount.is_signed():
            self._open(amount, price)
            return _ZERO
        proceeds = _ZERO
        left = amount
        while left and self._lots:
            lot, cost = self._lots[0]
            if abs(lot) > abs(left):
                part = _part(cost, left, lot)
                self._lots[0] = _add(lot, left), _subtract(cost, part)
                closed, left = left, _ZERO
            else:
                self._lots.popleft()
                part = cost
                closed, left = lot.copy_negate(), _add(left, lot)
            proceeds = _subtract(_subtract(proceeds, _multiply(closed, price)), part)
        if left:
            self._open(left, price)
        return proceeds

    def _open(self, amount: Decimal, price: Decimal) -> None:
        if not amount:
            return
        cost = _multiply(amount, price)
        if self._lots and self._method == "average":
            lot, before = self._lots[0]
            self._lots[0] = _add(lot, amount), _add(before, cost)
        else:
            self._lots.append((amount, cost))


def profit_and_loss(
    trades: Iterable[TradeRecord], method: CostMethod, prices: Prices | None, begins: datetime | None
) -> dict[str, ProfitAndLoss]:
    """The result of each pair in *trades*, by pair.

    Args:
        trades: all trades since the history began, in order.
        method: ``"average"`` or ``"fifo"``.
        prices: what positions are worth.
        begins: trades before it make positions, but count for nothing else; ``None`` = all count.

    Raises:
        ConfigurationError: there is no such method, or a price is not a number greater than zero.
    """
    if method not in ("average", "fifo"):
        raise ConfigurationError(f'method={method!r:.40} must be "average" or "fifo"')
    ledgers: dict[str, PairLedger] = {}
    for trade in trades:
        ledger = ledgers.get(trade.trade_pair)
        if ledger is None:
            ledger = ledgers[trade.trade_pair] = PairLedger(trade.trade_pair, method)
        ledger.add(trade, counts=begins is None or trade.time >= begins)
    return {pair: ledgers[pair].result(_price(prices, pair)) for pair in sorted(ledgers)}


def _price(prices: Prices | None, trade_pair: str) -> Decimal | None:
    if prices is None:
        return None
    if not isinstance(prices, Mapping) and not callable(prices):
        raise ConfigurationError(
            f'prices={prices!r:.60} must be a mapping of pairs to prices or order books, like {{"BTC_USD": "15000"}}, '
            f"or a function of the pair"
        )
    found = prices.get(trade_pair) if isinstance(prices, Mapping) else prices(trade_pair)
    if isinstance(found, HasMid):
        return found.mid
    return None if found is None else exact(found, f"the price of {trade_pair}")


def _part(cost: Decimal, amount: Decimal, lot: Decimal) -> Decimal:
    """The share of *cost* that *amount* has in *lot*; what is left keeps what rounding takes away."""
    share = _MEAN.divide(_multiply(cost, abs(amount)), abs(lot))
    return _MEAN.quantize(share, _MEAN_STEP)


def _result(value: Decimal) -> Decimal:
    """*value* with 28 decimals at most, and without zeroes at its end."""
    shown = _MEAN.normalize(_MEAN.quantize(value, _RESULT_STEP))
    exponent = shown.as_tuple().exponent
    if not shown:
        return _ZERO
    return _MEAN.quantize(shown, _ONE) if isinstance(exponent, int) and exponent > 0 else shown
