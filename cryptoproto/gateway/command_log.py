"""What the command log says: commands without an outcome, and the outcomes of those that have one. No I/O."""

from __future__ import annotations

from collections import OrderedDict
from itertools import islice
from typing import Final

from ..client.store import OutboxEntry
from .records import Answered, Checkpoint, Connected, Intent, LogRecord, Rewound, Takeover

__all__ = ["CommandLog"]

_KEPT: Final = 10_000
"""How many outcomes are remembered. A takeover reads two records for each, which takes a part of a second."""
_SEQUENCES: Final = 4_096
"""How many of the latest sequences are remembered: two commands were promised the same one at nearly the same time."""


class CommandLog:
    """The log as a value: apply the records in order.

    Args:
        kept: how many outcomes to remember; the oldest are forgotten first.

    Attributes:
        fence: of the last takeover; 0 before the first.
        settled_through: the highest transaction that an outcome was derived from, -1 before the first.
        rewound: how an owner has noticed that the exchange has forgotten history; ``None`` if none has.
    """

    def __init__(self, kept: int = _KEPT) -> None:
        self._kept = kept
        self._open: dict[str, tuple[Intent, int]] = {}
        self._answers: OrderedDict[str, tuple[Answered, int]] = OrderedDict()
        self._forgotten: tuple[int, float] = (0, 0.0)  # fence and time of the newest outcome that is forgotten
        self._unsent: set[str] = set()  # those of the open ones that the exchange has certainly not received
        self._unseen: set[str] = set()  # the same, if the present connection was established
        self._by_sequence: dict[int, str] = {}  # which command was about to be sent with it last
        self._count = 0  # of the outcomes that were forgotten since the last checkpoint
        self.fence: int = 0
        self.settled_through: int = -1
        self.rewound: Rewound | None = None

    def apply(self, record: LogRecord, number: int) -> None:
        """Apply the record that is message *number* of the stream, or at least that if it is not stored yet."""
        if isinstance(record, Takeover):
            self.fence = record.fence
            self._unseen = set()
        elif isinstance(record, Checkpoint):
            self.fence = max(self.fence, record.fence)
            self.settled_through = max(self.settled_through, record.settled_through)
            self._forgotten = max(self._forgotten, (record.forgotten_fence, record.forgotten_at))
            self._count = 0
        elif isinstance(record, Connected):
            # Not certain yet: until the handshake ends, the exchange takes what a deposed owner has sent.
            self._unseen = {
                command for command, (intent, _) in self._open.items() if intent.sequence > record.last_sequence
            }
        elif isinstance(record, Intent):
            self._apply_intent(record, number)
        elif isinstance(record, Rewound):
            self.rewound = record
        else:
            self._open.pop(record.command, None)
            self._unsent.discard(record.command)
            self._answers[record.command] = (record, number)
            self.settled_through = max(self.settled_through, record.settled_through)
            if len(self._answers) > self._kept:
                _, (forgotten, _) = self._answers.popitem(last=False)
                self._forgotten = max(self._forgotten, (forgotten.fence, forgotten.at))
                self._count += 1

    def _apply_intent(self, intent: Intent, number: int) -> None:
        # Whoever is about to send something has had an answer on its connection.
        self._unsent |= self._unseen & self._open.keys()
        self._unseen = set()
        first = self._open.get(intent.command)
        self._open[intent.command] = (intent, number if first is None else first[1])
        self._unsent.discard(intent.command)
        # Nothing was sent with this sequence before.
        before = self._by_sequence.get(intent.sequence)
        if before in self._open and before != intent.command:
            self._unsent.add(before)
        self._by_sequence[intent.sequence] = intent.command
        if len(self._by_sequence) > _SEQUENCES:
            del self._by_sequence[next(iter(self._by_sequence))]

    def answer(self, command: str) -> Answered | None:
        """The outcome of a command, if it has one that is remembered."""
        found = self._answers.get(command)
        return None if found is None else found[0]

    def intent(self, command: str) -> Intent | None:
        """A command that was given to the exchange and has no outcome."""
        found = self._open.get(command)
        return None if found is None else found[0]

    def remembers(self, fence: int, at: float) -> bool:
        """Whether every outcome is remembered of a command that was given at *at*, on the clock of owner *fence*."""
        return (fence, at) > self._forgotten

    def is_unsent(self, command: str) -> bool:
        """Whether the exchange has certainly not received a command without an outcome."""
        return command in self._unsent

    @property
    def open_intents(self) -> list[Intent]:
        """The commands without an outcome, in order of their sequences."""
        return sorted((intent for intent, _ in self._open.values()), key=lambda intent: intent.sequence)

    # What can be deleted

    @property
    def forgotten(self) -> int:
        """How many outcomes were forgotten since the last checkpoint."""
        return self._count

    def checkpoint(self) -> Checkpoint:
        """To be appended before the records before :attr:`first_needed` are deleted."""
        return Checkpoint(self.fence, self.settled_through, *self._forgotten)

    @property
    def first_needed(self) -> int:
        """The number of the first record that a takeover needs; 0 if there is none."""
        oldest = [number for _, number in self._open.values()]
        answered = [number for _, number in islice(self._answers.values(), 1)]
        return min(oldest + answered, default=0)

    def outbox(self) -> list[tuple[Intent, OutboxEntry]]:
        """The commands without an outcome as a client's store has them, without keys."""
        return [
            (
                intent,
                OutboxEntry(
                    kind=intent.kind,
                    payload=bytes(intent.payload),
                    created_ns=intent.created_ns,
                    client_order_id=intent.client_order_id,
                    sequence=intent.sequence,
                ),
            )
            for intent in self.open_intents
        ]
