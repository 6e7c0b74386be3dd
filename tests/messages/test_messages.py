"""Typed messages: from the documented JSON and back, exact, and strict where it matters."""

from __future__ import annotations

import decimal
import gc
import json
import types
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cryptoproto as cp
from cryptoproto import messages
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
    TransactionInfo,
    Unknown,
    UserBalanceRequest,
    UserBalanceResponse,
    UserOrdersRequest,
    UserOrdersResponse,
    WithdrawalTransactionAccepted,
    decode,
    decode_client_message,
    decode_request,
    encode,
    exact,
    loads,
    plain,
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

# ---------------------------------------------------------------------------------------------- the documented JSON


def test_every_message_has_a_vector() -> None:
    assert {type(meaning) for meaning in MEANINGS} == ALL_KINDS
    exported = {getattr(messages, name) for name in messages.__all__}
    assert {kind for kind in exported if isinstance(kind, type) and issubclass(kind, Message)} >= ALL_KINDS


@pytest.mark.parametrize(("entry", "meaning"), CASES)
def test_documented_json(entry: dict[str, str], meaning: Message) -> None:
    raw = entry["json"].encode()
    read_message = read(entry["sender"], raw)
    assert type(read_message) is type(meaning)
    assert read_message == meaning
    with_numbers = entry.get("json_with_numbers", entry["json"]).encode()
    assert read(entry["sender"], with_numbers) == meaning
    # Out again: the same JSON, though keys may stand in another order.
    assert json.loads(encode(meaning)) == json.loads(encode(read_message)) == approved(entry)
    assert isinstance(read_message, Message)
    assert read_message.payload == approved(entry)
    assert encode(approved(entry)) == json.dumps(approved(entry), separators=(",", ":")).encode()
    assert read(entry["sender"], encode(meaning)) == meaning


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


@pytest.mark.parametrize(("entry", "meaning"), CASES)
def test_amounts_come_digit_by_digit(entry: dict[str, str], meaning: Message) -> None:
    by_string = digits(read(entry["sender"], entry["json"].encode()))
    with_numbers = entry.get("json_with_numbers", entry["json"]).encode()
    assert by_string == digits(read(entry["sender"], with_numbers))


@pytest.mark.parametrize(("entry", "meaning"), CASES)
def test_unknown_fields_are_never_an_error(entry: dict[str, str], meaning: Message) -> None:
    payload = approved(entry) | {"new_in_version_9": {"deep": [1, None, "x", 1.5, True]}}
    assert read(entry["sender"], json.dumps(payload).encode()) == meaning


@pytest.mark.parametrize(("entry", "meaning"), CASES)
def test_a_missing_field_is_a_decode_error(entry: dict[str, str], meaning: Message) -> None:
    optional = {"client_order_id", "ttl", "closed_inline", "fee"}
    for name in approved(entry).keys() - optional - {"@type"}:
        payload = approved(entry)
        del payload[name]
        with pytest.raises(cp.DecodeError, match=name):
            read(entry["sender"], json.dumps(payload).encode())
    for name in approved(entry).keys() & optional:
        payload = approved(entry)
        del payload[name]
        assert type(read(entry["sender"], json.dumps(payload).encode())) is type(meaning)


@pytest.mark.parametrize(("entry", "meaning"), CASES)
def test_a_mistyped_field_is_a_decode_error(entry: dict[str, str], meaning: Message) -> None:
    wrongs: list[object] = [[[]], {"a": 5}, True, "neither a number nor a known word", -1.5]
    for wrong in wrongs:
        for name in approved(entry).keys() - {"@type"}:
            payload = approved(entry) | {name: wrong}
            try:
                message = read(entry["sender"], json.dumps(payload).encode())
            except cp.DecodeError:
                continue
            # What is left are fields of text, and booleans and amounts whose type the value has by chance.
            assert isinstance(wrong, str | bool | float)
            assert getattr(message, name) == (Decimal(str(wrong)) if isinstance(wrong, float) else wrong)


# ---------------------------------------------------------------------------------------------- unknown, malformed


@pytest.mark.parametrize(
    "raw",
    [
        b'{"@type":"BrandNew","amount":0.1,"more":[{"x":null}]}',
        b'{"more":1,"@type":"BrandNew"}',
        b'{"@type":"PlaceBuyLimitOrder","trade_pair":"BTC_USD"}',  # known to servers alone
        b'{"@type":"Unknown"}',
        b'{"@type":"Message"}',
    ],
)
def test_unknown_types_keep_their_payload(raw: bytes) -> None:
    message = decode(raw)
    assert message == Unknown(type=json.loads(raw)["@type"], payload=json.loads(raw))


