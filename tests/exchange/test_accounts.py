"""Accounts: opening them, moving money, holds to the last unit, fees."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.exchange.commands import Deposit, Private, Refused, Register, Withdraw
from cryptoproto.exchange.engine import Engine
from cryptoproto.messages import (
    Balance,
    DepositTransactionAccepted,
    SetBalance,
    TransactionInfo,
    UserBalanceResponse,
    WithdrawalTransactionAccepted,
)
from tests.support.venue import START_US, Venue, fills, story

TIME = divmod(START_US, 1_000_000)


def test_opening_accounts() -> None:
    engine = Engine()
    assert engine.apply(Register("alice", {"USD": "10.5", "BTC": Decimal(2), "ETH": 0}, 0)) == []
    assert engine.apply(Register("bob", {}, 0)) == []
    assert engine.client_ids == ("alice", "bob")
    assert engine.balances("alice") == UserBalanceResponse(
        account_id=1,
        balances={
            "USD": Balance(Decimal("10.5"), Decimal(0)),
            "BTC": Balance(Decimal(2), Decimal(0)),
            "ETH": Balance(Decimal(0), Decimal(0)),
        },
    )
    assert engine.balances("bob") == UserBalanceResponse(account_id=2, balances={})
    assert engine.totals() == {"USD": Decimal("10.5"), "BTC": Decimal(2), "ETH": Decimal(0)}


def test_registering_a_known_client_changes_nothing() -> None:
    venue = Venue()
    assert venue.apply(Register("alice", {"USD": "5", "LTC": "-1"}, START_US)) == []
    assert venue.funds("alice") == {"USD": ("1000000", "0"), "BTC": ("100", "0")}


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("-1", "balance of USD=-1 must be zero or more"),
        ("0.000000001", "balance of USD=1E-9 has more than 8 decimals"),
        ("1e19", "balance of USD=1E+19 is too large: the maximum is 10**18"),
        ("-1e99", "balance of USD=-1E+99 must be zero or more"),
        ("nan", "balance of USD=NaN is not a finite number"),
    ],
)
def test_an_account_with_an_impossible_balance_is_not_opened(amount: str, text: str) -> None:
    engine = Engine()
    assert engine.apply(Register("alice", {"BTC": "1", "USD": amount}, 0)) == [Refused("alice", 2, text)]
    assert engine.client_ids == ()


def test_what_is_no_exact_number_is_refused_at_the_door() -> None:
    wrong: Any
    for wrong in (1.5, True, None, "many"):
        with pytest.raises(cp.ConfigurationError, match="USD="):
            Register("alice", {"USD": wrong}, 0)
        with pytest.raises(cp.ConfigurationError, match="amount="):
            Deposit("alice", "USD", wrong, "", [], 0)
        with pytest.raises(cp.ConfigurationError, match="amount="):
            Withdraw("alice", "USD", wrong, "", [], 0)


def test_deposit() -> None:
    venue = Venue()
    outputs = venue.apply(Deposit("alice", "LTC", "1.25", "address", ["tx1", "tx2"], START_US))
    info = TransactionInfo("address", ["tx1", "tx2"])
    assert outputs == [
        Private("alice", DepositTransactionAccepted("LTC", Decimal("1.25"), info, TIME)),
        Private("alice", SetBalance("LTC", Decimal("1.25"), Decimal("1.25"), "transfer", TIME)),
    ]
    assert venue.engine.totals()["LTC"] == Decimal("1.25")


def test_withdrawal() -> None:
    venue = Venue()
    venue.order("alice", "buy", "1", "400000")
    outputs = venue.apply(Withdraw("alice", "USD", "600000", "address", [], START_US))
    assert outputs == [
        Private("alice", WithdrawalTransactionAccepted("USD", Decimal(600_000), TransactionInfo("address", []), TIME)),
        Private("alice", SetBalance("USD", Decimal(0), Decimal(-600_000), "withdraw", TIME)),
    ]
    # What is on hold cannot leave.
    assert story(venue.apply(Withdraw("alice", "USD", "0.00000001", "", [], START_US))) == [
        "alice refused -1: cannot withdraw 0.00000001 USD: 0.00000000 are available"
    ]
    assert story(venue.apply(Withdraw("alice", "LTC", "1", "", [], START_US))) == [
        "alice refused -1: cannot withdraw 1.00000000 LTC: 0.00000000 are available"
    ]
    assert venue.funds("alice") == {"USD": ("0", "400000"), "BTC": ("100", "0")}


@pytest.mark.parametrize("command", [Deposit, Withdraw])
def test_transfers_that_cannot_be(command: type[Deposit | Withdraw]) -> None:
    venue = Venue()
    for amount, text in (("0", "must be greater than zero"), ("-1", "must be greater"), ("1e-9", "8 decimals")):
        assert text in story(venue.apply(command("alice", "USD", amount, "", [], START_US)))[0]
    assert venue.apply(command("nobody", "USD", "1", "", [], START_US)) == [
        Refused("nobody", -1, "unknown client 'nobody'")
    ]
    assert venue.engine.totals() == {"USD": Decimal(2_000_000), "BTC": Decimal(200)}


def test_fees_are_kept_back_from_what_is_received() -> None:
    venue = Venue(maker_fee=Decimal("0.001"), taker_fee=Decimal("0.0025"))
    venue.order("bob", "sell", "1", "333.33333333")
    assert story(venue.order("alice", "buy", "0.33333333", "400"))[1:-2] == [
        "bob OwnTrade order_id=1 amount=0.33333333 price=333.33333333 maker",
        "bob SellOrderAmountChanged order_id=1 amount=0.66666667 fee=0.1111111",
        "bob SetBalance currency=USD balance=1000110.99999889 change=110.99999889 reason=trade",
        "alice OwnTrade order_id=2 amount=0.33333333 price=333.33333333",
        "alice BuyOrderAmountChanged order_id=2 amount=0 fee=0.00083333",
        "alice SetBalance currency=BTC balance=100.3325 change=0.3325 reason=trade",
        "alice SetBalance currency=USD balance=999888.88889001 change=22.22222201 reason=on_hold",
    ]
    assert venue.engine.collected_fees == {"USD": Decimal("0.11111110"), "BTC": Decimal("0.00083333")}
    assert venue.engine.totals() == {"USD": Decimal(2_000_000), "BTC": Decimal(200)}


def test_a_fee_below_the_smallest_amount_is_zero() -> None:
    venue = Venue(maker_fee=Decimal("0.99999999"))
    venue.order("bob", "sell", "1", "0.00000001")
    assert "fee=0" in story(venue.order("alice", "buy", "1", "0.00000001"))[2]
    assert venue.engine.collected_fees == {}


def test_holds_are_exact_to_the_last_unit() -> None:
    """A third of a coin three times at a price with eight decimals: each part is rounded down, and so is the whole."""
    venue = Venue()
    venue.order("alice", "buy", "1", "0.99999999")
    assert venue.funds("alice")["USD"] == ("999999.00000001", "0.99999999")
    assert story(venue.order("bob", "sell", "0.33333333", "0.5"))[1:5] == [
        "alice OwnTrade order_id=1 amount=0.33333333 price=0.99999999 maker maker_buy",
        "alice BuyOrderAmountChanged order_id=1 amount=0.66666667 fee=0",
        "alice SetBalance currency=BTC balance=100.33333333 change=0.33333333 reason=trade",
        # 0.99999999 held, 0.33333332 paid, 0.66666666 needed from now on
        "alice SetBalance currency=USD balance=999999.00000002 change=0.00000001 reason=on_hold",
    ]
    assert venue.funds("alice")["USD"] == ("999999.00000002", "0.66666666")
    assert fills(venue.order("bob", "sell", "0.66666667", "0.5")) == [(1, "0.66666667", "0.99999999")]
    assert venue.funds("alice") == {"USD": ("999999.00000002", "0"), "BTC": ("101", "0")}
    assert venue.funds("bob") == {"USD": ("1000000.99999998", "0"), "BTC": ("99", "0")}


def test_balances_beyond_64_bits() -> None:
    venue = Venue(balances={"alice": {"USD": "1e18"}, "bob": {"BTC": "1e18"}})
    for _ in range(3):
        venue.apply(Deposit("alice", "USD", "1e18", "", [], START_US))
    venue.order("alice", "buy", "1e18", "1")
    venue.order("bob", "sell", "1e18", "1")
    assert venue.funds("bob") == {"BTC": ("0", "0"), "USD": ("1000000000000000000", "0")}
    assert venue.funds("alice")["USD"] == ("3000000000000000000", "0")
    assert Engine.restore(venue.engine.snapshot()).balances("alice") == venue.engine.balances("alice")
