"""Exact amounts: accepted, rejected and written in plain digits."""

from __future__ import annotations

import decimal
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cryptoproto as cp
from cryptoproto.messages import (
    OrderBookAgg,
    PlaceBuyLimitOrder,
    SetBalance,
    decode,
    decode_client_message,
    encode,
    exact,
    plain,
)
from cryptoproto.messages.amounts import UNIT, as_short, check_decimals
from tests.support.message_samples import (
    MEANINGS,
    approved,
    read,
)
from tests.support.wire_oracle import vectors

D = Decimal


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
        SetBalance("USD", D(1), D(text), "trade", (0, 0)),
        OrderBookAgg("A_B", 1, {D(text): D(1)}, {}),
        {"amount": D(text)},
    ):
        with pytest.raises(cp.ConfigurationError, match=words):
            encode(message)
    # A message with such a number can be read; only its dict cannot be made.
    raw = f'{{"@type":"SetBalance","currency":"USD","balance":"{text}","change":"1","reason":"x","time":[0,0]}}'
    received = decode(raw.encode())
    assert isinstance(received, SetBalance)
    assert received.balance == D(text)
    with pytest.raises(cp.ConfigurationError, match=words):
        _ = received.payload


@pytest.mark.parametrize("spelling", ['"NaN"', '"nan"', '"sNaN"', '"Infinity"', '"-inf"'])
def test_amounts_that_are_not_finite_are_decoded_as_they_are(spelling: str) -> None:
    """Looking for them would make decoding every event 10 % slower; the Decimal itself says that it is not finite."""
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
        order = PlaceBuyLimitOrder("A_B", "123456789.12345678", D("0.000000010000"))
        assert json.loads(encode(order))["amount"] == "123456789.12345678"
        with pytest.raises(cp.OrderInvalid, match=r"price=1\.2345E-8 has more than 8 decimals"):
            encode(PlaceBuyLimitOrder("A_B", "1", D("0.000000012345")))
        assert json.loads(encode({"x": D("0.000000012345")})) == {"x": "0.000000012345"}
        with pytest.raises(cp.ConfigurationError, match=r"is a float, whose exact value is 0\.10000000000000000555"):
            exact(0.1, "amount")  # type: ignore[arg-type]
        assert repr(context) == before


def test_a_bad_amount_raises_the_same_error_if_nothing_is_trapped() -> None:
    with decimal.localcontext(decimal.Context(traps=[])):
        with pytest.raises(cp.ConfigurationError):
            exact("one", "amount")
        with pytest.raises(cp.DecodeError):
            decode_client_message(b'{"@type":"PlaceBuyLimitOrder","trade_pair":"A_B","amount":"one","price":1,"ttl":0}')


def test_exact_raises_the_class_of_its_caller() -> None:
    with pytest.raises(cp.ConfigurationError) as caught:
        exact("-1", "price")
    assert type(caught.value) is cp.ConfigurationError
    with pytest.raises(cp.OrderInvalid, match="price=-1 must be a finite number"):
        exact("-1", "price", cp.OrderInvalid)


def test_exact_keeps_a_decimal_and_converts_the_rest() -> None:
    class Price(Decimal):
        pass

    class Word(str):
        __slots__ = ()

    given = D("1.50")
    assert exact(given, "price") is given
    for value in (Price("1.50"), Word("1.50"), "1.50"):
        assert exact(value, "price").as_tuple() == given.as_tuple()
    with pytest.raises(cp.ConfigurationError, match="price='one' is not a decimal number"):
        exact(Word("one"), "price")


@pytest.mark.parametrize(
    "value", ["1", "0.00000001", "1.500000000000", "98765432109876543210.12345678", "1E+60", "1E-8"]
)
def test_amounts_in_whole_units_pass(value: str) -> None:
    check_decimals(D(value), D(1), cp.OrderInvalid)
    check_decimals(D(1), D(value), cp.OrderInvalid)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (D(1) / 3, r"=0\.3333333333333333333333333333 has more than 8 decimals; round it first, for example with "),
        (D("1.000000001"), r"=1\.000000001 has more than 8 decimals"),
        (D("1E-1001"), "=1E-1001 has more than 8 decimals"),
        (D("1E-999999999999999999"), ".*has more than 8 decimals"),
        (D("1E+72"), r"=1E\+72 is too large"),
        (D("1E+999999999999999999"), ".*is too large"),
        (D("1" * 200), r"=1{40}… is too large"),
    ],
)
def test_amounts_that_an_exchange_cannot_represent(value: Decimal, words: str) -> None:
    with pytest.raises(cp.OrderInvalid, match=f"^amount{words}"):
        check_decimals(value, D(1), cp.OrderInvalid)
    with pytest.raises(cp.OrderInvalid, match=f"^price{words}"):
        check_decimals(D(1), value, cp.OrderInvalid)


@pytest.mark.parametrize(
    "value", ["1", "0.00000001", "15000.00000000", "123456789", "1E-8", "0.12345678", "1.500000000000"]
)
def test_the_usual_amounts_pass_the_quick_test(value: str) -> None:
    assert as_short(D(value)) == D(value)


@given(st.integers(1, 10**30), st.integers(-60, 60))
def test_the_quick_test_accepts_nothing_that_the_full_one_rejects(digits: int, exponent: int) -> None:
    value = D((0, tuple(map(int, str(digits))), exponent))
    if as_short(value) == value:
        check_decimals(value, value, cp.OrderInvalid)
        assert value % UNIT == 0


@pytest.mark.parametrize("value", ["0.000000001", "1234567.891", "1E+9", "0.0000000015", "1E-1001"])
def test_others_are_left_to_the_full_test(value: str) -> None:
    assert as_short(D(value)) != D(value)


def test_the_advice_to_round_works() -> None:
    price = D(1) / 3
    with pytest.raises(cp.OrderInvalid) as caught:
        check_decimals(D(1), price, cp.OrderInvalid)
    assert str(caught.value).endswith('price.quantize(Decimal("0.00000001"))')
    check_decimals(D(1), price.quantize(Decimal("0.00000001")), cp.OrderInvalid)


def test_an_error_does_not_repeat_a_long_number() -> None:
    with pytest.raises(cp.ConfigurationError) as caught:
        exact("-" + "9" * 100_000, "price")
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(("value", "kind"), [(True, "bool"), (None, "NoneType"), (b"1", "bytes"), ([1], "list")])
def test_exact_names_the_type_that_it_rejects(value: Any, kind: str) -> None:
    with pytest.raises(cp.ConfigurationError, match=f"price must be a Decimal, a string or an int, not {kind}"):
        exact(value, "price")
