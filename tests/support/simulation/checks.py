"""Whether everything that was said, handled, kept and shown is true, id by id against the exchange's journal."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from cryptoproto.exchange.commands import Deposit, Register, Submit, Withdraw
from cryptoproto.exchange.journal_schema import decode_command
from cryptoproto.history import History
from cryptoproto.messages import InsufficientFunds, OrderCancelled, OrderClosed, OrderNotFound, OrderPlaced, decode
from tests.support.journals import recorded
from tests.support.naive_ledger import NaiveLedger, trade_of
from tests.support.simulation.trader import Trader

__all__ = ["Truth", "check_client", "check_conservation", "check_store", "check_trader", "knows_too_much"]


@dataclass
class Truth:
    """What the exchange's journal knows of a client.

    Attributes:
        events: its transactions, id and JSON.
        messages: the same, decoded.
        received: what it sent, in order, messages that were refused with an error frame left out.
        refused: the sequences of those messages.
    """

    events: list[tuple[int, bytes]]
    messages: list[Any]
    received: list[Any]
    refused: list[int]

    @classmethod
    def of(cls, path: Path, name: str) -> Truth:
        """Read it, and check that no sequence is missing or was used twice."""
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            rows = db.execute(
                "SELECT sequence, command FROM commands JOIN clients USING (client) "
                "WHERE client_id = ? AND sequence IS NOT NULL ORDER BY number",
                (name,),
            ).fetchall()
            numbers = [number for (number,) in db.execute("SELECT number FROM commands ORDER BY number")]
        assert numbers == list(range(1, len(numbers) + 1)), "commands are missing in the journal"
        assert [sequence for sequence, _ in rows] == list(range(1, len(rows) + 1)), f"sequences of {name} have gaps"
        commands = {sequence: None if text is None else decode_command(text) for sequence, text in rows}
        events = [(number, payload) for number, _, payload in recorded(path, name)]
        return cls(
            events,
            [decode(payload) for _, payload in events],
            [command.message for command in commands.values() if isinstance(command, Submit)],
            [sequence for sequence, command in commands.items() if not isinstance(command, Submit)],
        )

    def told(self, kind: Any) -> list[Any]:
        return [message for message in self.messages if isinstance(message, kind)]

    @property
    def ids(self) -> list[int]:
        return [number for number, _ in self.events]


def check_client(exchange: Exchange, trader: Trader) -> None:
    """What a client shows is what the exchange has."""
    assert trader.process is not None
    client, name = trader.process.client, trader.name
    books = exchange.open_orders(name).order_books
    there = {row.order_id: (row.amount, row.price) for book in books.values() for row in (*book.buy, *book.sell)}
    here = {order.order_id: (order.remaining, order.price) for order in client.orders.open}
    assert here == there, f"the open orders of {name}"
    ended = [order for order in client.orders.unfinished if not order.is_open]
    assert not ended, f"orders of {name} that have ended are kept: {ended}"
    balances = exchange.balances(name).balances
    assert {currency: client.known_balances[currency] for currency in balances} == balances, f"the money of {name}"
    assert not trader.process.store.outbox(), f"messages of {name} without an outcome"
    gauges = client.metrics().gauges
    for gauge in ("unanswered_messages", "requests_in_flight", "pacing_depth", "queued_events"):
        assert gauges[gauge] == 0, f"{gauge} of {name}"
    connection = client._link.connection
    assert connection is not None
    assert not connection._pump._watched


def check_trader(trader: Trader, truth: Truth) -> None:
    """Everything that was said is true, and of everything something was said."""
    _check_slices(trader, truth)
    placed = [message.client_order_id for message in truth.told(OrderPlaced) if message.client_order_id is not None]
    twice = [number for number, times in Counter(placed).items() if times > 1]
    assert not twice, f"orders of {trader.name} were accepted twice: {twice}"
    if not trader.is_quoter:
        _check_orders(trader, truth, set(placed))
        _check_cancels(trader, truth)
        _check_replaced(trader, truth)
    unheard = set(trader.owed) - set(trader.said)
    assert not unheard, f"nobody said what became of {unheard} of {trader.name}"


def _check_slices(trader: Trader, truth: Truth) -> None:
    """Each process handled everything after its position, each once and in order."""
    place = {number: index for index, number in enumerate(truth.ids, 1)}
    until = 0
    for store, handled in trader.slices:
        begun_at = store.began_at
        first = 0 if begun_at is None else place[begun_at]
        if begun_at is None and trader.is_live_only:
            first = until = place[handled[0]] - 1 if handled else until
        assert first <= until, f"{trader.name} began after {begun_at}, and had handled less"
        expected = truth.ids[first : first + len(handled)]
        assert handled == expected, f"{trader.name} handled {handled} after {begun_at}, and not {expected}"
        until = max(until, first + len(handled))
    assert until == len(truth.ids), f"{trader.name} never handled {truth.ids[until:]}"
    if trader.mode == "transaction":
        with closing(sqlite3.connect(trader.path)) as db:
            rows = db.execute("SELECT transaction_id, payload FROM handled ORDER BY number").fetchall()
        missed = len(truth.events) - len(rows) if trader.is_live_only else 0
        assert rows == truth.events[missed:], f"{trader.name} did not handle each event exactly once"


def _check_orders(trader: Trader, truth: Truth, placed: set[int]) -> None:
    received = {message.client_order_id for message in truth.received if isinstance(message, cp.PlaceOrder)}
    assert not trader.poor & placed, "an order was accepted without the money for it"
    assert len(truth.told(InsufficientFunds)) >= len(trader.poor & received), "a refusal is missing"
    refused = {trader.sequences.get(sequence) for sequence in truth.refused}
    for (kind, number), verdicts in trader.said.items():
        if kind != "place":
            continue
        verdict = _only(verdicts, trader, number)
        if verdict == "done":
            assert number in placed, f"order {number} of {trader.name} was said to be placed"
        elif verdict != "OutcomeUnknown":
            assert number not in placed, f"order {number} of {trader.name} is placed, and was said to be {verdict}"
        if verdict == "RequestNotSent":
            assert number not in received | refused, f"order {number} of {trader.name} was received"
    known = {number for kind, number in (*trader.said, *trader.maybe) if kind == "place"}
    assert placed <= known, f"nobody said that {placed - known} of {trader.name} were placed"


def _only(verdicts: list[str], trader: Trader, number: int) -> str:
    """What was said of an order, once or more often."""
    different = set(verdicts)
    if trader.is_live_only:  # it may have missed the answer
        different = different - {"OutcomeUnknown"} or {"OutcomeUnknown"}
    assert len(different) == 1, f"order {number} of {trader.name} was said to be {verdicts}"
    (verdict,) = different
    assert verdict != "OutcomeUnknown" or trader.is_live_only, f"order {number} of {trader.name}: nobody ever knows"
    return verdict


def _check_cancels(trader: Trader, truth: Truth) -> None:
    cancelled = {message.order_id for message in truth.told(OrderCancelled)}
    not_found = {message.order_id for message in truth.told(OrderNotFound)}
    # By its client order id, an order that has ended and was forgotten is not even asked for.
    ended = cancelled | {message.order_id for message in truth.told(OrderClosed)}
    ended |= {message.order_id for message in truth.told(OrderPlaced) if message.closed_inline}
    for (kind, number), verdicts in trader.said.items():
        if kind == "cancel":
            assert "done" not in verdicts or number in cancelled, f"order {number} was said to be cancelled"
            assert "nothing" not in verdicts or number in not_found | ended, f"order {number} was said to be closed"


def _check_replaced(trader: Trader, truth: Truth) -> None:
    """A new order was placed after the old one was cancelled, or not at all."""
    ended: set[int] = set()
    for message in truth.messages:
        if isinstance(message, OrderCancelled):
            ended.add(message.order_id)
        elif isinstance(message, OrderPlaced) and message.client_order_id in trader.replaces:
            assert trader.replaces[message.client_order_id] in ended, f"both were open: {message}"


def check_store(trader: Trader, truth: Truth, *, fees: bool) -> None:
    """The history is the exchange's; so is its profit and loss, by a ledger that is written down unit by unit."""
    history = History.open(trader.path)
    trades = list(history.trades())
    own = [(number, message) for (number, _), message in zip(truth.events, truth.messages, strict=True)]
    expected = [
        (number, message.order_id, message.amount, message.price, "buy" if message.bought else "sell")
        for number, message in own
        if isinstance(message, cp.OwnTrade)
    ]
    assert [(t.transaction_id, t.order_id, t.amount, t.price, t.side.value) for t in trades] == expected
    orders = [order for order in history.orders() if order.status in ("open", "filled", "cancelled")]
    accepted = {message.order_id: message for message in truth.told(OrderPlaced)}
    assert {order.order_id for order in orders} == accepted.keys()
    for order in orders:
        message = accepted[order.order_id]
        assert (order.amount, order.price) == (message.initial_amount, message.price)
        fills = [row for row in expected if row[1] == order.order_id]
        assert order.filled == sum((row[2] for row in fills), Decimal(0))
    last = {record.currency: record for record in history.balances()}
    final = {message.currency: message.balance for message in truth.told(cp.SetBalance)}
    assert {currency: last[currency].available for currency in final} == final
    if not fees:
        _check_profit(history, expected, own)


