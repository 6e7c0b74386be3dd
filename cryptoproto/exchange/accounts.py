"""Accounts: the balances and open orders of each client, and the fees that were collected.

Every change of a balance returns the :class:`~cryptoproto.messages.SetBalance` that reports it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Self

import msgspec

from ..instruments import split_pair
from ..messages import Balance, OpenOrder, OpenOrders, SetBalance, Time, UserBalanceResponse, UserOrdersResponse
from .commands import Private
from .id_set import IdSet
from .units import UNIT, Refusal, exact, from_units

__all__ = ["Account", "Accounts", "Funds", "Order", "Pair"]


@dataclass(slots=True, frozen=True)
class Pair:
    """A trade pair: its name, ``"BTC_USD"``, and its base and quote currency."""

    name: str
    base: str
    quote: str

    @classmethod
    def named(cls, name: str) -> Self:
        """The pair called *name*.

        Raises:
            ConfigurationError: that is not the name of a pair.
        """
        return cls(name, *split_pair(name))


class Order(msgspec.Struct, eq=False):
    """One order. *amount* is what is left of it; prices and amounts are in units of 1e-8.

    While it rests, *older* and *newer* are its neighbours at the same price.
    """

    order_id: int
    account: Account
    pair: Pair
    buy: bool
    price: int
    amount: int
    client_order_id: int | None
    expiry_us: int  # 0: never
    older: Order | None = None
    newer: Order | None = None

    def __repr__(self) -> str:
        return f"<Order {self.order_id} of {self.account.client_id}>"  # without its neighbours

    @property
    def held(self) -> int:
        """What is on hold for the order: the base currency to sell, or what buying the rest at the limit costs.

        Quote amounts are rounded down, and a sum of rounded amounts never exceeds the rounded sum, so this covers every
        way in which the rest can be filled.
        """
        return self.price * self.amount // UNIT if self.buy else self.amount

    @property
    def held_currency(self) -> str:
        """The currency that is on hold for the order."""
        return self.pair.quote if self.buy else self.pair.base

    @property
    def can_trade(self) -> bool:
        """Whether what is left is worth at least one unit of the quote currency at the limit."""
        return self.price * self.amount >= UNIT


class Funds:
    """One currency of one account, in units of 1e-8."""

    __slots__ = ("available", "on_hold")

    def __init__(self, available: int = 0) -> None:
        self.available: int = available
        self.on_hold: int = 0


class Account:
    """One client: its funds, its open orders in order of id, and the client order ids it has used."""

    __slots__ = ("account_id", "client_id", "client_order_ids", "funds", "orders")

    def __init__(self, account_id: int, client_id: str) -> None:
        self.account_id: int = account_id
        self.client_id: str = client_id
        self.funds: dict[str, Funds] = {}
        self.orders: dict[int, Order] = {}
        self.client_order_ids: IdSet = IdSet()

    def available(self, currency: str) -> int:
        """The available balance of *currency*."""
        funds = self.funds.get(currency)
        return funds.available if funds else 0

    def volumes(self, pair: Pair, *, buy: bool) -> dict[int, int]:
        """The volume of the client's open orders on one side of a pair, by price."""
        volumes: dict[int, int] = {}
        for order in self.orders.values():
            if order.buy is buy and order.pair is pair:
                volumes[order.price] = volumes.get(order.price, 0) + order.amount
        return volumes

    # Each method builds its event itself: every order calls them, and one more call would cost as much as the event.

    def hold(self, currency: str, units: int, time: Time) -> Private | None:
        """Put *units* of the available balance on hold; ``None``, and nothing has changed, if it is too small."""
        funds = self.funds.get(currency)
        if funds is None or funds.available < units:
            return None
        funds.available = left = funds.available - units
        funds.on_hold += units
        return Private(self.client_id, SetBalance(currency, exact(left), from_units(-units), "on_hold", time))

    def release(self, currency: str, units: int, time: Time) -> Private:
        """Make *units* on hold available again."""
        funds = self.funds[currency]
        funds.available = left = funds.available + units
        funds.on_hold -= units
        return Private(self.client_id, SetBalance(currency, exact(left), from_units(units), "on_hold", time))

    def exchange(self, sold: str, paid: int, bought: str, received: int, time: Time) -> Private:
        """Pay *paid* from what is on hold of one currency, and add *received* to the available balance of another.

        The available balance of the first does not change, so there is no event for it.
        """
        self.funds[sold].on_hold -= paid
        funds = self.funds.get(bought)
        if funds is None:
            funds = self.funds[bought] = Funds()
        funds.available = left = funds.available + received
        return Private(self.client_id, SetBalance(bought, exact(left), from_units(received), "trade", time))

    def change(self, currency: str, units: int, reason: str, time: Time) -> Private:
        """Add *units* to the available balance; negative units are taken from it."""
        funds = self.funds.get(currency)
        if funds is None:
            funds = self.funds[currency] = Funds()
        funds.available = left = funds.available + units
        return Private(self.client_id, SetBalance(currency, exact(left), from_units(units), reason, time))

    def balance_response(self) -> UserBalanceResponse:
        """The balances of every currency that the account has ever had."""
        return UserBalanceResponse(
            account_id=self.account_id,
            balances={
                currency: Balance(available=from_units(funds.available), on_hold=from_units(funds.on_hold))
                for currency, funds in self.funds.items()
            },
        )

    def orders_response(self) -> UserOrdersResponse:
        """The open orders in order of id; pairs without any are left out."""
        books: dict[str, OpenOrders] = {}
        for order in self.orders.values():
            book = books.setdefault(order.pair.name, OpenOrders(buy=[], sell=[]))
            (book.buy if order.buy else book.sell).append(
                OpenOrder(
                    order_id=order.order_id,
                    amount=from_units(order.amount),
                    price=from_units(order.price),
                    client_order_id=order.client_order_id,
                )
            )
        return UserOrdersResponse(order_books=books)


class Accounts:
    """All accounts in order of registration, and the fees collected."""

    __slots__ = ("_by_client", "fees")

    def __init__(self) -> None:
        self._by_client: dict[str, Account] = {}
        self.fees: dict[str, int] = {}

    def __contains__(self, client_id: str) -> bool:
        return client_id in self._by_client

    def __iter__(self) -> Iterator[Account]:
        return iter(self._by_client.values())

    def __getitem__(self, client_id: str) -> Account:
        """The account of *client_id*.

        Raises:
            Refusal: there is no such client.
        """
        account = self._by_client.get(client_id)
        if account is None:
            raise Refusal(-1, f"unknown client {client_id!r}")
        return account

    def open(self, client_id: str, balances: dict[str, int]) -> Account:
        """Open the account of a new client."""
        account = Account(len(self._by_client) + 1, client_id)
        account.funds = {currency: Funds(units) for currency, units in balances.items()}
        self._by_client[client_id] = account
        return account

    def collect(self, currency: str, units: int) -> None:
        """Book a fee that was deducted from what a client received."""
        self.fees[currency] = self.fees.get(currency, 0) + units

    def collected_fees(self) -> dict[str, Decimal]:
        """The fees collected so far by currency."""
        return {currency: from_units(units) for currency, units in self.fees.items()}

    def totals(self) -> dict[str, Decimal]:
        """The total of each currency: available, on hold and collected as fees."""
        units = dict(self.fees)
        for account in self:
            for currency, funds in account.funds.items():
                units[currency] = units.get(currency, 0) + funds.available + funds.on_hold
        return {currency: from_units(total) for currency, total in units.items()}