@pytest.mark.parametrize("raw", [b"{}", b'{"order_id":5}', b'{"@type":""}'])
def test_a_payload_without_a_type(raw: bytes) -> None:
    assert decode(raw) == Unknown(type="", payload=json.loads(raw))


MALFORMED = [
    b"",
    b" ",
    b"null",
    b"1",
    b'"text"',
    b"[]",
    b'[{"@type":"OrderNotFound","order_id":1}]',
    b"{",
    b'{"@type":"OrderNotFound","order_id":1',
    b'{"@type":"OrderNotFound","order_id":1}}',
    b'{"@type":"OrderNotFound","order_id":1} {}',
    b"{'@type':'OrderNotFound','order_id':1}",
    b'{"@type":"OrderNotFound","order_id":NaN}',
    b'{"@type":"OrderNotFound","order_id":Infinity}',
    b'{"@type":"OrderNotFound","order_id":01}',
    b'\xef\xbb\xbf{"@type":"OrderNotFound","order_id":1}',
    b'{"@type":"Order\xffNotFound","order_id":1}',
    b'{"@type":"\\ud800","order_id":1}',
    b'{"@type":5,"order_id":1}',
    b'{"@type":null}',
    b'{"@type":["OrderNotFound"],"order_id":1}',
    b"\0",
    b"\xff\xfe{\0",
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b'{"@type":"OrderNotFound","order_id":1,"x":' + b"[" * 100_000,
    b'{"@type":"New","x":' + b"[" * 2000 + b"]" * 2000 + b"}",
]


@pytest.mark.parametrize("raw", MALFORMED, ids=lambda raw: repr(raw[:30]))
def test_malformed_json(raw: bytes) -> None:
    for reader in (decode, decode_client_message, decode_request):
        with pytest.raises(cp.DecodeError) as caught:
            reader(raw)
        assert type(caught.value) is cp.DecodeError
        assert len(str(caught.value)) < 500


def test_loads_takes_objects_alone() -> None:
    assert loads(b'{"a":[1]}') == {"a": [1]}
    for raw in (b"[]", b"1", b"", b"nope"):
        with pytest.raises(cp.DecodeError, match="malformed"):
            loads(raw)


@pytest.mark.parametrize("raw", [b'{"@type":"BrandNew"}', b"{}", b'{"@type":"UserOrdersResponse","order_books":{}}'])
def test_an_exchange_does_not_take_what_it_does_not_know(raw: bytes) -> None:
    with pytest.raises(cp.DecodeError):
        decode_client_message(raw)
    with pytest.raises(cp.DecodeError):
        decode_request(raw)


# ---------------------------------------------------------------------------------------------- amounts

ORDERS = [
    PlaceBuyLimitOrder,
    PlaceSellLimitOrder,
    PlaceBuyFoKOrder,
    PlaceSellFoKOrder,
    PlaceBuyIoCOrder,
    PlaceSellIoCOrder,
]


@pytest.mark.parametrize("amount", ["1.5", D("1.5"), 2, "0.00000001", "1e-8", D("1E-8"), 10**40, "1E+3", "  3 "])
def test_amounts_as_decimal_string_or_int(amount: cp.AmountLike) -> None:
    for order in ORDERS:
        message = order("BTC_USD", amount, amount)
        assert message.amount == message.price == D(amount)
        assert isinstance(message.amount, Decimal)
        payload = json.loads(encode(message))
        assert payload["amount"] == payload["price"] == f"{D(amount):f}"
        assert "E" not in payload["amount"].upper()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.1, r'=0\.1 is a float, which stands for 0\.1000000000000000055\d+ here; write a string .*"0\.1"'),
        (float("nan"), "is a float"),
        (float("inf"), "is a float"),
        (True, "must be a Decimal, a string or an int, not bool"),
        (None, "not NoneType"),
        (b"1", "not bytes"),
        ("", "is no decimal number"),
        ("one", "is no decimal number"),
        ("1,5", "is no decimal number"),
        ("0x10", "is no decimal number"),
        ("NaN", "must be a finite number greater than zero"),
        ("sNaN", "must be a finite number greater than zero"),
        ("Infinity", "must be a finite number greater than zero"),
        (D("-Infinity"), "must be a finite number greater than zero"),
        (D("NaN"), "must be a finite number greater than zero"),
        (0, "must be a finite number greater than zero"),
        ("0E-8", "must be a finite number greater than zero"),
        (-1, "must be a finite number greater than zero"),
        ("-0.00000001", "must be a finite number greater than zero"),
        ("1E+9999999999999999999999", "is no decimal number"),
    ],
)
def test_amounts_that_are_refused(value: Any, words: str) -> None:
    for order in ORDERS:
        for field in ("amount", "price"):
            fields = {"amount": D(1), "price": D(1)} | {field: value}
            with pytest.raises(cp.ConfigurationError, match=f"{field}.*{words}"):
                order("BTC_USD", **fields)


