"""Which messages are signed before they are sent, and for which sequences. Without I/O, and without the signing itself.

A signature covers a sequence and the JSON. The next sequence is known, so the signature of a message that will be sent
later can be made now. It becomes useless when another message takes the sequence, and is then made again for the next.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Final

import msgspec

from ..wire import ClientFrameType, Draft

__all__ = ["SignAhead"]

_MESSAGE: Final = int(ClientFrameType.MESSAGE)
_LOOK_AHEAD: Final = 8
"""For how many sequences after the next one signatures are made."""
_TOGETHER: Final = 8
"""How many spare messages are signed together."""


class _Ahead(msgspec.Struct, eq=False):
    """A message that is kept signed: how often that was asked for, and its signed bodies by sequence."""

    payload: bytes
    claims: int = 0
    spare_claims: int = 0
    bodies: dict[int, bytes] = {}
    started: set[int] = set()


class SignAhead:
    """The signed bodies of messages that are not sent yet, and what is to be signed next.

    Any of the messages may be the next one, so each is signed for the next sequence: those that a caller prepared
    first, in that order, then the spare ones, the latest first. Callers often send several prepared messages together.
    So that they need not wait then, either, the second prepared message is also signed for the sequence after the next,
    the third for the one after that, and so on.

    Messages are found by their JSON, because that is what is signed. Two that are equal share their signatures.
    """

    __slots__ = ("_messages", "_plan", "_sequence")

    def __init__(self) -> None:
        self._messages: dict[bytes, _Ahead] = {}
        self._plan: Iterator[Draft] | None = None
        self._sequence = 0

    def __len__(self) -> int:
        """How many messages are kept signed."""
        return len(self._messages)

    def add(self, payload: bytes, *, spare: bool = False) -> None:
        """Keep a message signed, until :meth:`remove` was called as often.

        Args:
            payload: its JSON.
            spare: sign it after those that are not spare.
        """
        message = self._messages.get(payload)
        if message is None:
            message = self._messages[payload] = _Ahead(payload)
        if spare:
            message.spare_claims += 1
        else:
            message.claims += 1
        self._plan = None

    def remove(self, payload: bytes, *, spare: bool = False) -> None:
        """Take one :meth:`add` back."""
        message = self._messages.get(payload)
        if message is None:
            return
        if spare:
            message.spare_claims -= 1
        else:
            message.claims -= 1
        if not message.claims and not message.spare_claims:
            del self._messages[payload]
        self._plan = None

    def clear(self) -> None:
        """Forget everything."""
        self._messages.clear()
        self._plan = None

    def has(self, payload: bytes) -> bool:
        """Whether the message is kept signed."""
        return payload in self._messages

    def body(self, payload: bytes, sequence: int) -> bytes | None:
        """The signed body of a message for *sequence*, if it was made."""
        message = self._messages.get(payload)
        return None if message is None else message.bodies.get(sequence)

    def draft(self, payload: bytes, sequence: int) -> Draft | None:
        """What to sign to have a message for *sequence*; ``None`` if it was begun. As :meth:`next_drafts`, for one."""
        message = self._messages.get(payload)
        if message is None or sequence in message.started:
            return None
        message.started.add(sequence)
        self._plan = None
        return Draft(_MESSAGE, sequence, payload)

    def next_drafts(self, sequence: int) -> list[Draft]:
        """What to sign next, if *sequence* is the next one; empty if there is nothing to do.

        The caller signs each draft and calls :meth:`store`, or else :meth:`give_back`. Spare messages come several at a
        time, because to hand one to a thread takes the event loop as long as to hand over eight. One that a caller
        prepared comes alone, so that it is ready as soon as possible.
        """
        drafts: list[Draft] = []
        if not self._messages:
            return drafts
        if sequence != self._sequence:
            self._sequence = sequence
            self._plan = None
            for message in self._messages.values():
                message.bodies = {n: body for n, body in message.bodies.items() if n >= sequence}
                message.started = {n for n in message.started if n >= sequence}
        if self._plan is None:
            self._plan = self._drafts(sequence)
        for draft in self._plan:
            message = self._messages[draft.payload]
            message.started.add(draft.number)
            drafts.append(draft)
            if message.claims or len(drafts) == _TOGETHER:
                break
        return drafts

    def give_back(self, draft: Draft) -> None:
        """A draft was not signed: it is to be signed later."""
        message = self._messages.get(draft.payload)
        if message is not None:
            message.started.discard(draft.number)
            self._plan = None

    def store(self, draft: Draft, body: bytes) -> None:
        """Keep the signed body of a draft. It is dropped if the message was removed or its sequence was used."""
        message = self._messages.get(draft.payload)
        if message is not None and draft.number >= self._sequence:
            message.bodies[draft.number] = body

    def _drafts(self, sequence: int) -> Iterator[Draft]:
        prepared = [message for message in self._messages.values() if message.claims]
        spare = [message for message in reversed(self._messages.values()) if not message.claims]
        wanted = chain(
            ((message, sequence) for message in chain(prepared, spare)),
            ((message, sequence + later) for later, message in enumerate(prepared[: _LOOK_AHEAD + 1]) if later),
        )
        for message, number in wanted:
            if number not in message.started:
                yield Draft(_MESSAGE, number, message.payload)
