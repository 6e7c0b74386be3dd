"""What a script consists of: a header, and steps that one end takes."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from ..wire import Protocol
from .values import Value

__all__ = ["Peer", "Script", "Step", "Verb"]

Peer: TypeAlias = Literal["client", "exchange"]
"""Which end is under test; the script plays the other one."""

Verb: TypeAlias = Literal[
    "send", "expect", "await", "connect", "open", "watch", "accept", "cut", "close", "wait", "stop reading", "read",
    "do", "report",
]  # fmt: skip


class Step(msgspec.Struct, frozen=True):
    """One line of a script.

    Attributes:
        line: its number in the file.
        text: the line itself, without a comment.
        verb: what to do. ``expect`` is ``<``, ``await`` is ``<<``, ``send`` is ``>``.
        end: the name of the connection; empty for the first one of the script.
        kind: of the frame, action or report: ``message``, ``event``, ``close`` …
        name: the ``@type`` of the message, if there is one.
        arguments: the values without a name.
        fields: the values with a name.
        settings: what stands in square brackets, by its leading words.
    """

    line: int
    text: str
    verb: Verb
    end: str = ""
    kind: str = ""
    name: str = ""
    arguments: tuple[Value, ...] = ()
    fields: dict[str, Value] = {}
    settings: dict[str, Value | None] = {}


class Script(msgspec.Struct, frozen=True):
    """One script.

    Attributes:
        name: the path below the folder of scripts, without its suffix: ``sequences/gap``.
        title: what it checks, in a sentence.
        section: where the documents say so: ``protocol.md#handshake``.
        peer: which end is under test.
        protocols: the forms of the protocol that it runs in.
        strict: whether a peer has to pass. If not, a failure is reported as "not strict".
        steps: what happens.
    """

    name: str
    title: str
    section: str
    peer: Peer
    protocols: tuple[Protocol, ...]
    strict: bool
    steps: tuple[Step, ...]

    @property
    def topic(self) -> str:
        """The folder of the script."""
        return self.name.rpartition("/")[0]

    @property
    def actions(self) -> tuple[str, ...]:
        """What the peer under test, or its operator, has to be able to do."""
        return tuple(dict.fromkeys(step.kind for step in self.steps if step.verb == "do"))