@pytest.mark.parametrize("ttl", [-1, -60, 1.5, "60", None])
def test_a_ttl_that_is_refused(ttl: Any) -> None:
    for order in ORDERS:
        with pytest.raises(cp.ConfigurationError, match=r"ttl=.* must be 0"):
            order("BTC_USD", 1, 1, ttl=ttl)


@pytest.mark.parametrize("value", ['"NaN"', '"Infinity"', '"0"', "0", "-1", '"x"', "null", "true"])
def test_an_exchange_refuses_the_same_amounts(value: str) -> None:
    raw = f'{{"@type":"PlaceBuyLimitOrder","trade_pair":"BTC_USD","amount":{value},"price":"1","ttl":0}}'
    with pytest.raises(cp.DecodeError):
        decode_client_message(raw.encode())


@pytest.mark.parametrize("order", ORDERS)
def test_what_an_order_always_says_and_what_it_leaves_out(order: type[PlaceOrder]) -> None:
    bare = {"@type": order.__name__, "trade_pair": "BTC_USD", "amount": "1", "price": "2", "ttl": 0}
    assert json.loads(encode(order("BTC_USD", 1, 2))) == order("BTC_USD", 1, 2).payload == bare
    tiny = bare | {"amount": "0.00000001"}  # the other way through the encoder
    assert json.loads(encode(order("BTC_USD", "1E-8", 2))) == order("BTC_USD", "1E-8", 2).payload == tiny
    named = order("BTC_USD", 1, 2, client_order_id=0, ttl=60)
    assert json.loads(encode(named)) == bare | {"client_order_id": 0, "ttl": 60}


def test_zeroes_and_negative_changes_in_plain_digits() -> None:
    message = SetBalance("USD", D("0E-8"), D("-1E-8"), "trade", (0, 0))
    payload = json.loads(encode(message))
    assert (payload["balance"], payload["change"]) == ("0.00000000", "-0.00000001")
    assert decode(encode(message)) == message
    book = OrderBookAgg("A_B", 1, {D("1E-8"): D("0E-8")}, {D("1E+5"): D("1E+2")})
    payload = json.loads(encode(book))
    assert payload["buy_levels"] == {"0.00000001": "0.00000000"}
    assert payload["sell_levels"] == {"100000": "100"}
    assert decode(encode(book)) == book


def test_an_e_in_a_name_is_no_exponent() -> None:
    for pair in ("ETH_EUR", "E-X", "E+X", "1E-8"):
        message = PlaceBuyLimitOrder(pair, "1.5", "1E-7")
        assert json.loads(encode(message))["trade_pair"] == pair
        assert decode_client_message(encode(message)) == message
    event = BuyOrderClosed(order_id=1, trade_pair="E-X", time=(1, 2))
    assert decode(encode(event)) == event


def test_plain() -> None:
    assert [plain(D(text)) for text in ("1E-8", "0E-8", "1E+3", "-1.50", "0")] == [
        "0.00000001",
        "0.00000000",
        "1000",
        "-1.50",
        "0",
    ]


