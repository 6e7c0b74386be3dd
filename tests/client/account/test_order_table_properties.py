"""The engine's events are enough: fed to the tables, however often, they give the engine's own orders and balances."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cryptoproto as cp
from cryptoproto.client.account.account import Account
from cryptoproto.client.account.order import Order, OrderStatus
from cryptoproto.client.account.order_table import OrderTable
from cryptoproto.exchange.commands import Private, Refused, Register, Submit
from cryptoproto.exchange.engine import Engine
from cryptoproto.messages import (
    Balance,
    InsufficientFunds,
    Message,
    OpenOrder,
    OpenOrders,
    OrderAmountChanged,
    OwnTrade,
    PlaceOrder,
    Side,
    Unknown,
    UserOrdersResponse,
    decode,
    encode,
)
from tests.support.scenarios import CLIENTS, Scenario, scenario
from tests.support.told import told as an_event

Told = tuple[int, Message | Unknown]

scenarios = st.builds(scenario, st.integers(0, 2**32).map(random.Random), st.integers(0, 80), st.booleans())
some = settings(max_examples=80, deadline=None)


class Desk:
    """What one client keeps: its tables, and its orders as it placed them."""

    def __init__(self, client: str) -> None:
        self.client = client
        self.account = Account(clock=lambda: 1)
        self.orders = self.account.orders
        self.balances = self.account.balances
        self.placed: list[Order] = []
        self.began = False

    def place(self, message: PlaceOrder) -> Order | None:
        order = Order.of(message)
        try:
            self.orders.add(order)
        except cp.DuplicateClientOrderId:
            return None
        self.placed.append(order)
        return order

    def hear(self, told: list[Told], sent: Order | None = None) -> None:
        for transaction_id, message in told:
            if isinstance(message, InsufficientFunds) and sent is not None:
                self.orders.reject(sent, cp.InsufficientFundsError(message.currency), order_id=message.order_id)
            self.account.apply([an_event(transaction_id, message, 1)])


def steps(
    played: Scenario, desk_of: Callable[[str], Desk | None]
) -> Iterator[tuple[Engine, dict[str, list[Told]], Submit | None, Order | None]]:
    """Carry out a scenario: after each command the engine, what it told whom, and what was sent from a desk.

    Clients place their orders at their desks, where they gave them a client order id.
    """
    engine = played.engine()
    transaction_id = 0
    for command in played.commands:
        order: Order | None = None
        known_as_duplicate = False
        desk = desk_of(command.client_id) if isinstance(command, Submit) else None
        sent = command if isinstance(command, Submit) and desk is not None else None
        message = sent.message if sent is not None else None
        if desk is not None and isinstance(message, PlaceOrder) and message.client_order_id is not None:
            order = desk.place(message)
            known_as_duplicate = order is None
        told: dict[str, list[Told]] = defaultdict(list)
        for output in engine.apply(command):
            if isinstance(output, Private):
                transaction_id += 1
                told[output.client_id].append((transaction_id, decode(encode(output.message))))
            elif isinstance(output, Refused):
                # What add() refuses, the engine refuses, too: for this reason or for one that it looks at before.
                known_as_duplicate &= output.error_type not in (1, 2)
                if desk is not None and order is not None:
                    desk.orders.reject(order, cp.ServerError(output.error_type, output.text))
        assert not known_as_duplicate
        yield engine, told, sent, order


def listed(table: OrderTable) -> UserOrdersResponse:
    """The open orders of a table as the exchange would state them."""
    books: dict[str, OpenOrders] = {}
    for order in table.open:
        book = books.setdefault(order.trade_pair, OpenOrders(buy=[], sell=[]))
        assert order.order_id is not None
        row = OpenOrder(order.order_id, order.remaining, order.price, order.client_order_id)
        (book.buy if order.side is Side.BUY else book.sell).append(row)
    return UserOrdersResponse(books)


def check(engine: Engine, desk: Desk) -> None:
    """The tables say what the engine says, and comparing finds no difference."""
    orders, balances = engine.open_orders(desk.client), engine.balances(desk.client)
    assert listed(desk.orders) == orders
    assert desk.orders.adopt(orders) == []
    assert desk.balances.all() == balances.balances
    assert desk.balances.adopt(balances) == []


def begin(engine: Engine, desks: dict[str, Desk]) -> None:
    """The opening balances, of which no event tells."""
    for client in engine.client_ids:
        if not desks[client].began:
            desks[client].began = True
            desks[client].balances.adopt(engine.balances(client))


@some
@given(scenarios, st.sampled_from(["once", "twice", "replayed"]), st.randoms(use_true_random=False))
def test_the_tables_equal_the_engine_at_each_step(played: Scenario, delivery: str, choice: random.Random) -> None:
    desks = {client: Desk(client) for client in CLIENTS}
    history: dict[str, list[Told]] = defaultdict(list)
    for engine, told, sent, order in steps(played, desks.get):
        begin(engine, desks)
        for client, events in told.items():
            desk = desks[client]
            mine = order if sent is not None and client == sent.client_id else None
            history[client].extend(events)
            if delivery == "twice":
                for event in events:
                    desk.hear([event, event], mine)
            elif delivery == "replayed":
                # The link is lost somewhere among these events, and the next one starts anywhere before.
                heard = choice.randint(0, len(events))
                desk.hear(events[:heard], mine)
                before = len(history[client]) - len(events) + heard
                desk.hear(history[client][choice.randint(0, before) :], mine)
                desk.hear(history[client][choice.randint(0, len(history[client])) :], mine)
            else:
                desk.hear(events, mine)
        for client in engine.client_ids:
            check(engine, desks[client])
    for client, desk in desks.items():
        check_orders(desk, history[client])


def check_orders(desk: Desk, history: list[Told]) -> None:
    """Each order's numbers are those of its own events."""
    trades: dict[int, list[OwnTrade]] = defaultdict(list)
    fees: dict[int, Decimal] = defaultdict(Decimal)
    for _, message in history:
        if isinstance(message, OwnTrade):
            trades[message.order_id].append(message)
        elif isinstance(message, OrderAmountChanged):
            fees[message.order_id] += message.fee
    assert not [order for order in desk.placed if order.status in (OrderStatus.PENDING, OrderStatus.UNKNOWN)]
    for order in desk.orders:
        assert order.order_id is not None or order.status is OrderStatus.REJECTED
        assert order.terms_known
        assert order.filled + order.remaining == order.amount
        assert order.is_closed == (order.status is not OrderStatus.OPEN)
        assert (order.status is OrderStatus.REJECTED) == (order.acknowledged_ns is None)
        if order.status is not OrderStatus.REJECTED:
            assert (order.status is OrderStatus.FILLED) == (order.remaining == 0)
        mine = trades[order.order_id or 0]
        assert order.trades == mine
        assert order.filled == sum((trade.amount for trade in mine), Decimal(0))
        assert order.fees == fees[order.order_id or 0]
        if mine:
            exact = sum(Fraction(t.price) * Fraction(t.amount) for t in mine) / Fraction(order.filled)
            assert order.average_price is not None
            assert abs(Fraction(order.average_price) / exact - 1) < Fraction(1, 10**38)
        else:
            assert order.average_price is None


