"""Samples of every message: what the vectors mean, and strategies that build any message."""

from __future__ import annotations

import decimal
import json
from decimal import Decimal
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import strategies as st

from cryptoproto.messages import (
    AnonymousTrade,
    Balance,
    BuyOrderAmountChanged,
    BuyOrderCancelled,
    BuyOrderClosed,
    BuyOrderPlaced,
    CancelAllOrders,
    CancelOrder,
    ClientMessage,
    DepositTransactionAccepted,
    InstrumentRules,
    InsufficientFunds,
    Message,
    OpenOrder,
    OpenOrders,
    OrderBookAgg,
    OrderNotFound,
    OwnTrade,
    PlaceBuyFoKOrder,
    PlaceBuyIoCOrder,
    PlaceBuyLimitOrder,
    PlaceOrder,
    PlaceSellFoKOrder,
    PlaceSellIoCOrder,
    PlaceSellLimitOrder,
    Request,
    SellOrderAmountChanged,
    SellOrderCancelled,
    SellOrderClosed,
    SellOrderPlaced,
    SetBalance,
    TradesDisabledOnPairs,
    TradesEnabledOnPairs,
    TradingRules,
    TransactionInfo,
    UserBalanceRequest,
    UserBalanceResponse,
    UserOrdersRequest,
    UserOrdersResponse,
    WithdrawalTransactionAccepted,
    decode,
    decode_client_message,
    decode_request,
)
from cryptoproto.messages.codec import _FROM_SERVER
from tests.support.wire_oracle import vectors

D = Decimal
BIG = 4611686018427387904
WHEN = (1700000000, 123456)
ORDER: dict[str, Any] = {"order_id": BIG, "client_order_id": 7, "trade_pair": "BTC_USD", "time": WHEN}
PLACED: dict[str, Any] = ORDER | {"price": D("50000.10"), "initial_amount": D("2.00000000"), "amount": D("0.00000001")}
PLACE: dict[str, Any] = {
    "trade_pair": "BTC_USD",
    "amount": D("1.50000000"),
    "price": D("0.00000001"),
    "client_order_id": 123,
    "ttl": 60,
}
INFO = TransactionInfo("bc1q000", ["aa", "bb"])
BALANCE: dict[str, Any] = {"currency": "USD", "balance": D("999.5"), "change": D("-0.00000001"), "time": WHEN}
TRANSFER: dict[str, Any] = {"currency": "BTC", "amount": D("0.1"), "transaction_info": INFO, "time": WHEN}

# What each of vectors/messages.json means, in its order.
MEANINGS: list[Message] = [
    PlaceBuyLimitOrder(**PLACE),
    PlaceSellLimitOrder(**PLACE),
    PlaceBuyFoKOrder(**PLACE),
    PlaceSellFoKOrder(**PLACE),
    PlaceBuyIoCOrder(**PLACE),
    PlaceSellIoCOrder(**PLACE),
    PlaceBuyLimitOrder("BTC_USD", 1, "98765432109876543210.12345678"),
    CancelOrder(BIG),
    CancelAllOrders(),
    UserOrdersRequest(),
    UserBalanceRequest(),
    UserOrdersResponse(
        {
            "BTC_USD": OpenOrders(
                buy=[OpenOrder(1, D("0.10000000"), D("50000.5"), 7), OpenOrder(2, D(2), D("1E-8"))],
            ),
            "ETH_BTC": OpenOrders(sell=[OpenOrder(3, D("12345678901234567890.12345678"), D(1), 8)]),
        }
    ),
    UserOrdersResponse({}),
    UserBalanceResponse(1234, {"BTC": Balance(D("0.00000001"), D(0)), "USD": Balance(D("1000000.00"), D("12.50"))}),
    BuyOrderPlaced(**PLACED),
    SellOrderPlaced(**PLACED),
    BuyOrderPlaced(
        order_id=1,
        trade_pair="BTC_USD",
        time=(0, 0),
        price=D(1),
        initial_amount=D(2),
        amount=D(0),
        closed_inline=True,
    ),
    BuyOrderAmountChanged(**ORDER, amount=D("0.5"), fee=D("0.00000100")),
    SellOrderAmountChanged(**ORDER, amount=D("0.5"), fee=D("0.00000100")),
    BuyOrderCancelled(**ORDER),
    BuyOrderClosed(**ORDER),
    SellOrderCancelled(**ORDER),
    SellOrderClosed(**ORDER),
    OrderNotFound(99),
    OwnTrade(**ORDER, amount=D("0.25"), price=D("50000.01"), maker=True, maker_buy=False),
    *(SetBalance(**BALANCE, reason=reason) for reason in ("trade", "on_hold", "transfer", "withdraw")),
    InsufficientFunds(5, "USD"),
    DepositTransactionAccepted(**TRANSFER),
    WithdrawalTransactionAccepted(**TRANSFER),
    TradesDisabledOnPairs(["BTC_USD", "ETH_BTC"]),
    TradesEnabledOnPairs([]),
    OrderBookAgg("BTC_USD", 12, {D("49999.9"): D("1.5"), D("1E-8"): D(7)}, {D(50000): D("0.00000001")}),
    AnonymousTrade("BTC_USD", 12, D("0.5"), D("50000.01"), maker_buy=True, time=(1700000000, 123)),
    TradingRules(
        [
            InstrumentRules("BTC_USD", D("0.01"), D("0.0001"), D("0.001"), D(10), max_amount=D(1000)),
            InstrumentRules("ETH_BTC", D("1E-8"), D("1E-8"), D("1E-8"), D("1E-8")),
        ]
    ),
]
CASES = [
    pytest.param(entry, meaning, id=f"{number} {entry['type']}")
    for number, (entry, meaning) in enumerate(zip(vectors("messages"), MEANINGS, strict=True))
]


