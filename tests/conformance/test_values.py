"""Values of scripts, and how they are compared."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.conformance.values import Anything, Bindings, Constant, Fresh, Variable, parse_value, show


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", Constant(7)),
        ("-7", Constant(-7)),
        ("1.50", Constant(Decimal("1.50"))),
        ("007", Constant("007")),
        ("true", Constant(True)),
        ("null", Constant(None)),
        ("BTC_USD", Constant("BTC_USD")),
        ('"a b"', Constant("a b")),
        ('["A",1]', Constant(["A", 1])),
        ("*", Anything()),
        ("@12", Fresh(12)),
        ("$a", Variable("a")),
        ("$a-1.5", Variable("a", Decimal("-1.5"))),
    ],
)
def test_parse(text: str, value: object) -> None:
    assert parse_value(text) == value


@pytest.mark.parametrize("text", ["$", "$A", "$a+b", "@", "@123", '"open', "[1,", "{1}"])
def test_what_only_starts_like_a_value(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not"):
        parse_value(text)


@pytest.mark.parametrize(
    ("text", "actual", "equal"),
    [
        ("1", "1.00000000", True),
        ("1", 1.0, True),
        ('"1"', "1", True),
        ("1", "2", False),
        ("1", True, False),
        ("true", True, True),
        ("true", 1, False),
        ("null", None, True),
        ("null", 0, False),
        ("a", "a", True),
        ("a", "b", False),
        ("NaN", "nan", False),
        ("[1,2]", ["1", 2], True),
        ("[1,2]", [1], False),
        ("[1]", 1, False),
        ('{"a":1}', {"a": "1.0", "b": 2}, True),
        ('{"100":"2"}', {"100.00000000": "2.00000000"}, True),
        ('{"a":1}', {"b": 1}, False),
        ('{"a":1}', [], False),
        ("*", 0, True),
        ("*", None, False),
    ],
)
def test_matches(text: str, actual: Any, equal: bool) -> None:
    assert Bindings().matches(parse_value(text), actual) is equal


def test_a_variable_takes_the_first_value_and_compares_later_ones() -> None:
    bindings = Bindings()
    assert bindings.show(Variable("a")) == "anything"
    assert not bindings.matches(Variable("a"), None)
    assert bindings.matches(Variable("a"), "10.00")
    assert bindings.matches(Variable("a"), 10)
    assert not bindings.matches(Variable("a"), 11)
    assert bindings.matches(Variable("a", Decimal(1)), 11)
    assert bindings.resolve(Variable("a", Decimal("-0.5"))) == "9.50"
    assert bindings.show(Variable("a")) == "10.00"


def test_an_offset_keeps_integers() -> None:
    bindings = Bindings()
    bindings.bind("n", 2**62)
    assert bindings.resolve(Variable("n", Decimal(1))) == 2**62 + 1
    assert bindings.resolve(Variable("n", Decimal("0.5"))) == f"{2**62}.5"


def test_fresh_numbers_differ_between_runs() -> None:
    assert Bindings(100).resolve(Fresh(3)) == 103
    assert Bindings(200).resolve(Fresh(3)) == 203


def test_what_cannot_be_sent() -> None:
    bindings = Bindings()
    bindings.bind("name", "alice")
    for value, words in (
        (Anything(), "cannot be sent"),
        (Variable("a"), "no value yet"),
        (Variable("name", Decimal(1)), "not a number"),
    ):
        with pytest.raises(cp.ConfigurationError, match=words):
            bindings.resolve(value)
    assert bindings.show(Anything()) == "anything"


def test_show() -> None:
    assert [show(value) for value in ("a", "a b", "", 1, None, [1])] == ["a", '"a b"', '""', "1", "null", "[1]"]
