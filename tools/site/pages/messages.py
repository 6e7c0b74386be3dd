"""Every message of the protocol: what it says, its fields, and its JSON."""

from __future__ import annotations

import inspect
import json
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

import cryptoproto as cp

from ..markdown import arguments, described, heading, table

__all__ = ["page"]

_VECTORS: Final = Path(__file__).parents[3] / "tests" / "vectors"
_SENDERS: Final = {
    "client": "Messages of a client",
    "client_rpc": "Requests",
    "server_rpc": "Responses",
    "server": "Messages of the exchange",
    "broadcast": "Broadcasts",
    "market": "Market data",
}
_HEAD: Final = """\
# Messages

Every message is a JSON object whose `@type` names it. Amounts and prices are decimal strings; readers also accept numbers. Unknown
types and unknown fields are not errors: an unknown type arrives as [`Unknown`][cryptoproto.Unknown]. The JSON on this page comes from
the test vectors, which are made without this package. [The protocol](../protocol.md) says in which frames messages travel.
"""


def page() -> str:
    """The page."""
    samples = _samples()
    parts = [_HEAD]
    for sender, title in _SENDERS.items():
        parts.append(heading(2, title))
        parts += [_message(name, text) for name, text in samples[sender].items()]
    return "\n\n".join(parts) + "\n"


def _samples() -> dict[str, dict[str, str]]:
    """The JSON of each message, by sender and type; the first sample of each."""
    found: dict[str, dict[str, str]] = {sender: {} for sender in _SENDERS}
    for sample in json.loads((_VECTORS / "messages.json").read_text(encoding="utf-8")):
        found[sample["sender"]].setdefault(sample["type"], sample["json"])
    return found


def _message(name: str, text: str) -> str:
    cls = getattr(cp, name)
    shown = json.dumps(json.loads(text), indent=2)
    words = described(cls)
    parts = [heading(3, name), f"[`cp.{name}`][cryptoproto.{name}] — {words}"]
    rows = list(_fields(cls))
    if rows:
        parts.append(table(["field", "type", "", "meaning"], rows))
    return "\n\n".join([*parts, f"```json\n{shown}\n```"])


def _fields(cls: type[msgspec.Struct]) -> Iterator[list[str]]:
    meanings: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if base.__module__.startswith("cryptoproto") and base.__dict__.get("__doc__"):
            meanings |= arguments(base)
    for field in msgspec.structs.fields(cls):
        required = "required" if field.required else "optional"
        yield [f"`{field.encode_name}`", _type(field.type), required, meanings.get(field.name, "")]


def _type(kind: Any) -> str:
    """A type in the words of JSON."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return _type(inner[0])
    if origin is typing.Literal:
        return ", ".join(f'`"{one}"`' for one in inner)
    if origin is list:
        return f"list of {_type(inner[0])}"
    if origin is dict:
        return f"object: {_type(inner[0])} → {_type(inner[1])}"
    if origin is tuple:
        return f"[{', '.join(_type(one) for one in inner)}]"
    if inner:
        return " or ".join(dict.fromkeys(_type(one) for one in inner))
    names = {"Decimal": "decimal", "int": "integer", "str": "string", "bool": "boolean", "NoneType": "`null`"}
    if inspect.isclass(kind) and issubclass(kind, msgspec.Struct):
        return "{" + ", ".join(f"{one.encode_name}: {_type(one.type)}" for one in msgspec.structs.fields(kind)) + "}"
    return names.get(getattr(kind, "__name__", ""), "value")
