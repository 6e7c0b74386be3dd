"""What may be open, from before an order is sent until its end is known."""

from __future__ import annotations

from decimal import Decimal

import pytest

import cryptoproto as cp
from cryptoproto.quotes.open_quotes import OpenQuotes, Placement
from cryptoproto.quotes.ownership import Ownership
from cryptoproto.quotes.plan import Certainty
from tests.support.orders import traded
from tests.support.quoting import BUY, PAIR, ScriptedClient

LEVEL = cp.QuoteLevel(BUY, Decimal(100), Decimal(2))


@pytest.fixture
def client() -> ScriptedClient:
    return ScriptedClient()


@pytest.fixture
def quotes(client: ScriptedClient) -> OpenQuotes:
    return OpenQuotes(client, Ownership(PAIR, None), refill=True)


def send(client: ScriptedClient, placement: Placement) -> cp.Order:
    level = placement.level
    order = cp.Order(
        client_order_id=placement.client_order_id, trade_pair=PAIR, side=level.side, amount=level.amount,
        price=level.price,
    )  # fmt: skip
    client.orders.add(order)
    return order


def seen(quotes: OpenQuotes) -> list[tuple[Certainty, float]]:
    return [(quote.certainty, float(quote.remaining)) for quote in quotes.view()]


def test_from_before_it_is_sent(client: ScriptedClient, quotes: OpenQuotes) -> None:
    placement = quotes.begin(LEVEL)
    assert quotes.order_of(placement) is None
    assert seen(quotes) == [(Certainty.UNCERTAIN, 2)]
    order = send(client, placement)
    assert quotes.order_of(placement) is order
    assert seen(quotes) == [(Certainty.UNCERTAIN, 2)]
    client.accept(order)
    assert seen(quotes) == [(Certainty.OPEN, 2)]
    order.add_trade(traded("0.5"))
    quotes.end(placement)
    assert seen(quotes) == [(Certainty.OPEN, 1.5)]
    assert quotes.orders() == [order]
    client.end(order)
    assert seen(quotes) == []


def test_a_partially_filled_order_may_stand_for_its_whole_amount(client: ScriptedClient) -> None:
    quotes = OpenQuotes(client, Ownership(PAIR, None), refill=False)
    order = send(client, quotes.begin(LEVEL))
    client.accept(order)
    order.add_trade(traded("0.5"))
    (quote,) = quotes.view()
    assert (quote.remaining, quote.counts) == (Decimal("1.5"), Decimal(2))


def test_an_order_that_was_never_sent_is_not_open(client: ScriptedClient, quotes: OpenQuotes) -> None:
    placement = quotes.begin(LEVEL)
    quotes.end(placement)
    assert seen(quotes) == []
    order = send(client, quotes.begin(LEVEL))
    client.orders.mark_not_sent(order)
    assert seen(quotes) == []


def test_an_order_without_an_answer_counts_until_the_client_knows(client: ScriptedClient, quotes: OpenQuotes) -> None:
    placement = quotes.begin(LEVEL)
    order = send(client, placement)
    client.orders.mark_unknown(order)
    quotes.end(placement)
    quotes.settle(client.state)  # it was sent in this state, so nothing was decided since
    assert seen(quotes) == [(Certainty.UNCERTAIN, 2)]
    client.enter(cp.State.LIVE)
    quotes.settle(client.state)  # compared with the exchange, which does not list it
    assert seen(quotes) == []


def test_a_cancel_without_an_answer_counts_until_the_client_knows(client: ScriptedClient, quotes: OpenQuotes) -> None:
    order = send(client, quotes.begin(LEVEL))
    client.accept(order)
    quotes.begin_cancel(order)
    assert seen(quotes) == [(Certainty.CANCELLING, 2)]
    quotes.end_cancel(order, is_known=False)
    quotes.settle(client.state)
    assert seen(quotes) == [(Certainty.CANCELLING, 2)]
    client.enter(cp.State.LIVE)
    quotes.settle(client.state)
    assert seen(quotes) == [(Certainty.OPEN, 2)]
    quotes.begin_cancel(order)
    quotes.end_cancel(order, is_known=True)
    assert seen(quotes) == [(Certainty.OPEN, 2)]
    quotes.begin_cancel(order)
    client.end(order)
    quotes.end_cancel(order, is_known=False)
    assert seen(quotes) == []