def _check_profit(history: History, expected: Iterable[Any], own: list[tuple[int, Any]]) -> None:
    pairs = {number: message.trade_pair for number, message in own if isinstance(message, cp.OwnTrade)}
    ledgers: dict[str, NaiveLedger] = {}
    for number, _, amount, price, side in expected:
        pair = pairs[number]
        ledgers.setdefault(pair, NaiveLedger("fifo")).add(trade_of(number, side, amount, price, pair=pair))
    found = history.pnl("fifo")
    assert found.keys() == ledgers.keys()
    for pair, ledger in ledgers.items():
        assert Fraction(found[pair].position) == ledger.position
        assert Fraction(found[pair].realised) == ledger.realised


def check_conservation(exchange: Exchange, path: Path) -> None:
    """No money was made or lost."""
    expected: dict[str, Decimal] = {}

    def add(currency: str, amount: Any, sign: int) -> None:
        expected[currency] = expected.get(currency, Decimal(0)) + sign * Decimal(str(amount))

    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        rows = db.execute("SELECT command FROM commands WHERE command IS NOT NULL ORDER BY number").fetchall()
    for (text,) in rows:
        command = decode_command(text)
        if isinstance(command, Register):
            for currency, amount in command.balances.items():
                add(currency, amount, 1)
        elif isinstance(command, Deposit | Withdraw):
            add(command.currency, command.amount, 1 if isinstance(command, Deposit) else -1)
    totals = exchange.totals()
    assert {currency: totals[currency] for currency in expected} == expected


def knows_too_much(
    trader: Trader, truth: Truth, returned: tuple[int, int], restored: int, forgotten: Collection[int | None]
) -> bool:
    """Whether a client has handled or said what the exchange has forgotten, after it was restored from a backup.

    HistoryRewound closes a client that receives a transaction below its position. Transaction ids count over all
    clients: if those of others have passed its position before its own next one, the protocol shows it nothing.

    Args:
        trader: the client.
        truth: what the exchange knows.
        returned: the newest transaction of the exchange when the client was live for the last time, and its position.
        restored: the newest transaction in the backup.
        forgotten: the numbers of orders that the exchange has forgotten. A process that has said that such an order
            was placed may be killed before it has committed that; the next one knows nothing of it.
    """
    newest, position = returned
    is_shown = any(newest < number <= position for number in truth.ids)
    assert trader.closed_by or not is_shown, f"the exchange has forgotten what {trader.name} knows, and nobody says so"
    known = set(truth.ids)
    lost = any(number not in known for _, handled in trader.slices for number in handled)
    said = any(
        kind == "place" and number in forgotten and "done" in said for (kind, number), said in trader.said.items()
    )
    return lost or said or position > restored  # what has the same id may be something else