@pytest.mark.parametrize("text", ["1E+1001", "1E-1001", "1E+999999999999999999", "1E-999999999999999999", "-9E+5000"])
def test_numbers_that_would_fill_the_memory_are_not_written_out(text: str) -> None:
    words = "too large or too small to be written in plain digits"
    with pytest.raises(cp.ConfigurationError, match=words):
        plain(D(text))
    for message in (
        PlaceBuyLimitOrder("A_B", D(text).copy_abs(), 1),
        SetBalance("USD", D(1), D(text), "trade", (0, 0)),
        OrderBookAgg("A_B", 1, {D(text): D(1)}, {}),
        {"amount": D(text)},
    ):
        with pytest.raises(cp.ConfigurationError, match=words):
            encode(message)
    # Of an exchange that says such a thing, the message can be read, and its dict cannot be made.
    raw = f'{{"@type":"SetBalance","currency":"USD","balance":"{text}","change":"1","reason":"x","time":[0,0]}}'
    received = decode(raw.encode())
    assert isinstance(received, SetBalance)
    assert received.balance == D(text)
    with pytest.raises(cp.ConfigurationError, match=words):
        _ = received.payload


@pytest.mark.parametrize("spelling", ['"NaN"', '"nan"', '"sNaN"', '"Infinity"', '"-inf"'])
def test_amounts_that_an_exchange_spells_as_words_arrive_as_they_are(spelling: str) -> None:
    """To look for them would cost every event a tenth of its decoding; a Decimal says what it is."""
    raw = f'{{"@type":"SetBalance","currency":"USD","balance":{spelling},"change":"1","reason":"x","time":[0,0]}}'
    message = decode(raw.encode())
    assert isinstance(message, SetBalance)
    assert not message.balance.is_finite()


CONTEXTS = {
    "one digit": decimal.Context(prec=1),
    "one digit, and nothing may be rounded": decimal.Context(
        prec=1, traps=[decimal.Inexact, decimal.Rounded, decimal.FloatOperation, decimal.InvalidOperation]
    ),
    "a narrow range": decimal.Context(prec=3, Emin=-2, Emax=2, traps=[decimal.Overflow, decimal.Underflow]),
    "everything trapped": decimal.Context(
        prec=1,
        traps=[decimal.Clamped, decimal.Subnormal, decimal.Inexact, decimal.Rounded, decimal.InvalidOperation],
    ),
}


@pytest.mark.parametrize("name", list(CONTEXTS))
def test_no_decimal_context_is_read_or_changed(name: str) -> None:
    with decimal.localcontext(CONTEXTS[name]) as context:
        before = repr(context)
        for entry, meaning in zip(vectors("messages"), MEANINGS, strict=True):
            for form in ("json", "json_with_numbers"):
                message = read(entry["sender"], entry.get(form, entry["json"]).encode())
                assert message == meaning
            assert json.loads(encode(meaning)) == meaning.payload == approved(entry)
        order = PlaceBuyLimitOrder("A_B", "123456789.123456789", D("0.000000012345"))
        assert json.loads(encode(order))["amount"] == "123456789.123456789"
        assert json.loads(encode({"x": D("0.000000012345")})) == {"x": "0.000000012345"}
        with pytest.raises(cp.ConfigurationError, match=r"is a float, which stands for 0\.10000000000000000555"):
            exact(0.1, "amount")  # type: ignore[arg-type]
        assert repr(context) == before


def test_a_bad_amount_is_one_error_even_where_nothing_is_trapped() -> None:
    with decimal.localcontext(decimal.Context(traps=[])):
        with pytest.raises(cp.ConfigurationError):
            exact("one", "amount")
        with pytest.raises(cp.DecodeError):
            decode_client_message(b'{"@type":"PlaceBuyLimitOrder","trade_pair":"A_B","amount":"one","price":1,"ttl":0}')


# ---------------------------------------------------------------------------------------------- times


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ((0, 0), datetime(1970, 1, 1, tzinfo=UTC)),
        ((1700000000, 123456), datetime(2023, 11, 14, 22, 13, 20, 123456, tzinfo=UTC)),
        ((1700000000, 999999), datetime(2023, 11, 14, 22, 13, 20, 999999, tzinfo=UTC)),
        ((2**31, 1), datetime(2038, 1, 19, 3, 14, 8, 1, tzinfo=UTC)),
        ((99999999999, 0), datetime(5138, 11, 16, 9, 46, 39, tzinfo=UTC)),
    ],
)
def test_times_are_exact_and_in_utc(time: tuple[int, int], expected: datetime) -> None:
    for message in (
        SetBalance("USD", D(1), D(1), "trade", time),
        DepositTransactionAccepted("USD", D(1), INFO, time),
        BuyOrderClosed(order_id=1, trade_pair="A_B", time=time),
        OwnTrade(1, "A_B", D(1), D(1), maker=True, maker_buy=True, time=time),
    ):
        again = decode(encode(message))
        assert isinstance(again, type(message))
        assert again.at == expected
        assert again.at.tzinfo is UTC


