"""Invariants of the engine for any stream of commands, and agreement with a simple model of the rules."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryptoproto.exchange.commands import (
    Command,
    Deposit,
    DisablePairs,
    EnablePairs,
    Output,
    Private,
    Public,
    Refused,
    Register,
    Submit,
    Withdraw,
)
from cryptoproto.exchange.engine import Engine
from cryptoproto.messages import (
    AnonymousTrade,
    BuyOrderCancelled,
    CancelOrder,
    InsufficientFunds,
    OrderNotFound,
    OrderPlaced,
    OwnTrade,
    PlaceOrder,
    SellOrderCancelled,
    SetBalance,
)
from tests.support.engine_oracle import Oracle, Told
from tests.support.scenarios import PAIRS, Scenario, scenario
from tests.support.venue import KINDS

pytestmark = pytest.mark.unmeasured

SIDE_AND_KIND = {placing: names for names, placing in KINDS.items()}

# Seeded, which is ten times as fast as drawing every number from hypothesis; what it can shrink is the length.
scenarios = st.builds(scenario, st.integers(0, 2**32).map(random.Random), st.integers(0, 80), st.booleans())

many = settings(max_examples=250, deadline=None)


def check_books(engine: Engine) -> None:
    """No book is crossed, no level empty."""
    for pair in engine.trade_pairs:
        book = engine.aggregated_book(pair)
        bids, asks = list(book.buy_levels), list(book.sell_levels)
        assert bids == sorted(bids, reverse=True)
        assert asks == sorted(asks)
        assert not (bids and asks) or bids[0] < asks[0]
        assert all(volume > 0 for volume in (*book.buy_levels.values(), *book.sell_levels.values()))


def check_balances(engine: Engine) -> None:
    """No balance is negative, and holds equal the sum of what the open orders need, rounded down for each order."""
    for client in engine.client_ids:
        needed: dict[str, Decimal] = defaultdict(Decimal)
        for pair, book in engine.open_orders(client).order_books.items():
            base, quote = pair.split("_")
            for order in book.buy:
                needed[quote] += Decimal(int(order.amount * order.price * 10**8)) / 10**8
            for order in book.sell:
                needed[base] += order.amount
        for currency, balance in engine.balances(client).balances.items():
            assert balance.available >= 0
            assert balance.on_hold == needed.pop(currency, 0)
        assert not needed


def check_events(outputs: list[Output], known: dict[tuple[str, str], Decimal], ended: set[int]) -> None:
    """Each balance follows from the previous one, and an order that has ended has no more events."""
    for output in outputs:
        if not isinstance(output, Private):
            continue
        message: Any = output.message
        if isinstance(message, SetBalance):
            known[output.client_id, message.currency] += message.change
            assert message.balance == known[output.client_id, message.currency]
            assert message.change != 0
        elif not isinstance(message, OrderNotFound | InsufficientFunds) and hasattr(message, "order_id"):
            assert message.order_id not in ended
            if "Closed" in type(message).__name__ or "Cancelled" in type(message).__name__:
                ended.add(message.order_id)
            elif isinstance(message, OrderPlaced):
                assert message.closed_inline == (not message.amount)
                if message.closed_inline:
                    ended.add(message.order_id)


@many
@given(scenarios)
def test_money_is_conserved_and_every_balance_is_covered(played: Scenario) -> None:
    engine = played.engine()
    total: dict[str, Decimal] = defaultdict(Decimal)
    known: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    ended: set[int] = set()
    for command in played.commands:
        outputs = engine.apply(command)
        if isinstance(command, Register):
            for currency, amount in command.balances.items():
                total[currency] += Decimal(amount)
                known[command.client_id, currency] += Decimal(amount)
        elif isinstance(command, Deposit | Withdraw) and not isinstance(outputs[-1], Refused):
            sign = 1 if isinstance(command, Deposit) else -1
            total[command.currency] += sign * Decimal(command.amount)
        assert {currency: amount for currency, amount in engine.totals().items() if amount} == {
            currency: amount for currency, amount in total.items() if amount
        }
        check_books(engine)
        check_balances(engine)
        check_events(outputs, known, ended)


def told(outputs: list[Output]) -> Told:
    """The engine's outputs in the form of the model."""
    result = Told("")
    for output in outputs:
        if isinstance(output, Refused):
            result.verdict = f"refused {output.error_type}"
        elif isinstance(output, Private):
            message = output.message
            if isinstance(message, BuyOrderCancelled | SellOrderCancelled):
                result.cancelled.append(message.order_id)
            elif isinstance(message, OwnTrade) and message.maker:
                result.trades.append((message.order_id, 0, message.amount, message.price))
            elif isinstance(message, OwnTrade):
                maker, _, amount, price = result.trades[-1]
                assert (amount, price) == (message.amount, message.price)
                result.trades[-1] = (maker, message.order_id, amount, price)
            elif isinstance(message, OrderPlaced):
                result.verdict, result.left = "placed", message.amount
            elif isinstance(message, InsufficientFunds):
                result.verdict = "insufficient"
            elif isinstance(message, OrderNotFound):
                result.verdict = "not found"
    return result


