"""Orders are accepted, matched, cancelled and expired here. Every step appends the events that report it.

The rules, with their reasons, are in ``docs/exchange-rules.md``.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum, auto
from typing import Final

import msgspec

from ..exceptions import OrderInvalid
from ..instruments import Instrument
from ..messages import (
    AnonymousTrade,
    BuyOrderAmountChanged,
    BuyOrderCancelled,
    BuyOrderClosed,
    BuyOrderPlaced,
    InsufficientFunds,
    OrderBookAgg,
    OrderNotFound,
    OwnTrade,
    PlaceBuyFoKOrder,
    PlaceBuyIoCOrder,
    PlaceBuyLimitOrder,
    PlaceOrder,
    PlaceSellFoKOrder,
    PlaceSellIoCOrder,
    PlaceSellLimitOrder,
    SellOrderAmountChanged,
    SellOrderCancelled,
    SellOrderClosed,
    SellOrderPlaced,
    Time,
)
from ..messages.terms import TERMS
from .accounts import Account, Accounts, Order
from .book import Book
from .commands import Output, Private, Public
from .units import MAX_UNITS, UNIT, Refusal, from_units, to_units

__all__ = ["DEFAULT_MAX_OPEN_ORDERS", "MAX_TTL_S", "Fill", "Matching", "event_time"]

MAX_TTL_S: Final = 100 * 365 * 24 * 3600
"""A century. With this limit every time of expiry fits the 64 bits of the protocol's integers."""

DEFAULT_MAX_OPEN_ORDERS: Final = 1000
"""Open orders for each client, so that the list of them fits one message."""

_INT64: Final = range(-(2**63), 2**63)
_MAX_VALUE: Final = MAX_UNITS * UNIT  # amount times price, each in units
_MINUTE_S: Final = 60
# The heap of expiries is rebuilt when it holds this many more dead entries than live ones.
_SLACK: Final = 64


class _Kind(Enum):
    LIMIT = auto()
    FILL_OR_KILL = auto()
    IMMEDIATE_OR_CANCEL = auto()


_KINDS: Final[dict[type[PlaceOrder], tuple[bool, _Kind]]] = {
    PlaceBuyLimitOrder: (True, _Kind.LIMIT),
    PlaceSellLimitOrder: (False, _Kind.LIMIT),
    PlaceBuyFoKOrder: (True, _Kind.FILL_OR_KILL),
    PlaceSellFoKOrder: (False, _Kind.FILL_OR_KILL),
    PlaceBuyIoCOrder: (True, _Kind.IMMEDIATE_OR_CANCEL),
    PlaceSellIoCOrder: (False, _Kind.IMMEDIATE_OR_CANCEL),
}


class Fill(msgspec.Struct, frozen=True, gc=False):
    """One execution, and its price and amount as messages show them."""

    units: int
    quote: int
    amount: Decimal
    price: Decimal
    maker_buy: bool
    time: Time


def event_time(time_us: int) -> Time:
    """Microseconds since 1970 as events carry them."""
    return divmod(time_us, 1_000_000)


