"""Requests and their responses."""

from __future__ import annotations

from decimal import Decimal

from cryptoproto.messages import Balance, OpenOrder, OpenOrders, UserBalanceResponse, UserOrdersResponse, decode


def test_open_orders_by_pair_and_side() -> None:
    response = decode(
        b'{"@type":"UserOrdersResponse","order_books":{"A_B":{"buy":[{"order_id":1,"amount":"2","price":3}]},"C_D":{}}}'
    )
    order = OpenOrder(1, Decimal(2), Decimal(3), None)
    assert response == UserOrdersResponse({"A_B": OpenOrders(buy=[order], sell=[]), "C_D": OpenOrders([], [])})


def test_sides_that_are_missing_are_not_shared() -> None:
    assert OpenOrders().buy is not OpenOrders().buy


def test_an_account_id_is_a_number_or_a_text() -> None:
    for written, account_id in ((b"7", 7), (b'"seven"', "seven")):
        raw = b'{"@type":"UserBalanceResponse","account_id":%s,"balances":{"A":{"available":"1","on_hold":"0.5"}}}'
        assert decode(raw % written) == UserBalanceResponse(account_id, {"A": Balance(Decimal(1), Decimal("0.5"))})