def asked(oracle: Oracle, command: Command) -> Told:
    """The model's result for *command*."""
    ended = oracle.expire(command.time_us)
    said = Told("")
    if isinstance(command, Register):
        for currency, amount in command.balances.items():
            oracle.owned[command.client_id, currency] = Decimal(amount)
    elif isinstance(command, Deposit):
        oracle.owned[command.client_id, command.currency] += Decimal(command.amount)
    elif isinstance(command, Withdraw):
        if Decimal(command.amount) > oracle.available(command.client_id, command.currency):
            said = Told("refused -1")
        else:
            oracle.owned[command.client_id, command.currency] -= Decimal(command.amount)
    elif isinstance(command, DisablePairs):
        oracle.disabled.update(command.trade_pairs)
    elif isinstance(command, EnablePairs):
        oracle.disabled.difference_update(command.trade_pairs)
    elif isinstance(command, Submit):
        message = command.message
        if isinstance(message, PlaceOrder):
            side, kind = SIDE_AND_KIND[type(message)]
            amount, price = Decimal(message.amount), Decimal(message.price)
            said = oracle.place(
                command.client_id, message.trade_pair, side, kind, amount, price, message.client_order_id, message.ttl
            )
        elif isinstance(message, CancelOrder):
            said = oracle.cancel(command.client_id, message.order_id)
        else:
            said = oracle.cancel_all(command.client_id)
    said.cancelled[:0] = ended
    return said


def compare(played: Scenario) -> Iterator[Told]:
    """Run both with the same commands; their results and final states must be equal."""
    engine = played.engine()
    oracle = Oracle(list(PAIRS), played.maker_fee, played.taker_fee)
    for command in played.commands:
        outputs = engine.apply(command)
        mine, theirs = told(outputs), asked(oracle, command)
        # The model does not know in which order a fill's cancellation and the next one's are told.
        if theirs.verdict == "cancelled":
            theirs.verdict = ""
        assert mine == theirs
        trades = [output.message for output in outputs if isinstance(output, Public)]
        assert [(t.amount, t.price) for t in trades if isinstance(t, AnonymousTrade)] == [t[2:] for t in theirs.trades]
        yield theirs
        for pair in PAIRS:
            book = engine.aggregated_book(pair)
            assert book.current_order_id == oracle.last_id
            assert list(book.buy_levels.items()) == list(oracle.book(pair, "buy").items())
            assert list(book.sell_levels.items()) == list(oracle.book(pair, "sell").items())
        for client in engine.client_ids:
            for currency, balance in engine.balances(client).balances.items():
                assert balance.available == oracle.available(client, currency)
                assert balance.on_hold == oracle.on_hold(client, currency)
        assert {c: fee for c, fee in engine.collected_fees.items() if fee} == {
            c: fee for c, fee in oracle.fees.items() if fee
        }
        assert engine.next_expiry() == min((o.end_us for o in oracle.resting if o.end_us is not None), default=None)


@many
@given(scenarios)
def test_the_engine_agrees_with_a_plain_model(played: Scenario) -> None:
    for _ in compare(played):
        pass


@pytest.mark.parametrize("tiny", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_the_engine_agrees_with_a_plain_model_for_long(seed: int, tiny: bool) -> None:
    seen: dict[str, int] = defaultdict(int)
    for said in compare(scenario(random.Random(seed), 800, tiny)):
        seen[said.verdict] += 1
        seen["trades"] += len(said.trades)
    # The streams are worth something only if everything happens in them.
    for verdict in ("placed", "refused 1", "refused 2", "refused 3", "not found", "insufficient", "trades"):
        assert seen[verdict] > 0, seen


@many
@given(scenarios)
def test_the_same_input_gives_the_same_output_even_from_a_journal(played: Scenario) -> None:
    json = msgspec.json.Decoder(list[Command]).decode(msgspec.json.encode(played.commands))
    msgpack = msgspec.msgpack.Decoder(list[Command]).decode(msgspec.msgpack.encode(played.commands))
    assert json == msgpack == played.commands
    first, second = played.engine(), played.engine()
    for command, again in zip(played.commands, json, strict=True):
        assert msgspec.json.encode(first.apply(command)) == msgspec.json.encode(second.apply(again))
    assert first.snapshot() == second.snapshot()


@many
@given(scenarios, st.integers(0, 80), st.booleans())
def test_restoring_a_snapshot_at_any_point_equals_going_on(played: Scenario, point: int, asked_before: bool) -> None:
    engine = played.engine()
    for command in played.commands[:point]:
        engine.apply(command)
    if asked_before:
        engine.take_touched()
    raw = engine.snapshot()
    again = Engine.restore(raw)
    assert again.snapshot() == raw
    for command in played.commands[point:]:
        assert again.apply(command) == engine.apply(command)
        assert again.next_expiry() == engine.next_expiry()
    assert again.take_touched() == engine.take_touched()
    assert again.snapshot() == engine.snapshot()
    for client in engine.client_ids:
        assert again.open_orders(client) == engine.open_orders(client)
        assert again.balances(client) == engine.balances(client)
