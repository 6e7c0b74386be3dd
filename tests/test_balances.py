"""Balances: what events tell, what can be worked out, and what comparing corrects."""

from __future__ import annotations

from decimal import Decimal

import pytest

from cryptoproto.client.balances import BalanceDifference, BalanceTable
from cryptoproto.messages import Balance, OrderNotFound, OwnTrade, SetBalance, UserBalanceResponse

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
    table = BalanceTable()
    table.adopt(stated(USD=("1000", "0")))
    assert table.apply(1, moved("USD", "900", "-100", "on_hold")) == "USD"
    assert table.get("USD") == balance("900", "100")
    # Bought at 0.33333333 x 3.00000001 = 0.9999999933333333, of which the exchange rounds down.
    trade = OwnTrade(1, "BTC_USD", Decimal("3.00000001"), Decimal("0.33333333"), False, False, TIME)
    assert table.apply(2, trade) == "USD"
    assert table.get("USD") == balance("900", "99.00000001")
    assert table.apply(3, moved("BTC", "3.00000001", "3.00000001", "trade")) == "BTC"
    table.apply(4, moved("USD", "999.00000001", "99.00000001", "on_hold"))
    assert table.all() == {"USD": balance("999.00000001", "0"), "BTC": balance("3.00000001", "0")}


def test_a_sold_order_pays_from_its_hold() -> None:
    table = BalanceTable()
    table.apply(1, moved("BTC", "8", "-2", "on_hold"))
    assert table.apply(2, OwnTrade(1, "BTC_USD", Decimal(2), Decimal(5), False, True, TIME)) == "BTC"
    table.apply(3, moved("USD", "10", "10", "trade"))
    assert table.all() == {"BTC": balance("8", "0"), "USD": balance("10", "0")}


@pytest.mark.parametrize("reason", ["trade", "transfer", "withdraw", "something new"])
def test_other_reasons_do_not_change_what_is_held(reason: str) -> None:
    table = BalanceTable()
    table.adopt(stated(USD=("10", "5")))
    table.apply(1, moved("USD", "7", "-3", reason))
    assert table.get("USD") == balance("7", "5")


def test_what_was_applied_already_is_ignored() -> None:
    table = BalanceTable()
    event = moved("USD", "900", "-100", "on_hold")
    assert table.apply(3, event) == "USD"
    assert table.apply(3, event) is None
    assert table.apply(2, moved("USD", "0", "-900", "withdraw")) is None
    assert table.apply(4, OrderNotFound(1)) is None
    assert table.get("USD") == balance("900", "100")
    assert table.position == 4


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
    table = BalanceTable()
    table.apply(8, moved("USD", "60", "50", "on_hold"))  # released; it was held before this table began
    assert table.get("USD") == balance("60", "0")
    assert table.adopt(stated(USD=("60", "20"))) == []
    assert table.get("USD") == balance("60", "20")


def test_a_statement_that_is_older_than_an_event() -> None:
    table = BalanceTable()
    table.adopt(stated(USD=("10", "0"), BTC=("1", "0")))
    table.apply(5, moved("USD", "4", "-6", "on_hold"))
    assert table.adopt(stated(USD=("10", "0"), BTC=("2", "0")), as_of=4) == [
        BalanceDifference("BTC", balance("1", "0"), balance("2", "0"))
    ]
    assert table.get("USD") == balance("4", "6")
