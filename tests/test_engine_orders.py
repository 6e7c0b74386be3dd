"""What the engine tells of orders: every event, in order, with exact amounts."""

from __future__ import annotations

from tests.venue import Venue, story


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
