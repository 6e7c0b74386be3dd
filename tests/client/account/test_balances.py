"""Balances: what events tell, what can be worked out, and what comparing corrects."""

from __future__ import annotations

from decimal import Decimal

import pytest

from cryptoproto.client.account.account import Account
from cryptoproto.client.account.balances import BalanceDifference, BalanceTable
from cryptoproto.messages import Balance, OrderNotFound, OwnTrade, SetBalance, UserBalanceResponse
from tests.support.told import feed, told

TIME = (1, 0)


def moved(currency: str, balance: str, change: str, reason: str) -> SetBalance:
    return SetBalance(currency, Decimal(balance), Decimal(change), reason, TIME)


def stated(**balances: tuple[str, str]) -> UserBalanceResponse:
    return UserBalanceResponse(
        1, {currency: Balance(Decimal(free), Decimal(held)) for currency, (free, held) in balances.items()}
    )


def balance(available: str, on_hold: str) -> Balance:
    return Balance(Decimal(available), Decimal(on_hold))


def test_a_bought_order_from_hold_to_receipt() -> None:
    account = Account()
    table = account.balances
    table.adopt(stated(USD=("1000", "0")))
    feed(account, moved("USD", "900", "-100", "on_hold"))
    assert table.get("USD") == balance("900", "100")
    # Bought at 0.33333333 x 3.00000001 = 0.9999999933333333, of which the exchange rounds down.
    trade = OwnTrade(1, "BTC_USD", Decimal("3.00000001"), Decimal("0.33333333"), False, False, TIME)
    feed(account, trade)
    assert table.get("USD") == balance("900", "99.00000001")
    feed(account, moved("BTC", "3.00000001", "3.00000001", "trade"))
    feed(account, moved("USD", "999.00000001", "99.00000001", "on_hold"))
    assert table.all() == {"USD": balance("999.00000001", "0"), "BTC": balance("3.00000001", "0")}


def test_a_sold_order_pays_from_its_hold() -> None:
    account = Account()
    table = account.balances
    feed(account, moved("BTC", "8", "-2", "on_hold"))
    feed(account, OwnTrade(1, "BTC_USD", Decimal(2), Decimal(5), False, True, TIME))
    feed(account, moved("USD", "10", "10", "trade"))
    assert table.all() == {"BTC": balance("8", "0"), "USD": balance("10", "0")}


@pytest.mark.parametrize("reason", ["trade", "transfer", "withdraw", "something new"])
def test_other_reasons_do_not_change_what_is_held(reason: str) -> None:
    account = Account()
    table = account.balances
    table.adopt(stated(USD=("10", "5")))
    feed(account, moved("USD", "7", "-3", reason))
    assert table.get("USD") == balance("7", "5")


def test_what_was_taken_in_already_is_ignored() -> None:
    account = Account()
    event = moved("USD", "900", "-100", "on_hold")
    account.apply([told(3, event), told(3, event), told(2, moved("USD", "0", "-900", "withdraw"))])
    account.apply([told(4, OrderNotFound(1)), told(3, event)])
    assert account.balances.get("USD") == balance("900", "100")
    assert account.position == 4


def test_comparing_reports_and_corrects() -> None:
    table = BalanceTable()
    assert table.adopt(stated(USD=("10", "1"), BTC=("1", "0"))) == []
    assert table.adopt(stated(USD=("10", "2"), BTC=("3", "0"), ETH=("5", "0"))) == [
        BalanceDifference("USD", balance("10", "1"), balance("10", "2")),
        BalanceDifference("BTC", balance("1", "0"), balance("3", "0")),
    ]
    assert table.get("USD") == balance("10", "2")
    assert table.get("ETH") == balance("5", "0")


def test_holds_from_before_a_restart_are_no_difference() -> None:
    account = Account()
    table = account.balances
    feed(account, moved("USD", "60", "50", "on_hold"))  # released; it was held before this table began
    assert table.get("USD") == balance("60", "0")
    assert table.adopt(stated(USD=("60", "20"))) == []
    assert table.get("USD") == balance("60", "20")
