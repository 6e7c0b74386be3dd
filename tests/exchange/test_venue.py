"""The venue: messages in, records and callbacks out."""

from __future__ import annotations

import pytest

import cryptoproto as cp
from cryptoproto.exchange.commands import Deposit, EnablePairs
from cryptoproto.exchange.engine import Engine
from cryptoproto.exchange.ledger import ClientRecord, MemoryLedger
from cryptoproto.exchange.venue import Venue
from cryptoproto.messages import Message


class Heard:
    """A venue with alice, and what it called back."""

    def __init__(self, key: cp.PublicKey) -> None:
        self.private: list[ClientRecord] = []
        self.public: list[tuple[Message, bool]] = []
        self.venue = Venue(
            Engine(),
            MemoryLedger(),
            lambda: 1_000,
            on_private=self.private.append,
            on_public=lambda message, broadcast: self.public.append((message, broadcast)),
        )
        self.venue.register("alice", key, {"USD": "100"})


@pytest.fixture
def heard(alice_key: cp.PrivateKey) -> Heard:
    return Heard(alice_key.public_key)


def test_events_wake_the_client_once_and_broadcasts_go_to_everybody(heard: Heard) -> None:
    assert heard.private == []
    order = b'{"@type":"PlaceBuyLimitOrder","trade_pair":"BTC_USD","amount":"1","price":"10"}'
    assert heard.venue.submit("alice", 1, order) is None
    assert heard.private == [heard.venue.client("alice")]
    heard.venue.operate(EnablePairs(["BTC_USD"], heard.venue.now_us()))
    assert heard.public == [], "nothing changed"


def test_a_message_that_is_refused_counts_as_seen(heard: Heard, bob_key: cp.PrivateKey) -> None:
    for sequence, payload in (
        (1, b"{"),
        (2, b'{"@type":"PlaceBuyLimitOrder","trade_pair":"X","amount":"1","price":"1"}'),
    ):
        refused = heard.venue.submit("alice", sequence, payload)
        assert refused is not None
        assert refused.error_type == 2
        record = heard.venue.client("alice")
        assert record is not None
        assert record.last_sequence == sequence
        assert record.history == []


def test_registering_again(heard: Heard, alice_key: cp.PrivateKey, bob_key: cp.PrivateKey) -> None:
    heard.venue.register("alice", alice_key.public_key, {"USD": "5"})
    assert heard.venue.engine.totals() == {"USD": 100}
    with pytest.raises(cp.ConfigurationError, match="is registered with another key"):
        heard.venue.register("alice", bob_key.public_key, {})
    with pytest.raises(cp.ConfigurationError, match="must be zero or more"):
        heard.venue.register("bob", bob_key.public_key, {"USD": "-1"})
    assert heard.venue.client("bob") is None


def test_what_the_operator_cannot_do_changes_nothing(heard: Heard) -> None:
    for command, words in (
        (Deposit("nobody", "USD", "1", "", [], 0), "unknown client 'nobody'"),
        (Deposit("alice", "USD", "1", "\ud800", [], 0), "cannot be encoded as UTF-8"),
    ):
        with pytest.raises(cp.ConfigurationError, match=words):
            heard.venue.operate(command)
    assert heard.venue.engine.totals() == {"USD": 100}
    assert heard.private == []


def test_requests(heard: Heard) -> None:
    assert isinstance(heard.venue.request("alice", b'{"@type":"UserBalanceRequest"}'), cp.UserBalanceResponse)
    assert isinstance(heard.venue.request("alice", b'{"@type":"UserOrdersRequest"}'), cp.UserOrdersResponse)
    with pytest.raises(cp.DecodeError):
        heard.venue.request("alice", b"[]")
