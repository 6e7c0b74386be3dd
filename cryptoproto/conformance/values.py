"""The values of a script: literals, variables, numbers that are new in each run, and how they are compared."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Any, Final, TypeAlias

import msgspec

from ..exceptions import ConfigurationError
from ..messages import MALFORMED

__all__ = ["Anything", "Bindings", "Constant", "Fresh", "Value", "Variable", "parse_value"]

_NUMBER: Final = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?")
_VARIABLE: Final = re.compile(r"\$([a-z]\w*)(?:([+-])(\d+(?:\.\d+)?))?", re.ASCII)
_FRESH: Final = re.compile(r"@(\d{1,2})", re.ASCII)


class Constant(msgspec.Struct, frozen=True):
    """A JSON value; numbers with decimals are ``Decimal``."""

    value: Any


class Variable(msgspec.Struct, frozen=True):
    """``$name``, ``$name+1``: the first match binds it, later ones compare."""

    name: str
    offset: Decimal = Decimal(0)


class Fresh(msgspec.Struct, frozen=True):
    """``@1``: a number that no earlier run has used; the same number within one run."""

    number: int


class Anything(msgspec.Struct, frozen=True):
    """``*``: the field has to be there, with any value."""


Value: TypeAlias = Constant | Variable | Fresh | Anything


def parse_value(text: str) -> Value:
    """The value that *text* stands for.

    Raises:
        ValueError: it starts like a variable or like JSON, but is neither.
    """
    if text == "*":
        return Anything()
    if text.startswith("$"):
        found = _VARIABLE.fullmatch(text)
        if found is None:
            raise ValueError(f"{text} is not a variable: write $name, $name+1 or $name-1")
        return Variable(found[1], Decimal((found[2] or "") + (found[3] or "0")))
    if text.startswith("@"):
        found = _FRESH.fullmatch(text)
        if found is None:
            raise ValueError(f"{text} is not a fresh number: write @1 to @99")
        return Fresh(int(found[1]))
    if text in ("true", "false", "null"):
        return Constant({"true": True, "false": False, "null": None}[text])
    if _NUMBER.fullmatch(text):
        return Constant(Decimal(text) if "." in text else int(text))
    if text[:1] in ('"', "[", "{"):
        try:
            return Constant(msgspec.json.decode(text))
        except MALFORMED as error:
            raise ValueError(f"{text} is not valid JSON: {error}") from None
    return Constant(text)


class Bindings:
    """The variables of one run.

    Args:
        first_fresh: the number that ``@0`` stands for; ``@1`` is the next one.
    """

    def __init__(self, first_fresh: int = 0) -> None:
        self._first_fresh = first_fresh
        self._variables: dict[str, Any] = {}

    def bind(self, name: str, value: Any) -> None:
        """Give a variable its value."""
        self._variables[name] = value

    def resolve(self, value: Value) -> Any:
        """What to send for *value*.

        Raises:
            ConfigurationError: a variable has no value yet, or is no number and has an offset; or *value* is ``*``.
        """
        if isinstance(value, Constant):
            return value.value
        if isinstance(value, Fresh):
            return self._first_fresh + value.number
        if isinstance(value, Anything):
            raise ConfigurationError("* stands for any value that is received; it cannot be sent")
        if value.name not in self._variables:
            raise ConfigurationError(f"${value.name} has no value yet")
        bound = self._variables[value.name]
        if not value.offset:
            return bound
        number = _as_number(bound)
        if number is None:
            raise ConfigurationError(f"${value.name} is {bound!r}, which is not a number")
        result = number + value.offset
        return int(result) if result == result.to_integral_value() and not isinstance(bound, str) else str(result)

    def matches(self, value: Value, actual: Any) -> bool:
        """Whether *actual* is what *value* asks for. A variable without a value takes it."""
        if isinstance(value, Anything):
            return actual is not None
        if isinstance(value, Variable) and value.name not in self._variables and not value.offset:
            if actual is None:
                return False
            self.bind(value.name, actual)
            return True
        return _equal(self.resolve(value), actual)

    def show(self, value: Value) -> str:
        """*value* as it stands in a failure: with what its variables are bound to."""
        if isinstance(value, Anything) or (isinstance(value, Variable) and value.name not in self._variables):
            return "anything"
        return show(self.resolve(value))


def show(value: Any) -> str:
    """A JSON value as a script writes it."""
    if isinstance(value, str) and value and not re.search(r'[\s"\[\]{}]', value):
        return value
    return msgspec.json.encode(value).decode()


def _as_number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None


def _equal(expected: Any, actual: Any) -> bool:
    """Equality of JSON values: numbers and decimal strings by value, objects by the members that are expected."""
    if isinstance(expected, dict):
        return isinstance(actual, dict) and all(
            _equal(member, next((value for name, value in actual.items() if _equal(key, name)), None))
            for key, member in expected.items()
        )
    if isinstance(expected, list):
        return (
            isinstance(actual, list)
            and len(expected) == len(actual)
            and all(_equal(one, other) for one, other in zip(expected, actual, strict=True))
        )
    if isinstance(expected, bool) or expected is None:
        return actual is expected
    number, other = _as_number(expected), _as_number(actual)
    if number is not None and other is not None:
        return number == other
    return not isinstance(actual, bool) and bool(expected == actual)