@some
@given(scenarios, st.randoms(use_true_random=False))
def test_a_new_process_takes_over_anywhere(played: Scenario, choice: random.Random) -> None:
    """It starts behind any event, with the unconfirmed orders from the outbox, and compares when it has caught up."""
    desks = {client: Desk(client) for client in CLIENTS}
    for engine, told, sent, order in steps(played, desks.get):
        begin(engine, desks)
        for client, events in told.items():
            mine = order if sent is not None and client == sent.client_id else None
            position = choice.randint(0, len(events))
            desks[client].hear(events[:position], mine)
            if choice.random() < 0.7:
                desks[client].hear(events[position:], mine)
                continue
            confirmed = mine is not None and (mine.acknowledged_ns is not None or mine.is_closed)
            desk = desks[client] = Desk(client)
            desk.began = True
            if mine is not None and sent is not None and isinstance(sent.message, PlaceOrder) and not confirmed:
                mine = desk.place(sent.message)
            desk.hear(events[position:], mine)
            differences = desk.orders.adopt(engine.open_orders(client))
            # Only orders from before are news: what the outbox and the events tell is right without the list.
            assert {difference.what for difference in differences} <= {"not_known_here"}
            desk.balances.adopt(engine.balances(client))
            assert mine is None or mine.acknowledged_ns is not None or mine.is_closed
        for client in engine.client_ids:
            check(engine, desks[client])


@some
@given(scenarios)
def test_balances_from_events_alone(played: Scenario) -> None:
    """Without ever comparing: right from the first event for what is available, from the opening for what is held."""
    desks = {client: Desk(client) for client in CLIENTS}
    for engine, told, _, _ in steps(played, lambda _: None):
        for client, events in told.items():
            desks[client].hear(events)
        for client in engine.client_ids:
            truth = engine.balances(client).balances
            for currency, balance in desks[client].balances.all().items():
                assert balance == truth[currency]
                assert desks[client].balances.get(currency) == balance
            assert desks[client].balances.get("never heard of") == Balance(Decimal(0), Decimal(0))


@pytest.mark.parametrize("tiny", [False, True])
def test_everything_happens_in_these_streams(tiny: bool) -> None:
    desks = {client: Desk(client) for client in CLIENTS}
    for engine, told, sent, order in steps(scenario(random.Random(5), 600, tiny), desks.get):
        begin(engine, desks)
        for client, events in told.items():
            desks[client].hear(events, order if sent is not None and client == sent.client_id else None)
        for client in engine.client_ids:
            check(engine, desks[client])
    orders = [order for desk in desks.values() for order in desk.orders]
    assert {order.status for order in orders} == {
        OrderStatus.OPEN,
        OrderStatus.FILLED,
        OrderStatus.CANCELLED,
        OrderStatus.REJECTED,
    }
    assert any(order.status is OrderStatus.CANCELLED and order.filled for order in orders)
    assert any(len(order.trades) > 1 for order in orders)
    assert any(order.time_in_force is None for order in orders)
    assert any(isinstance(order.error, cp.InsufficientFundsError) for order in orders)


def test_only_opening_balances_have_no_event() -> None:
    engine = Engine()
    assert engine.apply(Register("alice", {"USD": "5"}, 0)) == []
