"""What a client holds and has in the market, pair by pair, against the order book."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final

from ..client import Order
from ..market_data import Feed, OrderBook
from ..messages import EXACT, Balance, OwnTrade, Side
from .plain_rows import Row, digits

__all__ = ["FillTotals", "position_rows"]

_ZERO: Final = Decimal(0)
_add: Final = EXACT.add
_subtract: Final = EXACT.subtract
_multiply: Final = EXACT.multiply


class FillTotals:
    """The sums of the fills of one pair.

    Attributes:
        count: how many fills there were.
        bought: in the base currency.
        sold: in the base currency.
        cash: what the fills have brought in the quote currency, negative if they cost; fees are not in it.
    """

    __slots__ = ("bought", "cash", "count", "sold")

    def __init__(self) -> None:
        self.count: int = 0
        self.bought: Decimal = _ZERO
        self.sold: Decimal = _ZERO
        self.cash: Decimal = _ZERO

    def add(self, trade: OwnTrade) -> None:
        """Add a fill."""
        value = _multiply(trade.price, trade.amount)
        self.count += 1
        if trade.bought:
            self.bought = _add(self.bought, trade.amount)
            self.cash = _subtract(self.cash, value)
        else:
            self.sold = _add(self.sold, trade.amount)
            self.cash = _add(self.cash, value)

    @property
    def net(self) -> Decimal:
        """What was bought minus what was sold."""
        return _subtract(self.bought, self.sold)


class _Resting:
    """The open orders of one pair: how much, and the best price of each side."""

    __slots__ = ("best_ask", "best_bid", "buying", "selling")

    def __init__(self) -> None:
        self.buying = self.selling = _ZERO
        self.best_bid: Decimal | None = None
        self.best_ask: Decimal | None = None

    def add(self, order: Order) -> None:
        price = order.price
        if order.side is Side.BUY:
            self.buying = _add(self.buying, order.remaining)
            if self.best_bid is None or price > self.best_bid:
                self.best_bid = price
        else:
            self.selling = _add(self.selling, order.remaining)
            if self.best_ask is None or price < self.best_ask:
                self.best_ask = price


def position_rows(
    orders: Iterable[Order],
    fills: Mapping[str, FillTotals],
    balances: Mapping[str, Balance],
    feed: Feed | None,
) -> list[Row]:
    """One row for each pair with open orders, fills, or a book of *feed* in which the client could trade what it holds.

    Args:
        orders: the open orders.
        fills: sums of the fills that the client remembers, by pair.
        balances: by currency; a currency that is missing is not known.
        feed: where the books come from; without it, there are no prices of the market.
    """
    resting: dict[str, _Resting] = {}
    for order in orders:
        sums = resting.get(order.trade_pair)
        if sums is None:
            sums = resting[order.trade_pair] = _Resting()
        sums.add(order)
    books = {} if feed is None else feed.books
    held = {pair for pair, book in books.items() if (book.bids or book.asks) and _total(balances, pair)}
    return [
        _row(pair, resting.get(pair, _Resting()), fills.get(pair, FillTotals()), balances, books.get(pair))
        for pair in sorted(resting.keys() | fills.keys() | held)
    ]


def _row(
    pair: str, resting: _Resting, fills: FillTotals, balances: Mapping[str, Balance], book: OrderBook | None
) -> Row:
    position = _total(balances, pair)
    mid = None if book is None else book.mid
    best_bid = book.best_bid[0] if book is not None and book.best_bid is not None else None
    best_ask = book.best_ask[0] if book is not None and book.best_ask is not None else None
    return {
        "trade_pair": pair,
        "position": _shown(position),
        "value": _shown(None if position is None or mid is None else _multiply(position, mid)),
        "best_bid": _shown(best_bid),
        "best_ask": _shown(best_ask),
        "mid": _shown(mid),
        "is_stale": book is None or book.is_stale,
        "buying": digits(resting.buying),
        "selling": digits(resting.selling),
        "own_best_bid": _shown(resting.best_bid),
        "own_best_ask": _shown(resting.best_ask),
        "fills": fills.count,
        "bought": digits(fills.bought),
        "sold": digits(fills.sold),
        "net": digits(fills.net),
        "profit": _shown(None if mid is None else _add(fills.cash, _multiply(fills.net, mid))),
    }


def _total(balances: Mapping[str, Balance], pair: str) -> Decimal | None:
    """How much of the base currency the client has, on hold or not."""
    balance = balances.get(pair.partition("_")[0])
    return None if balance is None else _add(balance.available, balance.on_hold)


def _shown(value: Decimal | None) -> str | None:
    return None if value is None else digits(value)