def read(sender: str, raw: bytes) -> object:
    """*raw* as the one reads it for whom it is meant."""
    if sender == "client":
        return decode_client_message(raw)
    return decode_request(raw) if sender == "client_rpc" else decode(raw)


def kinds(union: object) -> set[type[Message]]:
    return set(get_args(union))


ALL_KINDS = kinds(ClientMessage) | kinds(Request) | kinds(_FROM_SERVER.type)


def approved(entry: dict[str, str]) -> Any:
    return json.loads(entry["json"])


def digits(value: object) -> Any:
    """What the vectors' amounts are as Decimals, exponents and all, for a comparison of more than the value."""
    if isinstance(value, Decimal):
        return value.as_tuple()
    if isinstance(value, msgspec.Struct):
        return {name: digits(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, dict):
        return {digits(key): digits(item) for key, item in value.items()}
    return [digits(item) for item in value] if isinstance(value, list | tuple) else value


ORDERS = [
    PlaceBuyLimitOrder,
    PlaceSellLimitOrder,
    PlaceBuyFoKOrder,
    PlaceSellFoKOrder,
    PlaceBuyIoCOrder,
    PlaceSellIoCOrder,
]


class Odd:
    def __repr__(self) -> str:
        return "<something odd>"


AMOUNTS = st.one_of(
    st.integers(-(10**30), 10**30).map(lambda units: Decimal(units).scaleb(-8, decimal.Context(prec=60))),
    st.builds(
        lambda sign, number, exponent: D((sign, number, exponent)),
        *(
            st.integers(0, 1),
            st.lists(st.integers(0, 9), min_size=1, max_size=40).map(tuple),
            st.integers(-60, 60),
        ),
    ),
    st.sampled_from([D("0E-8"), D("1E-8"), D("-1E-8"), D("-0"), D("1E+60"), D("0E+5")]),
)
POSITIVE = AMOUNTS.map(Decimal.copy_abs).filter(bool)
IN_UNITS = st.integers(1, 10**30).map(lambda units: Decimal(units).scaleb(-8, decimal.Context(prec=60)))
INT64 = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
TIMES = st.tuples(st.integers(0, 10**11 - 1), st.integers(0, 999_999))
MILLISECONDS = st.tuples(st.integers(0, 10**11 - 1), st.integers(0, 999))
CLIENT_IDS = st.none() | INT64
LEVELS = st.dictionaries(POSITIVE, AMOUNTS, max_size=4)
OPEN_ORDERS = st.lists(st.builds(OpenOrder, INT64, AMOUNTS, AMOUNTS, CLIENT_IDS), max_size=3)

FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "order_id": INT64,
    "current_order_id": INT64,
    "client_order_id": CLIENT_IDS,
    "trade_pair": TEXT,
    "currency": TEXT,
    "reason": TEXT,
    "time": TIMES,
    "price": AMOUNTS,
    "amount": AMOUNTS,
    "initial_amount": AMOUNTS,
    "fee": AMOUNTS,
    "balance": AMOUNTS,
    "change": AMOUNTS,
    "closed_inline": st.booleans(),
    "maker": st.booleans(),
    "maker_buy": st.booleans(),
    "trade_pairs": st.lists(TEXT, max_size=3),
    "instruments": st.lists(
        st.builds(InstrumentRules, TEXT, *[AMOUNTS] * 4, max_amount=st.none() | AMOUNTS, max_value=st.none() | AMOUNTS),
        max_size=3,
    ),
    "transaction_info": st.builds(TransactionInfo, TEXT, st.lists(TEXT, max_size=3)),
    "buy_levels": LEVELS,
    "sell_levels": LEVELS,
    "account_id": INT64 | TEXT,
    "balances": st.dictionaries(TEXT, st.builds(Balance, AMOUNTS, AMOUNTS), max_size=3),
    "order_books": st.dictionaries(TEXT, st.builds(OpenOrders, OPEN_ORDERS, OPEN_ORDERS), max_size=3),
    "ttl": st.integers(0, 2**63 - 1),
}


def strategy(kind: type[Message]) -> st.SearchStrategy[Message]:
    fields = {name: FIELDS[name] for name in kind.__struct_fields__}
    if issubclass(kind, PlaceOrder):
        fields |= {"amount": IN_UNITS, "price": IN_UNITS}
    if kind is AnonymousTrade:
        fields["time"] = MILLISECONDS
    return st.builds(kind, **fields)


SERVER_KINDS = sorted(kinds(_FROM_SERVER.type), key=lambda kind: kind.__name__)
CLIENT_KINDS = sorted(kinds(ClientMessage), key=lambda kind: kind.__name__)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
