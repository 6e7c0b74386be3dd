"""Snapshots of an engine, whole and damaged."""

from __future__ import annotations

from decimal import Decimal

import pytest

import cryptoproto as cp
from cryptoproto.exchange.commands import LimitOpenOrders
from cryptoproto.exchange.engine import Engine
from tests.support.venue import Venue, fills


@pytest.mark.parametrize(
    "raw", [b"", b"{}", b"[]", b"\xff", b'{"version": "1"}', b'{"version":1}', b'{"x":' + b"[" * 5000]
)
def test_rubbish_is_no_snapshot(raw: bytes) -> None:
    with pytest.raises(cp.DecodeError, match="this is not a snapshot of an exchange"):
        Engine.restore(raw)


@pytest.mark.parametrize(
    ("part", "other"),
    [
        (b'[1,"alice","BTC_USD"', b'[1,"carol","BTC_USD"'),
        (b'[1,"alice","BTC_USD"', b'[1,"alice","BTC_JPY"'),
        (b'{"USD":', b'{"EUR":'),
        (b'"maker_fee":0', b'"maker_fee":100000000'),
        (b'"BTC_EUR"]', b'"BTC_USD"]'),
        (b'"maker_fee":0', b'"maker_fee":' + b"1" * 200),
    ],
)
def test_a_damaged_snapshot_is_refused(part: bytes, other: bytes) -> None:
    venue = Venue()
    venue.order("alice", "buy", "1", "100")
    raw = venue.engine.snapshot()
    assert part in raw
    with pytest.raises(cp.DecodeError, match="the snapshot contradicts itself"):
        Engine.restore(raw.replace(part, other))


def test_a_snapshot_of_another_version_is_refused() -> None:
    raw = Engine().snapshot().replace(b'"version":3', b'"version":4')
    with pytest.raises(cp.DecodeError, match="has version 4; this package reads versions 2 and 3"):
        Engine.restore(raw)


def test_a_snapshot_keeps_the_rules_of_its_exchange() -> None:
    venue = Venue(trade_pairs=["BTC_USD", "X_Y"], maker_fee=Decimal("0.001"), taker_fee=Decimal("0.002"))
    venue.disable("X_Y")
    venue.apply(LimitOpenOrders(9, venue.now_us))
    venue.order("alice", "buy", "1", "100", client_order_id=3)
    venue.engine = Engine.restore(venue.engine.snapshot())
    assert venue.engine.trade_pairs == ("BTC_USD", "X_Y")
    assert venue.engine.disabled_pairs == ("X_Y",)
    assert venue.engine.max_open_orders == 9
    assert fills(venue.order("bob", "sell", "1", "100")) == [(1, "1", "100")]
    assert venue.engine.collected_fees == {"BTC": Decimal("0.001"), "USD": Decimal("0.2")}


def test_two_orders_with_one_id_are_refused() -> None:
    venue = Venue()
    venue.order("alice", "buy", "1", "100", ttl=60)
    venue.order("alice", "buy", "1", "100", ttl=60)
    raw = venue.engine.snapshot()
    assert b'[2,"alice"' in raw
    with pytest.raises(cp.DecodeError, match="the snapshot contradicts itself: two orders have the same id"):
        Engine.restore(raw.replace(b'[2,"alice"', b'[1,"alice"'))