class Matching:
    """The books, the counter of order ids, and the limit of open orders.

    Args:
        books: by pair.
        accounts: the accounts that trade.
        maker_fee: charged on what a resting order receives, in units of 1e-8 of it.
        taker_fee: the same for an incoming order.

    Attributes:
        max_open_orders: a client with this many open orders can place no more limit orders.
        disabled: the pairs that accept no orders at present.
        instruments: the rules of pairs, by pair; the others have only those of the protocol.
        touched: the pairs whose books have changed.
    """

    def __init__(self, books: Mapping[str, Book], accounts: Accounts, *, maker_fee: int, taker_fee: int) -> None:
        self.books = books
        self.last_order_id: int = 0
        self.max_open_orders = DEFAULT_MAX_OPEN_ORDERS
        self.disabled: set[str] = set()
        self.instruments: dict[str, Instrument] = {}
        self.touched: set[str] = set()
        self._accounts = accounts
        self._maker_fee = maker_fee
        self._taker_fee = taker_fee
        self._expiries: list[tuple[int, int, Order]] = []
        self._expiring = 0  # open orders that expire

    def place(self, account: Account, message: PlaceOrder, now_us: int, out: list[Output]) -> None:
        """Accept an order, fill what can be filled at once, and rest or cancel what is left.

        Raises:
            Refusal: the message cannot be accepted; nothing has changed.
        """
        order, kind = self._accepted(account, message, now_us)
        time = event_time(now_us)
        initial_amount, currency = order.amount, order.held_currency
        holding = account.hold(currency, order.held, time)
        if holding is None:
            out.append(Private(account.client_id, InsufficientFunds(order.order_id, currency)))
            return
        out.append(holding)
        crosses = True
        if kind is not _Kind.FILL_OR_KILL or self._can_fill(order):
            crosses = self._match(order, time, out)
        out.append(_placed(order, initial_amount, time))
        if not order.amount:
            return
        if kind is _Kind.LIMIT and order.can_trade and not crosses:
            self.rest(order)
        else:
            _report_cancelled(order, time, out)

    def _accepted(self, account: Account, message: PlaceOrder, now_us: int) -> tuple[Order, _Kind]:
        placing = _KINDS.get(type(message))
        if placing is None:
            raise Refusal(2, f"{type(message).__name__} is not a message that a client sends")
        buy, kind = placing
        book = self.books.get(message.trade_pair)
        if book is None:
            raise Refusal(2, f"unknown trade pair {message.trade_pair[:40]!r}; there are {', '.join(self.books)}")
        pair = book.pair
        amount = to_units(message.amount, "amount")
        price = to_units(message.price, "price")
        # A sell order that never rests trades at its limit or above: its fills are checked, not its limit.
        value = amount * price
        if (value < UNIT and (buy or kind is _Kind.LIMIT)) or value > _MAX_VALUE:
            raise Refusal(
                2,
                f"amount={from_units(amount):f} at price={from_units(price):f} is worth "
                + ("less than 0.00000001 " if value < UNIT else "more than 10**18 ")
                + pair.quote,
            )
        if not 0 <= message.ttl <= MAX_TTL_S:
            raise Refusal(2, f"ttl must be 0 (no expiry) or up to {MAX_TTL_S} seconds")
        client_order_id = message.client_order_id
        if client_order_id is not None:
            if client_order_id not in _INT64:
                raise Refusal(2, "client_order_id must fit into 64 bits")
            # Checked before the pair: a client that repeats an order after a lost link must get this answer.
            if client_order_id in account.client_order_ids:
                raise Refusal(1, f"client_order_id {client_order_id} was used before")
        if self.instruments:
            self._check_rules(message)
        if pair.name in self.disabled:
            raise Refusal(3, f"trading is disabled on {pair.name}")
        if kind is _Kind.LIMIT and len(account.orders) >= self.max_open_orders:
            raise Refusal(-1, f"too many open orders: the limit is {self.max_open_orders}; cancel some first")
        if client_order_id is not None:
            account.client_order_ids.add(client_order_id)
        self.last_order_id += 1
        minutes = -(-message.ttl // _MINUTE_S)
        expiry_us = now_us + minutes * _MINUTE_S * 1_000_000 if minutes else 0
        return Order(self.last_order_id, account, pair, buy, price, amount, client_order_id, expiry_us), kind

    def skip_order_ids(self, through: int) -> None:
        """Give no order an id up to *through*; others have these ids."""
        self.last_order_id = max(self.last_order_id, through)

    def book(self, trade_pair: str) -> OrderBookAgg | None:
        """The aggregated book of a pair, levels in order from the best price; ``None`` if there is no such pair."""
        book = self.books.get(trade_pair)
        if book is None:
            return None
        return OrderBookAgg(trade_pair, self.last_order_id, book.buys.aggregated(), book.sells.aggregated())

    def _can_fill(self, order: Order) -> bool:
        """Whether *order* would be filled completely at once."""
        return self.books[order.pair.name].can_fill(order)

    def _check_rules(self, message: PlaceOrder) -> None:
        instrument = self.instruments.get(message.trade_pair)
        if instrument is not None:
            side, time_in_force = TERMS[type(message)]
            try:
                instrument.check(side, message.amount, message.price, time_in_force=time_in_force)
            except OrderInvalid as error:
                raise Refusal(2, str(error)) from None

    def _match(self, order: Order, time: Time, out: list[Output]) -> bool:
        """Fill *order* from the other side; true if prices still cross but a fill would be worth nothing."""
        side = self.books[order.pair.name].across(order)
        limit, account = order.price, order.account
        while order.amount and (level := side.best_within(limit)) is not None and (maker := level.oldest) is not None:
            if maker.account is account:  # no self-trades: the older order is cancelled
                self.cancel(maker, time, out)
                continue
            price = level.price
            units = min(order.amount, maker.amount)
            quote = units * price // UNIT
            if not quote:  # worth less than the smallest unit
                return True
            fill = Fill(units, quote, from_units(units), from_units(price), maker.buy, time)
            self._touch(order)
            self._fill_maker(maker, fill, out)
            self._fill_taker(order, fill, out)
        return False

    def _fill_maker(self, order: Order, fill: Fill, out: list[Output]) -> None:
        account, pair = order.account, order.pair
        self.books[pair.name].of(order).reduce(order, fill.units)
        self._settle(order, fill, self._maker_fee, out)
        if not order.amount:
            self._forget(order)
            kind = BuyOrderClosed if order.buy else SellOrderClosed
            closed = kind(order.order_id, pair.name, fill.time, order.client_order_id)
            out.append(Private(account.client_id, closed))
        elif not order.can_trade:
            self.cancel(order, fill.time, out)

    def _fill_taker(self, order: Order, fill: Fill, out: list[Output]) -> None:
        order.amount -= fill.units
        self._settle(order, fill, self._taker_fee, out)
        seconds, microseconds = fill.time
        trade = AnonymousTrade(
            order.pair.name,
            self.last_order_id,
            fill.amount,
            fill.price,
            fill.maker_buy,
            (seconds, microseconds // 1000),
        )
        out.append(Public(trade))

    def _settle(self, order: Order, fill: Fill, fee_rate: int, out: list[Output]) -> None:
        """Move the money of one side of *fill*; the order's amount is what is left after it."""
        account, pair, buy, left = order.account, order.pair, order.buy, order.amount
        units, quote, time, maker_buy = fill.units, fill.quote, fill.time, fill.maker_buy
        client_id, order_id, client_order_id = account.client_id, order.order_id, order.client_order_id
        trade = OwnTrade(
            order_id, pair.name, fill.amount, fill.price, buy is maker_buy, maker_buy, time, client_order_id
        )
        out.append(Private(client_id, trade))
        received = units if buy else quote
        fee = received * fee_rate // UNIT
        kind = BuyOrderAmountChanged if buy else SellOrderAmountChanged
        changed = kind(order_id, pair.name, time, client_order_id, amount=from_units(left), fee=from_units(fee))
        out.append(Private(client_id, changed))
        if buy:
            out.append(account.exchange(pair.quote, quote, pair.base, units - fee, time))
        else:
            out.append(account.exchange(pair.base, units, pair.quote, quote - fee, time))
        if fee:
            self._accounts.collect(pair.base if buy else pair.quote, fee)
        if buy:
            # The rest needs a smaller hold after a fill below the limit, or where a rounded sum exceeded its parts.
            price = order.price
            spare = price * (left + units) // UNIT - quote - price * left // UNIT
            if spare:
                out.append(account.release(pair.quote, spare, time))

    def rest(self, order: Order) -> None:
        """Put an accepted *order*, whose funds are on hold, into the book."""
        self.books[order.pair.name].of(order).add(order)
        order.account.orders[order.order_id] = order
        self._touch(order)
        if order.expiry_us:
            self._expiring += 1
            heapq.heappush(self._expiries, (order.expiry_us, order.order_id, order))

    def cancel(self, order: Order, time: Time, out: list[Output]) -> None:
        """Cancel an open order."""
        self.books[order.pair.name].of(order).remove(order)
        self._touch(order)
        self._forget(order)
        _report_cancelled(order, time, out)

    def cancel_by_id(self, account: Account, order_id: int, time: Time, out: list[Output]) -> None:
        """Cancel one order of *account*, or report that it has no such open order.

        Raises:
            Refusal: the id does not fit into 64 bits.
        """
        if order_id not in _INT64:
            raise Refusal(2, "order_id must fit into 64 bits")
        order = account.orders.get(order_id)
        if order is None:
            out.append(Private(account.client_id, OrderNotFound(order_id)))
        else:
            self.cancel(order, time, out)

    def cancel_all(self, account: Account, time: Time, out: list[Output]) -> None:
        """Cancel every open order of *account*, in order of id."""
        for order in list(account.orders.values()):
            self.cancel(order, time, out)

    def expire(self, now_us: int, out: list[Output]) -> None:
        """Cancel what is due, in order of expiry, then id; the events carry the time of expiry."""
        if not self._expiries:  # asked before each command
            return
        while (due := self.next_expiry()) is not None and due <= now_us:
            self.cancel(self._expiries[0][2], event_time(due), out)

    def next_expiry(self) -> int | None:
        """When the next order expires; ``None`` if no order does."""
        heap = self._expiries
        while heap and heap[0][1] not in heap[0][2].account.orders:
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def _touch(self, order: Order) -> None:
        """The book of *order* has changed."""
        self.touched.add(order.pair.name)

    def _forget(self, order: Order) -> None:
        del order.account.orders[order.order_id]
        if order.expiry_us:
            self._expiring -= 1
            if len(self._expiries) > 2 * self._expiring + _SLACK:
                self._expiries = [entry for entry in self._expiries if entry[1] in entry[2].account.orders]
                heapq.heapify(self._expiries)


def _placed(order: Order, initial_amount: int, time: Time) -> Private:
    kind = BuyOrderPlaced if order.buy else SellOrderPlaced
    placed = kind(
        order.order_id,
        order.pair.name,
        time,
        order.client_order_id,
        price=from_units(order.price),
        initial_amount=from_units(initial_amount),
        amount=from_units(order.amount),
        closed_inline=not order.amount,
    )
    return Private(order.account.client_id, placed)


def _report_cancelled(order: Order, time: Time, out: list[Output]) -> None:
    account = order.account
    kind = BuyOrderCancelled if order.buy else SellOrderCancelled
    out.append(Private(account.client_id, kind(order.order_id, order.pair.name, time, order.client_order_id)))
    if held := order.held:
        out.append(account.release(order.held_currency, held, time))
