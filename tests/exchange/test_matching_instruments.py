"""The rules of pairs, as the engine enforces them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cryptoproto as cp
from cryptoproto.exchange.commands import Command, Public, Refused, SetInstruments
from cryptoproto.exchange.engine import Engine
from tests.support.venue import Venue, fills

BTC = cp.Instrument(
    "BTC_USD", tick_size="0.05", lot_size="0.01", min_amount="0.02", min_value="10", max_amount="50", max_value="9000"
)


def ruled(*instruments: cp.Instrument) -> Venue:
    venue = Venue()
    venue.apply(SetInstruments([each.to_rules() for each in instruments], venue.now_us))
    return venue


@pytest.mark.parametrize(
    ("amount", "price", "words"),
    [
        ("1", "100.01", "price=100.01 is not a multiple of the tick size 0.05 of BTC_USD"),
        ("1.001", "100", "amount=1.001 is not a multiple of the lot size 0.01 of BTC_USD"),
        ("0.01", "1000", "amount=0.01 is less than the minimum of BTC_USD, 0.02"),
        (
            "0.09",
            "100",
            "is worth 9 USD, less than the minimum of BTC_USD, 10 USD; at this price, use",
        ),
        ("51", "100", "amount=51 is more than the maximum of BTC_USD, 50"),
        ("50", "200", "is worth 10000 USD, more than the maximum of BTC_USD, 9000 USD"),
    ],
)
def test_an_order_that_violates_a_rule_is_an_invalid_payload(amount: str, price: str, words: str) -> None:
    venue = ruled(BTC)
    before = venue.engine.snapshot()
    for side in ("buy", "sell"):
        (refused,) = venue.order("alice", side, amount, price, client_order_id=1)
        assert isinstance(refused, Refused)
        assert refused.error_type == 2
        assert words in refused.text
    assert venue.engine.snapshot() == before, "nothing has changed, and the client order id is not used"
    venue.order("alice", "buy", amount, price, pair="ETH_USD")
    assert venue.engine.open_order_count == 1, "the rules are for that pair alone"


@settings(deadline=None)
@given(
    st.integers(1, 60_00),
    st.integers(1, 300_00),
    st.sampled_from(["buy", "sell"]),
    st.sampled_from(["limit", "ioc", "fok"]),
)
def test_the_engine_refuses_what_a_client_with_the_same_rules_does(
    amount: int, price: int, side: Literal["buy", "sell"], kind: str
) -> None:
    venue = ruled(BTC)
    terms = Decimal(amount).scaleb(-2), Decimal(price).scaleb(-2)
    outputs = venue.order("alice", side, str(terms[0]), str(terms[1]), kind)
    refused = [output for output in outputs if isinstance(output, Refused)]
    if refused:
        with pytest.raises(cp.OrderInvalid) as caught:
            BTC.check(side, *terms, time_in_force="gtc" if kind == "limit" else kind)
        assert refused == [Refused("alice", 2, str(caught.value))]
    else:
        BTC.check(side, *terms, time_in_force="gtc" if kind == "limit" else kind)


def test_a_repeated_order_is_a_duplicate_even_if_the_rules_have_changed() -> None:
    venue = Venue()
    venue.order("alice", "buy", "1", "100.01", client_order_id=7)
    venue.apply(SetInstruments([BTC.to_rules()], venue.now_us))
    (refused,) = venue.order("alice", "buy", "1", "100.01", client_order_id=7)
    assert isinstance(refused, Refused)
    assert refused.error_type == 1
    venue.disable("BTC_USD")
    (refused,) = venue.order("alice", "buy", "1", "100.01", client_order_id=8)
    assert isinstance(refused, Refused)
    assert refused.error_type == 2


def test_open_orders_stay_and_are_filled_when_the_rules_change() -> None:
    venue = Venue()
    venue.order("alice", "buy", "0.005", "100.01")
    venue.apply(SetInstruments([BTC.to_rules()], venue.now_us))
    assert venue.book() == ([("100.01", "0.005")], [])
    assert fills(venue.order("bob", "sell", "0.1", "100")) == [(1, "0.005", "100.01")]
    assert venue.book() == ([], [("100", "0.095")])


def test_the_rules_are_published_for_all_pairs() -> None:
    venue = Venue(trade_pairs=["BTC_USD", "ETH_USD"])
    eth = cp.Instrument("ETH_USD", tick_size="0.1")
    (output,) = venue.apply(SetInstruments([eth.to_rules()], venue.now_us))
    assert output == Public(cp.TradingRules([cp.Instrument("BTC_USD").to_rules(), eth.to_rules()]))
    assert venue.engine.instruments == (eth,)
    venue.apply(SetInstruments([BTC.to_rules()], venue.now_us))
    assert venue.engine.instruments == (BTC,), "the whole set is replaced"


def test_a_snapshot_keeps_the_rules() -> None:
    venue = ruled(BTC)
    raw = venue.engine.snapshot()
    restored = Engine.restore(raw)
    assert restored.instruments == (BTC,)
    assert restored.snapshot() == raw


def test_a_snapshot_from_before_there_were_rules_can_be_read() -> None:
    older: dict[str, Any] = msgspec.json.decode(Venue().engine.snapshot()) | {"version": 2}
    del older["instruments"]
    assert Engine.restore(msgspec.json.encode(older)).instruments == ()


def test_damaged_rules_in_a_snapshot_are_refused() -> None:
    raw = ruled(BTC).engine.snapshot()
    assert b'"tick_size":"0.05"' in raw
    with pytest.raises(cp.DecodeError, match="contradicts itself: BTC_USD: tick_size"):
        Engine.restore(raw.replace(b'"tick_size":"0.05"', b'"tick_size":"-0.05"'))


def test_the_command_survives_json() -> None:
    command = SetInstruments([BTC.to_rules(), cp.Instrument("ETH_USD").to_rules()], 5)
    assert msgspec.json.decode(msgspec.json.encode(command), type=Command) == command
