"""Whether what was received is what a step expects, and the JSON that a step sends."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec

from ..exceptions import ConfigurationError
from ..messages import plain
from .script import Step
from .seen import Seen
from .values import Anything, Bindings

__all__ = ["Match", "match", "message", "payload", "raw_bytes", "settings"]

_AMOUNTS: Final = frozenset(
    {"amount", "available", "balance", "change", "fee", "initial_amount", "on_hold", "price"}
)  # fmt: skip
"""Fields that are written as decimal strings."""


class Match(msgspec.Struct, frozen=True):
    """The result of a comparison.

    Attributes:
        difference: what is different, in words; empty if nothing is.
        bindings: the variables afterwards, if nothing is different.
        tolerated: whether the step allows this, but asks for something else.
    """

    difference: str
    bindings: Bindings
    tolerated: bool = False


def match(step: Step, seen: Seen, before: Bindings) -> Match:
    """Compare *seen* with what *step* expects; *before* is left as it is."""
    bindings = copy.deepcopy(before)
    if step.kind == "close" and seen.kind in ("close", "lost"):
        return _match_close(step, seen, bindings)
    if seen.kind != step.kind:
        return Match(f"{seen.kind} is not {step.kind}", bindings)
    if step.name and seen.name != step.name:
        return Match(f"{seen.name} is not {step.name}", bindings)
    differences = []
    for index, wanted in enumerate(step.arguments):
        actual = seen.arguments[index] if index < len(seen.arguments) else None
        if not bindings.matches(wanted, actual):
            differences.append(f"{actual!r} is not {bindings.show(wanted)}")
    for path, wanted in step.fields.items():
        actual = _member(seen.fields, path)
        if not bindings.matches(wanted, actual):
            differences.append(f"{path} is {actual!r}, not {bindings.show(wanted)}")
    for key, number in step.settings.items():
        actual = seen.numbers.get(key)
        if number is not None and not bindings.matches(number, actual):
            differences.append(f"{key} is {actual!r}, not {bindings.show(number)}")
    return Match("; ".join(differences), bindings)


def _match_close(step: Step, seen: Seen, bindings: Bindings) -> Match:
    """``close 1002 *`` asks for 1002, and allows any other end."""
    tolerates = len(step.arguments) > 1 and isinstance(step.arguments[-1], Anything)
    code = seen.arguments[0] if seen.arguments else None
    if not step.arguments or bindings.matches(step.arguments[0], code):
        return Match("", bindings)
    difference = f"the close code is {code}, not {bindings.show(step.arguments[0])}"
    return Match("" if tolerates else difference, bindings, tolerated=tolerates)


def _member(fields: Mapping[str, Any], path: str) -> Any:
    """The member at *path*, ``balances.USD.available``."""
    value: Any = fields
    for name in path.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def payload(step: Step, bindings: Bindings) -> bytes:
    """The JSON that *step* sends; ``payload "…"`` is sent as it is written."""
    if step.name == "payload":
        return "".join(str(bindings.resolve(each)) for each in step.arguments).encode()
    return msgspec.json.encode(message(step, bindings))


def message(step: Step, bindings: Bindings) -> dict[str, Any]:
    """The message that *step* names, with its fields."""
    fields = {name: _typed(name, bindings.resolve(value)) for name, value in step.fields.items()}
    return {"@type": step.name, **fields}


def _typed(name: str, value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return value
    if name in _AMOUNTS:
        return plain(Decimal(value))
    return int(value) if value == int(value) else float(value)


def settings(step: Step, bindings: Bindings) -> dict[str, Any]:
    """The settings of *step* with their numbers; those without a number are zero."""
    return {key: 0 if value is None else bindings.resolve(value) for key, value in step.settings.items()}


def raw_bytes(step: Step, bindings: Bindings) -> bytes:
    """The bytes of ``raw``, in hexadecimal; ``raw zeros=100`` are a hundred zeros.

    Raises:
        ConfigurationError: they are not hexadecimal.
    """
    if "zeros" in step.fields:
        return bytes(int(bindings.resolve(step.fields["zeros"])))
    digits = "".join(str(bindings.resolve(each)) for each in step.arguments)
    try:
        return bytes.fromhex(digits)
    except ValueError:
        raise ConfigurationError(f"{step.text}: write bytes like 00ff in quotes") from None