def test_market_data_counts_milliseconds() -> None:
    trade = AnonymousTrade("A_B", 1, D(1), D(1), maker_buy=True, time=(1700000000, 123))
    assert trade.at == datetime(2023, 11, 14, 22, 13, 20, 123000, tzinfo=UTC)


@pytest.mark.parametrize(
    "time",
    [
        *("[]", "[1]", "[1,2,3]", "[1.5,0]", '["1",0]', "[1e3,0]", "1", "null"),
        *("[-1,0]", "[0,-1]", "[0,1000000]", "[100000000000,0]", "[99999999999999999,0]", "[9223372036854775808,0]"),
    ],
)
def test_times_that_no_clock_shows(time: str) -> None:
    with pytest.raises(cp.DecodeError, match="time"):
        decode(f'{{"@type":"BuyOrderClosed","order_id":1,"trade_pair":"A_B","time":{time}}}'.encode())


@pytest.mark.parametrize(
    ("maker", "maker_buy", "bought"),
    [(True, True, True), (True, False, False), (False, True, False), (False, False, True)],
)
def test_who_bought(*, maker: bool, maker_buy: bool, bought: bool) -> None:
    assert OwnTrade(1, "A_B", D(1), D(1), maker=maker, maker_buy=maker_buy, time=(0, 0)).bought is bought


# ---------------------------------------------------------------------------------------------- what goes out


def test_bytes_go_out_as_they_are() -> None:
    assert encode(b'{"any":"thing"') == b'{"any":"thing"'


def test_mappings_go_out_as_json() -> None:
    payload = {"@type": "X", "amount": D("1E-8"), "list": [D("0E-8"), None, 1.5], "balance": Balance(D(1), D("1E-9"))}
    expected = {
        "@type": "X",
        "amount": "0.00000001",
        "list": ["0.00000000", None, 1.5],
        "balance": {"available": "1", "on_hold": "0.000000001"},
    }
    assert json.loads(encode(payload)) == expected
    assert json.loads(encode(types.MappingProxyType(payload))) == expected
    assert encode({"null": None, "deep": [{"a": (1.0, None)}]}) == b'{"null":null,"deep":[{"a":[1.0,null]}]}'


class Odd:
    def __repr__(self) -> str:
        return "<something odd>"


CIRCLE: dict[str, Any] = {}
CIRCLE["self"] = CIRCLE


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ({"x": Odd()}, "no form in JSON: <something odd> is neither"),
        ({"x": [{1, 2}]}, "no form in JSON"),
        ({"x": b"bytes"}, "no form in JSON"),
        ({"x": 2**64}, "no form in JSON"),
        ({"x": "\ud800"}, "no form in JSON"),
        ({1: "x"}, "no form in JSON"),
        ({"x": D("NaN")}, r"Decimal\('NaN'\) is neither JSON nor a finite Decimal"),
        ({"x": [D("-Infinity")]}, "neither JSON nor a finite Decimal"),
        ({"x": float("nan")}, "a float that is not finite"),
        ({"x": {"y": [1, (float("inf"),)]}}, "a float that is not finite"),
        (types.MappingProxyType({"x": -float("inf")}), "a float that is not finite"),
        (CIRCLE, "no form in JSON"),
    ],
)
def test_mappings_with_values_that_have_no_json(payload: Mapping[str, Any], words: str) -> None:
    with pytest.raises(cp.ConfigurationError, match=words):
        encode(payload)


@pytest.mark.parametrize("thing", ["text", 5, None, [], [("a", 1)], bytearray(b"{}"), Odd()])
def test_things_that_are_no_message(thing: Any) -> None:
    with pytest.raises(cp.ConfigurationError, match="is no message; send a typed one, a mapping or JSON bytes"):
        encode(thing)


@pytest.mark.parametrize("amount", ["1", "1E-8"])
@pytest.mark.parametrize("value", [Odd(), "\ud800"])
def test_messages_with_values_that_have_no_json(value: Any, amount: str) -> None:
    with pytest.raises(cp.ConfigurationError, match="the PlaceBuyLimitOrder has no form in JSON"):
        encode(PlaceBuyLimitOrder(value, amount, 1))


# ---------------------------------------------------------------------------------------------- what a message is


