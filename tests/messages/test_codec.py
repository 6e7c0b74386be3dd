"""JSON to messages and back: the documented JSON, unknown and malformed payloads, and anything at all."""

from __future__ import annotations

import json
import types
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cryptoproto as cp
from cryptoproto import messages
from cryptoproto.messages import (
    Balance,
    BuyOrderClosed,
    CancelOrder,
    Message,
    OrderBookAgg,
    PlaceBuyLimitOrder,
    PlaceOrder,
    SetBalance,
    Unknown,
    decode,
    decode_client_message,
    decode_request,
    encode,
    loads,
)
from tests.support.message_samples import (
    ALL_KINDS,
    AMOUNTS,
    CASES,
    CLIENT_KINDS,
    JSON,
    MEANINGS,
    ORDERS,
    SERVER_KINDS,
    Odd,
    approved,
    digits,
    read,
    strategy,
)
from tests.support.wire_oracle import vectors

D = Decimal


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


@pytest.mark.parametrize("value", ['"NaN"', '"Infinity"', '"0"', "0", "-1", '"x"', "null", "true"])
def test_an_exchange_refuses_the_same_amounts(value: str) -> None:
    raw = f'{{"@type":"PlaceBuyLimitOrder","trade_pair":"BTC_USD","amount":{value},"price":"1","ttl":0}}'
    with pytest.raises(cp.DecodeError):
        decode_client_message(raw.encode())


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


CIRCLE: dict[str, Any] = {}
CIRCLE["self"] = CIRCLE


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ({"x": Odd()}, "cannot be written as JSON: <something odd> is neither"),
        ({"x": [{1, 2}]}, "cannot be written as JSON"),
        ({"x": b"bytes"}, "cannot be written as JSON"),
        ({"x": 2**64}, "cannot be written as JSON"),
        ({"x": "\ud800"}, "cannot be written as JSON"),
        ({1: "x"}, "cannot be written as JSON"),
        ({"x": D("NaN")}, r"Decimal\('NaN'\) is neither JSON nor a finite Decimal"),
        ({"x": [D("-Infinity")]}, "neither JSON nor a finite Decimal"),
        ({"x": float("nan")}, "a float that is not finite"),
        ({"x": {"y": [1, (float("inf"),)]}}, "a float that is not finite"),
        (types.MappingProxyType({"x": -float("inf")}), "a float that is not finite"),
        (CIRCLE, "cannot be written as JSON"),
    ],
)
def test_mappings_with_values_that_have_no_json(payload: Mapping[str, Any], words: str) -> None:
    with pytest.raises(cp.ConfigurationError, match=words):
        encode(payload)


@pytest.mark.parametrize("thing", ["text", 5, None, [], [("a", 1)], bytearray(b"{}"), Odd()])
def test_things_that_are_no_message(thing: Any) -> None:
    with pytest.raises(cp.ConfigurationError, match="is not a message; send a typed message, a mapping or JSON bytes"):
        encode(thing)


@pytest.mark.parametrize("amount", ["1", "1E-8"])
def test_orders_that_cannot_be_written_as_json(amount: str) -> None:
    with pytest.raises(cp.OrderInvalid, match="the PlaceBuyLimitOrder cannot be written as JSON"):
        encode(PlaceBuyLimitOrder("\ud800", amount, 1))


@pytest.mark.parametrize("value", [Odd(), "\ud800"])
def test_messages_that_cannot_be_written_as_json(value: Any) -> None:
    with pytest.raises(cp.ConfigurationError, match="the SetBalance cannot be written as JSON") as caught:
        encode(SetBalance(value, D(1), D("1E-8"), "trade", (0, 0)))
    assert type(caught.value) is cp.ConfigurationError


def test_what_an_exchange_would_reject_is_not_encoded() -> None:
    third = D(1) / 3
    for order in ORDERS:
        with pytest.raises(cp.OrderInvalid, match=r"price=0\.3333"):
            encode(order("BTC_USD", 1, third))
        with pytest.raises(cp.OrderInvalid, match=r"amount=0\.3333"):
            encode(order("BTC_USD", third, 1))
        with pytest.raises(cp.OrderInvalid, match="64 bits"):
            encode(order("BTC_USD", 1, 1, client_order_id=2**63))
    for number in ("7", None, 2**63):
        with pytest.raises(cp.OrderInvalid, match="order_id"):
            encode(CancelOrder(number))  # type: ignore[arg-type]


def test_an_exchange_can_read_orders_that_it_will_reject() -> None:
    """It answers with an error frame that says why, and so it must be able to keep them in its journal."""
    raw = (
        b'{"@type":"PlaceBuyLimitOrder","trade_pair":"A_B","amount":"0.000000001","price":1E+99,'
        b'"client_order_id":9223372036854775808,"ttl":1}'
    )
    order = decode_client_message(raw)
    assert isinstance(order, PlaceBuyLimitOrder)
    assert (order.amount, order.price, order.client_order_id) == (D("1E-9"), D("1E+99"), 2**63)
    assert decode_client_message(b'{"@type":"CancelOrder","order_id":9223372036854775808}') == CancelOrder(2**63)


def test_a_custom_message_type() -> None:
    class Heartbeat(Message, frozen=True):
        number: Decimal

    assert encode(Heartbeat(D("1E-8"))) == b'{"@type":"Heartbeat","number":"0.00000001"}'


def test_bytes_of_another_class_go_out_as_they_are() -> None:
    class Payload(bytes):
        __slots__ = ()

    assert encode(Payload(b"{}")) == b"{}"


SOME = settings(max_examples=20, deadline=None)


# ---------------------------------------------------------------------------------------------- any message at all


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


@pytest.mark.parametrize("read", [decode_client_message, decode_request])
def test_an_exchange_names_the_type_that_it_does_not_know(read: Any) -> None:
    with pytest.raises(cp.DecodeError) as caught:
        read(b'{"@type":"foo"}')
    assert str(caught.value) == "there is no message of the type 'foo'"
    with pytest.raises(cp.DecodeError) as caught:
        read(b'{"@type":"' + b"x" * 5000 + b'"}')
    assert len(str(caught.value)) < 200
