"""Orders: every event, in order, with exact amounts."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.exchange.accounts import Accounts
from cryptoproto.exchange.commands import Broadcast, LimitOpenOrders, Output
from cryptoproto.exchange.matching import MAX_TTL_S, Matching
from cryptoproto.messages import (
    AnonymousTrade,
    OpenOrder,
    OpenOrders,
    PlaceOrder,
    SetBalance,
    TradesDisabledOnPairs,
    TradesEnabledOnPairs,
    UserOrdersResponse,
)
from tests.support.venue import START_US, Venue, fills, messages, story


def test_a_resting_order_takes_its_hold_and_is_placed() -> None:
    venue = Venue()
    assert story(venue.order("alice", "buy", "1.5", "15000", client_order_id=7)) == [
        "alice SetBalance currency=USD balance=977500 change=-22500 reason=on_hold",
        "alice BuyOrderPlaced order_id=1 client_order_id=7 price=15000 initial_amount=1.5 amount=1.5",
    ]
    assert story(venue.order("bob", "sell", "2", "15001")) == [
        "bob SetBalance currency=BTC balance=98 change=-2 reason=on_hold",
        "bob SellOrderPlaced order_id=2 price=15001 initial_amount=2 amount=2",
    ]
    assert venue.book() == ([("15000", "1.5")], [("15001", "2")])
    assert venue.funds("alice") == {"USD": ("977500", "22500"), "BTC": ("100", "0")}


def test_fills_come_before_the_acknowledgement_and_nothing_after_an_order_closed_inline() -> None:
    venue = Venue()
    venue.order("bob", "sell", "1", "100", client_order_id=5)
    venue.order("bob", "sell", "1", "101")
    assert story(venue.order("alice", "buy", "1.5", "102", client_order_id=7)) == [
        "alice SetBalance currency=USD balance=999847 change=-153 reason=on_hold",
        "bob OwnTrade order_id=1 amount=1 price=100 maker client_order_id=5",
        "bob SellOrderAmountChanged order_id=1 client_order_id=5 amount=0 fee=0",
        "bob SetBalance currency=USD balance=1000100 change=100 reason=trade",
        "bob SellOrderClosed order_id=1 client_order_id=5",
        "alice OwnTrade order_id=3 amount=1 price=100 client_order_id=7",
        "alice BuyOrderAmountChanged order_id=3 client_order_id=7 amount=0.5 fee=0",
        "alice SetBalance currency=BTC balance=101 change=1 reason=trade",
        "alice SetBalance currency=USD balance=999849 change=2 reason=on_hold",
        "public AnonymousTrade current_order_id=3 amount=1 price=100",
        "bob OwnTrade order_id=2 amount=0.5 price=101 maker",
        "bob SellOrderAmountChanged order_id=2 amount=0.5 fee=0",
        "bob SetBalance currency=USD balance=1000150.5 change=50.5 reason=trade",
        "alice OwnTrade order_id=3 amount=0.5 price=101 client_order_id=7",
        "alice BuyOrderAmountChanged order_id=3 client_order_id=7 amount=0 fee=0",
        "alice SetBalance currency=BTC balance=101.5 change=0.5 reason=trade",
        "alice SetBalance currency=USD balance=999849.5 change=0.5 reason=on_hold",
        "public AnonymousTrade current_order_id=3 amount=0.5 price=101",
        "alice BuyOrderPlaced order_id=3 client_order_id=7 price=102 initial_amount=1.5 amount=0 closed_inline",
    ]
    assert venue.book() == ([], [("101", "0.5")])


def test_one_command_has_one_time_and_its_events_name_the_pair() -> None:
    venue = Venue()

    def told(outputs: list[Output]) -> list[str]:
        """The names of the messages; each has the time of the command, and the pair if it has one."""
        seconds, microseconds = divmod(venue.now_us, 1_000_000)
        for message in messages(outputs):
            in_trades = isinstance(message, AnonymousTrade)
            assert message.payload.get("time") == [seconds, microseconds // 1000 if in_trades else microseconds]
            assert isinstance(message, SetBalance) or message.payload.get("trade_pair") == "ETH_BTC"
        venue.now_us += 1_000_000
        return [type(message).__name__ for message in messages(outputs)]

    def order(client: str, side: str, amount: str, price: str, kind: str = "limit") -> list[str]:
        return told(venue.order(client, side, amount, price, kind, pair="ETH_BTC"))

    for client in ("carol", "dave"):
        venue.register(client, {"ETH": "100", "BTC": "100"})
    venue.now_us = START_US // 1_000_000 * 1_000_000 + 999_000
    assert order("carol", "sell", "1", "1") == ["SetBalance", "SellOrderPlaced"]
    filled = ["OwnTrade", "SellOrderAmountChanged", "SetBalance", "SellOrderClosed"]
    taken = ["OwnTrade", "BuyOrderAmountChanged", "SetBalance", "SetBalance", "AnonymousTrade"]  # a better price
    rest = ["BuyOrderPlaced", "BuyOrderCancelled", "SetBalance"]
    assert order("dave", "buy", "2", "2", "ioc") == ["SetBalance", *filled, *taken, *rest]
    # What is left of a resting order is worth nothing, so it is cancelled.
    assert order("dave", "buy", "2", "0.00000001") == ["SetBalance", "BuyOrderPlaced"]
    ended = order("carol", "sell", "1.5", "0.00000001")
    assert ended[4:6] == ["SetBalance", "BuyOrderCancelled"]
    order("carol", "sell", "1", "1")
    assert told(venue.cancel("carol", venue.engine.last_order_id)) == ["SellOrderCancelled", "SetBalance"]
    order("carol", "sell", "1", "1")
    assert told(venue.cancel_all("carol")) == ["SellOrderCancelled", "SetBalance"]
    order("carol", "sell", "1", "1")
    assert order("carol", "buy", "1", "1")[:3] == ["SetBalance", "SellOrderCancelled", "SetBalance"]


def test_best_price_first_and_then_the_oldest() -> None:
    venue = Venue()
    for client, price in (("bob", "102"), ("bob", "101"), ("carol", "101"), ("bob", "101")):
        if client not in venue.engine.client_ids:
            venue.register(client)
        venue.order(client, "sell", "1", price)
    assert fills(venue.order("alice", "buy", "0.5", "102")) == [(2, "0.5", "101")]
    # An order that was filled in part keeps its place.
    assert fills(venue.order("alice", "buy", "3", "102")) == [
        (2, "0.5", "101"),
        (3, "1", "101"),
        (4, "1", "101"),
        (1, "0.5", "102"),
    ]


def test_fills_happen_at_the_price_of_the_resting_order() -> None:
    venue = Venue()
    venue.order("bob", "buy", "1", "110")
    venue.order("bob", "buy", "1", "105")
    assert fills(venue.order("alice", "sell", "2", "100")) == [(1, "1", "110"), (2, "1", "105")]
    assert venue.funds("alice") == {"USD": ("1000215", "0"), "BTC": ("98", "0")}
    assert venue.funds("bob") == {"USD": ("999785", "0"), "BTC": ("102", "0")}


def test_a_limit_order_rests_with_what_is_left() -> None:
    venue = Venue()
    venue.order("bob", "sell", "1", "100")
    assert story(venue.order("alice", "buy", "3", "100"))[-2:] == [
        "public AnonymousTrade current_order_id=2 amount=1 price=100",
        "alice BuyOrderPlaced order_id=2 price=100 initial_amount=3 amount=2",
    ]
    assert venue.book() == ([("100", "2")], [])
    assert venue.funds("alice") == {"USD": ("999700", "200"), "BTC": ("101", "0")}
    assert fills(venue.order("bob", "sell", "3", "99")) == [(2, "2", "100")]
    assert venue.book() == ([], [("99", "1")])


def test_immediate_or_cancel_never_rests() -> None:
    venue = Venue()
    venue.order("bob", "sell", "1", "100")
    assert story(venue.order("alice", "buy", "3", "101", "ioc", client_order_id=9, ttl=60)) == [
        "alice SetBalance currency=USD balance=999697 change=-303 reason=on_hold",
        "bob OwnTrade order_id=1 amount=1 price=100 maker",
        "bob SellOrderAmountChanged order_id=1 amount=0 fee=0",
        "bob SetBalance currency=USD balance=1000100 change=100 reason=trade",
        "bob SellOrderClosed order_id=1",
        "alice OwnTrade order_id=2 amount=1 price=100 client_order_id=9",
        "alice BuyOrderAmountChanged order_id=2 client_order_id=9 amount=2 fee=0",
        "alice SetBalance currency=BTC balance=101 change=1 reason=trade",
        "alice SetBalance currency=USD balance=999698 change=1 reason=on_hold",
        "public AnonymousTrade current_order_id=2 amount=1 price=100",
        "alice BuyOrderPlaced order_id=2 client_order_id=9 price=101 initial_amount=3 amount=2",
        "alice BuyOrderCancelled order_id=2 client_order_id=9",
        "alice SetBalance currency=USD balance=999900 change=202 reason=on_hold",
    ]
    assert story(venue.order("alice", "sell", "3", "101", "ioc")) == [
        "alice SetBalance currency=BTC balance=98 change=-3 reason=on_hold",
        "alice SellOrderPlaced order_id=3 price=101 initial_amount=3 amount=3",
        "alice SellOrderCancelled order_id=3",
        "alice SetBalance currency=BTC balance=101 change=3 reason=on_hold",
    ]
    assert venue.book() == ([], [])
    assert venue.engine.next_expiry() is None


@pytest.mark.parametrize("kind", ["limit", "ioc", "fok"])
def test_whatever_is_filled_whole_is_closed_inline(kind: str) -> None:
    venue = Venue()
    venue.order("bob", "buy", "1", "100")
    assert story(venue.order("alice", "sell", "1", "100", kind))[-1] == (
        "alice SellOrderPlaced order_id=2 price=100 initial_amount=1 amount=0 closed_inline"
    )
    assert story(venue.cancel("alice", 2)) == ["alice OrderNotFound order_id=2"]


def test_fill_or_kill_is_all_or_nothing() -> None:
    venue = Venue()
    venue.order("bob", "sell", "1", "100")
    venue.order("bob", "sell", "1", "102")
    killed = [
        "alice SetBalance currency=USD balance=999798 change=-202 reason=on_hold",
        "alice BuyOrderPlaced order_id=3 price=101 initial_amount=2 amount=2",
        "alice BuyOrderCancelled order_id=3",
        "alice SetBalance currency=USD balance=1000000 change=202 reason=on_hold",
    ]
    venue.engine.take_touched()
    assert story(venue.order("alice", "buy", "2", "101", "fok")) == killed
    assert fills(venue.order("alice", "buy", "2.00000001", "102", "fok")) == []
    assert venue.engine.take_touched() == []
    assert fills(venue.order("alice", "buy", "2", "102", "fok")) == [(1, "1", "100"), (2, "1", "102")]


def test_own_orders_are_no_liquidity_for_fill_or_kill() -> None:
    venue = Venue()
    venue.order("alice", "sell", "5", "100")
    venue.order("bob", "sell", "1", "100")
    assert fills(venue.order("alice", "buy", "2", "100", "fok")) == []
    # A killed order does not reach the book, so the own order stays; one that is filled meets and cancels it.
    assert venue.book() == ([], [("100", "6")])
    outputs = venue.order("alice", "buy", "1", "100", "fok")
    assert story(outputs)[1:3] == [
        "alice SellOrderCancelled order_id=1",
        "alice SetBalance currency=BTC balance=100 change=5 reason=on_hold",
    ]
    assert fills(outputs) == [(2, "1", "100")]


def test_nobody_trades_with_themselves() -> None:
    venue = Venue()
    venue.order("alice", "buy", "1", "102")
    venue.order("bob", "buy", "1", "101")
    venue.order("alice", "buy", "1", "100")
    assert story(venue.order("alice", "sell", "2", "100")) == [
        "alice SetBalance currency=BTC balance=98 change=-2 reason=on_hold",
        "alice BuyOrderCancelled order_id=1",
        "alice SetBalance currency=USD balance=999900 change=102 reason=on_hold",
        "bob OwnTrade order_id=2 amount=1 price=101 maker maker_buy",
        "bob BuyOrderAmountChanged order_id=2 amount=0 fee=0",
        "bob SetBalance currency=BTC balance=101 change=1 reason=trade",
        "bob BuyOrderClosed order_id=2",
        "alice OwnTrade order_id=4 amount=1 price=101 maker_buy",
        "alice SellOrderAmountChanged order_id=4 amount=1 fee=0",
        "alice SetBalance currency=USD balance=1000001 change=101 reason=trade",
        "public AnonymousTrade current_order_id=4 amount=1 price=101 maker_buy",
        "alice BuyOrderCancelled order_id=3",
        "alice SetBalance currency=USD balance=1000101 change=100 reason=on_hold",
        "alice SellOrderPlaced order_id=4 price=100 initial_amount=2 amount=1",
    ]
    assert venue.book() == ([], [("100", "1")])


def test_own_orders_behind_the_last_fill_stay() -> None:
    venue = Venue()
    venue.order("bob", "sell", "1", "100")
    venue.order("alice", "sell", "1", "100")
    venue.order("alice", "buy", "1", "100")
    assert venue.book() == ([], [("100", "1")])


def test_one_counter_of_order_ids_for_all() -> None:
    venue = Venue()
    venue.order("alice", "buy", "1", "100")
    assert story(venue.order("bob", "sell", "100.00000001", "100")) == ["bob InsufficientFunds order_id=2 currency=BTC"]
    assert story(venue.order("bob", "buy", "1", "1000000.00000001")) == [
        "bob InsufficientFunds order_id=3 currency=USD"
    ]
    venue.order("bob", "buy", "1", "100", pair="ETH_JPY")  # refused: no order, no id
    assert "order_id=4" in story(venue.order("bob", "buy", "1", "1000000"))[-1]
    assert venue.engine.aggregated_book("ETH_BTC").current_order_id == 4


def test_order_ids_that_others_have_are_skipped() -> None:
    matching = Matching({}, Accounts(), maker_fee=0, taker_fee=0)
    for through, last in ((5, 5), (3, 5), (6, 6)):
        matching.skip_order_ids(through)
        assert matching.last_order_id == last


def test_what_is_on_hold_cannot_be_used_twice() -> None:
    venue = Venue()
    venue.order("alice", "buy", "1", "600000")
    assert story(venue.order("alice", "buy", "1", "600000")) == ["alice InsufficientFunds order_id=2 currency=USD"]
    venue.cancel("alice", 1)
    assert len(venue.order("alice", "buy", "1", "600000")) == 2


def test_cancelling() -> None:
    venue = Venue()
    venue.order("alice", "buy", "2", "100", client_order_id=4)
    assert story(venue.cancel("bob", 1)) == ["bob OrderNotFound order_id=1"]
    assert story(venue.cancel("alice", 2)) == ["alice OrderNotFound order_id=2"]
    assert story(venue.cancel("alice", -1)) == ["alice OrderNotFound order_id=-1"]
    venue.order("bob", "sell", "0.5", "100")
    assert story(venue.cancel("alice", 1)) == [
        "alice BuyOrderCancelled order_id=1 client_order_id=4",
        "alice SetBalance currency=USD balance=999950 change=150 reason=on_hold",
    ]
    assert story(venue.cancel("alice", 1)) == ["alice OrderNotFound order_id=1"]
    assert story(venue.cancel("alice", 2**63)) == ["alice refused 2: order_id must fit into 64 bits"]


def test_cancelling_all() -> None:
    venue = Venue()
    venue.order("alice", "buy", "1", "100")
    venue.order("alice", "sell", "1", "200")
    venue.order("bob", "buy", "1", "100")
    venue.order("alice", "buy", "1", "101", pair="BTC_USD")
    assert story(venue.cancel_all("alice")) == [
        "alice BuyOrderCancelled order_id=1",
        "alice SetBalance currency=USD balance=999899 change=100 reason=on_hold",
        "alice SellOrderCancelled order_id=2",
        "alice SetBalance currency=BTC balance=100 change=1 reason=on_hold",
        "alice BuyOrderCancelled order_id=4",
        "alice SetBalance currency=USD balance=1000000 change=101 reason=on_hold",
    ]
    assert venue.cancel_all("alice") == []
    assert venue.book() == ([("100", "1")], [])


def test_open_orders_in_order_of_id() -> None:
    venue = Venue()
    assert venue.engine.open_orders("alice") == UserOrdersResponse(order_books={})
    venue.order("alice", "buy", "3", "100", client_order_id=8)
    venue.order("alice", "sell", "1", "200")
    venue.order("alice", "buy", "1", "101")
    venue.order("bob", "sell", "2", "101")
    venue.order("alice", "sell", "1", "1", pair="BTC_EUR")
    assert venue.engine.open_orders("alice") == UserOrdersResponse(
        order_books={
            "BTC_USD": OpenOrders(
                buy=[OpenOrder(1, Decimal(3), Decimal(100), 8)], sell=[OpenOrder(2, Decimal(1), Decimal(200))]
            ),
            "BTC_EUR": OpenOrders(sell=[OpenOrder(5, Decimal(1), Decimal(1))]),
        }
    )


def test_the_aggregated_book() -> None:
    venue = Venue()
    for price in ("100", "102", "101", "102"):
        venue.order("alice", "buy", "0.5", price)
    for price in ("110.5", "110.25", "110.5"):
        venue.order("bob", "sell", "1", price)
    assert venue.book() == ([("102", "1"), ("101", "0.5"), ("100", "0.5")], [("110.25", "1"), ("110.5", "2")])
    book = venue.engine.aggregated_book("BTC_USD")
    assert (book.trade_pair, book.current_order_id) == ("BTC_USD", 7)
    assert venue.engine.take_touched() == ["BTC_USD"]
    assert venue.engine.take_touched() == []
    with pytest.raises(cp.ConfigurationError, match="unknown trade pair 'X_Y'"):
        venue.engine.aggregated_book("X_Y")


def test_a_trade_touches_its_book_alone() -> None:
    venue = Venue()
    venue.order("alice", "buy", "1", "100")
    venue.engine.take_touched()
    venue.order("bob", "sell", "1", "100")
    assert venue.engine.take_touched() == ["BTC_USD"]
    venue.order("bob", "sell", "1", "100", "ioc")
    assert venue.engine.take_touched() == []


def test_a_client_order_id_can_never_be_used_again() -> None:
    venue = Venue()
    duplicate = ["alice refused 1: client_order_id 7 was used before"]
    venue.order("alice", "buy", "1", "100", client_order_id=7)
    assert story(venue.order("alice", "buy", "1", "100", client_order_id=7)) == duplicate
    venue.cancel("alice", 1)
    assert story(venue.order("alice", "sell", "1", "100", pair="BTC_EUR", client_order_id=7)) == duplicate
    assert len(venue.order("bob", "buy", "1", "100", client_order_id=7)) == 2
    venue.cancel_all("bob")
    # An order that got an id has used its client order id, whatever became of it; one that was refused has not.
    assert "InsufficientFunds" in story(venue.order("alice", "buy", "1", "10000000", client_order_id=8))[0]
    assert "refused 1" in story(venue.order("alice", "buy", "1", "1", client_order_id=8))[0]
    assert "refused 2" in story(venue.order("alice", "buy", "1", "1", pair="X_Y", client_order_id=9))[0]
    assert "Placed" in story(venue.order("alice", "buy", "1", "1", client_order_id=9))[1]
    assert "refused 2: client_order_id" in story(venue.order("alice", "buy", "1", "1", client_order_id=2**63))[0]
    assert "Placed" in story(venue.order("alice", "buy", "1", "1", client_order_id=-(2**63)))[1]


@pytest.mark.parametrize(
    ("amount", "price", "text"),
    [
        ("1.000000001", "100", "amount=1.000000001 has more than 8 decimals"),
        ("1", "0.000000015", "price=1.5E-8 has more than 8 decimals"),
        ("1e-99", "1", "amount=1E-99 has more than 8 decimals"),
        ("1000000000000000000.1", "1", "amount=1000000000000000000.1 is too large: the maximum is 10**18"),
        ("1", "1e99", "price=1E+99 is too large: the maximum is 10**18"),
        ("1" * 99, "1", f"amount={'1' * 40}… is too large: the maximum is 10**18"),
        ("0.0001", "0.00009999", "amount=0.00010000 at price=0.00009999 is worth less than 0.00000001 USD"),
        (
            "1000000001",
            "1000000000",
            "amount=1000000001.00000000 at price=1000000000.00000000 is worth more than 10**18 USD",
        ),
    ],
)
def test_amounts_that_cannot_be(amount: str, price: str, text: str) -> None:
    venue = Venue()
    for side in ("buy", "sell"):
        assert story(venue.order("alice", side, amount, price)) == [f"alice refused 2: {text}"]
    assert venue.engine.aggregated_book("BTC_USD").current_order_id == 0


def test_amounts_that_just_can_be() -> None:
    venue = Venue(balances={"alice": {"USD": "1e18", "BTC": "1000000000000000000"}})
    for amount, price in (("1e18", "1"), ("1.000000000000", "0.00000001"), ("0.00000001", "1"), ("1e9", "1e9")):
        outputs = venue.order("alice", "buy", amount, price)
        assert "Placed" in story(outputs)[1]
        venue.cancel_all("alice")
        assert venue.funds("alice")["USD"] == ("1000000000000000000", "0")


def test_other_refusals() -> None:
    venue = Venue()
    assert story(venue.order("alice", "buy", "1", "1", pair="ETH_JPY")) == [
        "alice refused 2: unknown trade pair 'ETH_JPY'; there are BTC_USD, ETH_USD, ETH_BTC, LTC_USD, BTC_EUR"
    ]
    assert story(venue.order("alice", "buy", "1", "1", ttl=MAX_TTL_S + 1)) == [
        "alice refused 2: ttl must be 0 (no expiry) or up to 3153600000 seconds"
    ]
    assert story(venue.order("alice", "buy", "1", "1", ttl=MAX_TTL_S))[-1].startswith("alice BuyOrderPlaced")
    unknown = story(venue.order("alice", "buy", "1", "1", pair="X" * 99))
    assert unknown[0].startswith(f"alice refused 2: unknown trade pair '{'X' * 40}'; there are BTC_USD")
    assert story(venue.order("nobody", "buy", "1", "1")) == ["nobody refused -1: unknown client 'nobody'"]
    assert story(venue.cancel("nobody", 1)) == ["nobody refused -1: unknown client 'nobody'"]
    wrong: Any
    for wrong in (UserOrdersResponse(order_books={}), PlaceOrder("BTC_USD", Decimal(1), Decimal(1))):
        name = type(wrong).__name__
        assert story(venue.send("alice", wrong)) == [f"alice refused 2: {name} is not a message that a client sends"]


def test_disabled_pairs_take_no_orders_but_cancels() -> None:
    venue = Venue()
    venue.order("alice", "buy", "1", "100", client_order_id=1)
    disabled = venue.disable("ETH_BTC", "BTC_USD", "X_Y")
    assert disabled == [Broadcast(TradesDisabledOnPairs(["BTC_USD", "ETH_BTC"]))]
    assert list(venue.engine.disabled_pairs) == ["BTC_USD", "ETH_BTC"]
    assert venue.disable("BTC_USD") == []
    assert story(venue.order("bob", "sell", "1", "100")) == ["bob refused 3: trading is disabled on BTC_USD"]
    # To one who sends an order again after a lost link, this is the truth about it.
    assert "refused 1" in story(venue.order("alice", "buy", "1", "100", client_order_id=1))[0]
    assert venue.book() == ([("100", "1")], [])
    assert "BuyOrderCancelled" in story(venue.cancel("alice", 1))[0]
    assert venue.enable("BTC_USD", "LTC_USD") == [Broadcast(TradesEnabledOnPairs(["BTC_USD"]))]
    assert list(venue.engine.disabled_pairs) == ["ETH_BTC"]
    assert len(venue.order("bob", "sell", "1", "100")) == 2


def test_nothing_changes_hands_for_nothing() -> None:
    """At a price of 0.00000001, an amount below one is worth less than the smallest unit."""
    venue = Venue()
    venue.order("alice", "buy", "2", "0.00000001")
    # What is left of the resting order could never be traded any more, so it goes.
    assert story(venue.order("bob", "sell", "1.5", "0.00000001"))[1:7] == [
        "alice OwnTrade order_id=1 amount=1.5 price=0.00000001 maker maker_buy",
        "alice BuyOrderAmountChanged order_id=1 amount=0.5 fee=0",
        "alice SetBalance currency=BTC balance=101.5 change=1.5 reason=trade",
        "alice SetBalance currency=USD balance=999999.99999999 change=0.00000001 reason=on_hold",
        "alice BuyOrderCancelled order_id=1",
        "bob OwnTrade order_id=2 amount=1.5 price=0.00000001 maker_buy",
    ]
    # The same with an incoming order: its rest is not put into the book.
    venue.order("alice", "buy", "1", "0.00000001")
    assert story(venue.order("bob", "sell", "1.5", "0.00000001"))[-3:] == [
        "bob SellOrderPlaced order_id=4 price=0.00000001 initial_amount=1.5 amount=0.5",
        "bob SellOrderCancelled order_id=4",
        "bob SetBalance currency=BTC balance=97.5 change=0.5 reason=on_hold",
    ]
    assert venue.book() == ([], [])
    assert venue.funds("alice") == {"USD": ("999999.99999998", "0"), "BTC": ("102.5", "0")}
    assert venue.funds("bob") == {"USD": ("1000000.00000002", "0"), "BTC": ("97.5", "0")}


def test_prices_that_cross_without_a_trade_end_the_incoming_order() -> None:
    venue = Venue()
    venue.order("bob", "sell", "10", "0.00000001")
    assert story(venue.order("alice", "buy", "0.5", "1"))[1:] == [
        "alice BuyOrderPlaced order_id=2 price=1 initial_amount=0.5 amount=0.5",
        "alice BuyOrderCancelled order_id=2",
        "alice SetBalance currency=USD balance=1000000 change=0.5 reason=on_hold",
    ]
    assert fills(venue.order("alice", "buy", "0.5", "1", "fok")) == []
    assert fills(venue.order("alice", "buy", "1.5", "1", "fok")) == [(1, "1.5", "0.00000001")]
    assert venue.book() == ([], [("0.00000001", "8.5")])


def test_fill_or_kill_looks_at_its_last_fill() -> None:
    venue = Venue()
    venue.order("alice", "sell", "1.2", "0.00000001")
    venue.order("bob", "sell", "1", "0.00000001")
    venue.order("bob", "sell", "9", "0.00000001")
    assert fills(venue.order("alice", "buy", "1.5", "1", "fok")) == []
    assert fills(venue.order("alice", "buy", "2", "1", "fok")) == [(2, "1", "0.00000001"), (3, "1", "0.00000001")]


def test_a_sell_order_at_any_price_is_checked_by_its_fills() -> None:
    """0.5 BTC at a limit of 0.00000001 is worth less than the smallest unit, but it sells at 100."""
    for kind in ("ioc", "fok"):
        venue = Venue()
        venue.order("alice", "buy", "2", "100")
        assert fills(venue.order("bob", "sell", "0.5", "0.00000001", kind)) == [(1, "0.5", "100")]


def test_a_sell_order_at_any_price_without_a_buyer_is_cancelled() -> None:
    for kind in ("ioc", "fok"):
        venue = Venue()
        assert story(venue.order("bob", "sell", "0.5", "0.00000001", kind))[1:] == [
            "bob SellOrderPlaced order_id=1 price=0.00000001 initial_amount=0.5 amount=0.5",
            "bob SellOrderCancelled order_id=1",
            "bob SetBalance currency=BTC balance=100 change=0.5 reason=on_hold",
        ]
        venue.order("alice", "buy", "2", "0.00000001")
        outputs = venue.order("bob", "sell", "0.5", "0.00000001", kind)
        assert fills(outputs) == [], "half of it would be worth nothing"
        assert "bob SellOrderCancelled order_id=3" in story(outputs)


def test_a_limit_order_and_a_buy_order_need_a_limit_that_is_worth_something() -> None:
    venue = Venue()
    for side, kind in (("sell", "limit"), ("buy", "limit"), ("buy", "ioc"), ("buy", "fok")):
        (line,) = story(venue.order("bob", side, "0.5", "0.00000001", kind))
        assert "refused 2" in line
        assert "is worth less than 0.00000001 USD" in line


def test_a_client_with_too_many_open_orders_can_place_no_limit_order() -> None:
    venue = Venue()
    venue.apply(LimitOpenOrders(2, venue.now_us))
    for _ in range(2):
        venue.order("alice", "buy", "1", "100")
    assert story(venue.order("alice", "buy", "1", "100", client_order_id=7)) == [
        "alice refused -1: too many open orders: the limit is 2; cancel some first"
    ]
    assert len(venue.order("bob", "sell", "0.5", "100")) > 1, "the limit is one for each client"
    assert fills(venue.order("alice", "buy", "1", "100", "ioc")) == []
    venue.cancel("alice", 2)
    assert "Placed" in story(venue.order("alice", "buy", "1", "100", client_order_id=7))[1], "the id was not used"
    venue.apply(LimitOpenOrders(1, venue.now_us))
    assert len(venue.engine.open_orders("alice").order_books["BTC_USD"].buy) == 2, "open orders stay"


def test_the_limit_of_open_orders_is_a_thousand_by_default() -> None:
    venue = Venue()
    for _ in range(1000):
        venue.order("alice", "buy", "0.01", "1")
    assert "refused -1: too many open orders: the limit is 1000" in story(venue.order("alice", "buy", "0.01", "1"))[0]