@pytest.mark.parametrize("message", MEANINGS, ids=lambda message: type(message).__name__)
def test_messages_are_values(message: Message) -> None:
    assert message == decode_again(message)
    assert message != CancelOrder(1)
    name = message.__struct_fields__[0] if message.__struct_fields__ else "anything"
    with pytest.raises(AttributeError):
        setattr(message, name, 1)
    assert repr(message).startswith(f"{type(message).__name__}(")


def decode_again(message: Message) -> object:
    sender = next(entry["sender"] for entry in vectors("messages") if entry["type"] == type(message).__name__)
    return read(sender, encode(message))


@pytest.mark.parametrize(("entry", "meaning"), CASES)
def test_messages_need_not_be_tracked_by_the_garbage_collector(entry: dict[str, str], meaning: Message) -> None:
    message = read(entry["sender"], entry["json"].encode())
    assert not gc.is_tracked(message)
    for name in meaning.__struct_fields__:
        value = getattr(message, name)
        assert not (isinstance(value, msgspec.Struct) and gc.is_tracked(value))
    assert not gc.is_tracked(Unknown("x", {}))


# ---------------------------------------------------------------------------------------------- any message at all

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
        fields |= {"amount": POSITIVE, "price": POSITIVE}
    if kind is AnonymousTrade:
        fields["time"] = MILLISECONDS
    return st.builds(kind, **fields)


SERVER_KINDS = sorted(kinds(_FROM_SERVER.type), key=lambda kind: kind.__name__)
CLIENT_KINDS = sorted(kinds(ClientMessage), key=lambda kind: kind.__name__)
SOME = settings(max_examples=20, deadline=None)


@pytest.mark.parametrize("kind", SERVER_KINDS)
def test_any_server_message_round_trips(kind: type[Message]) -> None:
    @SOME
    @given(strategy(kind))
    def check(message: Message) -> None:
        raw = encode(message)
        again = decode(raw)
        assert again == message
        assert type(again) is kind
        assert json.loads(raw) == message.payload == json.loads(encode(again))
        for name in kind.__struct_fields__:
            value = getattr(message, name)
            if isinstance(value, Decimal):
                written = json.loads(raw)[name]
                assert written == f"{value:f}"
                assert set(written) <= set("-.0123456789")

    check()


@pytest.mark.parametrize("kind", CLIENT_KINDS)
def test_any_client_message_round_trips(kind: type[Message]) -> None:
    @SOME
    @given(strategy(kind))
    def check(message: Message) -> None:
        raw = encode(message)
        again = decode_client_message(raw)
        assert again == message
        assert json.loads(raw) == message.payload
        if isinstance(message, PlaceOrder):
            assert json.loads(raw)["amount"] == f"{message.amount:f}"
            assert ("client_order_id" in json.loads(raw)) is (message.client_order_id is not None)
            assert json.loads(raw)["ttl"] == message.ttl

    check()


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_known_types_with_anything_in_their_fields(data: st.DataObject) -> None:
    """A message, or a DecodeError, and nothing else."""
    entry = data.draw(st.sampled_from(vectors("messages")))
    payload = approved(entry)
    name = data.draw(st.sampled_from([*payload, "unheard_of"]))
    payload[name] = data.draw(JSON)
    raw = json.dumps(payload).encode()
    for reader in (decode, decode_client_message, decode_request):
        try:
            message: object = reader(raw)
        except cp.DecodeError:
            continue
        assert isinstance(message, Message | Unknown)
        assert hasattr(message, "payload")


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_json_with_damage(data: st.DataObject) -> None:
    raw = bytearray(data.draw(st.sampled_from(vectors("messages")))["json"].encode())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(raw) - 1))
        raw[place : place + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    for reader in (decode, decode_client_message, decode_request):
        try:
            message: object = reader(bytes(raw))
        except cp.DecodeError:
            continue
        assert isinstance(message, Message | Unknown)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_rubbish(raw: bytes) -> None:
    for reader in (decode, decode_client_message, decode_request):
        try:
            message: object = reader(raw)
        except cp.DecodeError:
            continue
        assert isinstance(message, Message | Unknown)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.text(max_size=6), JSON | AMOUNTS, max_size=4))
def test_any_mapping_goes_out_or_is_a_configuration_error(payload: dict[str, Any]) -> None:
    try:
        raw = encode(payload)
    except cp.ConfigurationError:
        return
    json.loads(raw)
