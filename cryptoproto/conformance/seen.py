"""What the peer under test did: one thing that was received over a connection, or that a client reported."""

from __future__ import annotations

from typing import Any

import msgspec

from ..messages import MALFORMED
from .values import show

__all__ = ["Seen", "sketch"]

_SHORT = 300


class Seen(msgspec.Struct, frozen=True):
    """One thing that was received.

    Attributes:
        kind: ``event``, ``close``, ``message`` …, or ``unreadable``.
        name: the ``@type`` of the message.
        fields: of the message, of a hello, or of a report.
        arguments: the numbers and texts without a name: an error's type and text, a close code.
        numbers: sequence, transaction id, request id, timestamp.
    """

    kind: str
    name: str = ""
    fields: dict[str, Any] = {}
    arguments: tuple[Any, ...] = ()
    numbers: dict[str, Any] = {}

    @classmethod
    def of_payload(cls, kind: str, payload: bytes, **numbers: Any) -> Seen:
        """A frame with JSON; ``unreadable`` if it is not an object with an ``@type``."""
        try:
            fields = msgspec.json.decode(payload)
        except MALFORMED:
            fields = None
        if not isinstance(fields, dict) or not isinstance(fields.get("@type"), str):
            return cls("unreadable", arguments=(f"{kind} with the payload {payload[:100]!r}",))
        name = fields.pop("@type")
        return cls(kind, name, fields, numbers=numbers)

    def __str__(self) -> str:
        words = [self.kind, *([self.name] if self.name else []), *(show(each) for each in self.arguments)]
        words += [f"{name}={show(value)}" for name, value in self.fields.items()]
        words += [f"[{name} {show(value)}]" for name, value in self.numbers.items()]
        return sketch(" ".join(words))


def sketch(text: str) -> str:
    """*text*, cut if it is long: a peer can send a megabyte."""
    return text if len(text) <= _SHORT else f"{text[:_SHORT]}…"
