"""What the exchange remembers of its clients: keys, sequences, and the history that replays are read from.

The ledger is the seam for a durable journal: the venue hands it every input with what came of it, and whatever
rests on an input leaves the exchange through :meth:`Ledger.when_durable`. A ledger in memory calls back at once, a
journal when the input is on disk; so nobody is told what a crash could take back.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, Final, Protocol

import msgspec

from ..keys import PublicKey
from ..messages import encode
from .commands import Command, Output, Private

__all__ = ["ClientRecord", "Ledger", "MemoryLedger", "Transaction"]

_BY_ID: Final = attrgetter("transaction_id")


class Transaction(msgspec.Struct, frozen=True, gc=False):
    """One event of one client's history, as it is sent: *timestamp* in unix seconds, *payload* JSON."""

    transaction_id: int
    timestamp: float
    payload: bytes


class ClientRecord:
    """One client: its key, the last sequence seen of it, and its history in order of transaction id.

    Attributes:
        history: the newest transactions; all of them, unless the ledger keeps older ones on disk alone.
        first: the place of ``history[0]`` in the whole history, so that places stay valid while old ones are forgotten.
        floor: the id of the newest transaction that is no longer in memory; 0 where all are.
    """

    __slots__ = ("client_id", "first", "floor", "history", "last_sequence", "public_key")

    def __init__(self, client_id: str, public_key: PublicKey) -> None:
        self.client_id = client_id
        self.public_key = public_key
        self.last_sequence = 0
        self.history: list[Transaction] = []
        self.first = 0
        self.floor = 0

    @property
    def end(self) -> int:
        """The place behind the newest transaction."""
        return self.first + len(self.history)

    @property
    def newest(self) -> int:
        """The id of the newest transaction, 0 where there is none."""
        return self.history[-1].transaction_id if self.history else self.floor

    def after(self, transaction_id: int) -> int:
        """The place of what comes after *transaction_id*, -1 standing for its end; below :attr:`first`: read it."""
        if transaction_id < 0:
            return self.end
        if transaction_id < self.floor:
            return self.first - 1
        return self.first + bisect_right(self.history, transaction_id, key=_BY_ID)

    def forget(self, keep: int) -> None:
        """Forget all but the newest *keep* transactions."""
        surplus = len(self.history) - keep
        if surplus > 0:
            self.floor = self.history[surplus - 1].transaction_id
            del self.history[:surplus]
            self.first += surplus


class Ledger(Protocol):
    """Where the exchange keeps what it must not forget."""

    def client(self, client_id: str) -> ClientRecord | None:
        """The record of a client, ``None`` where it is not registered."""

    def append(
        self,
        command: Command | None,
        outputs: Sequence[Output],
        *,
        client_id: str = "",
        sequence: int | None = None,
        public_key: PublicKey | None = None,
    ) -> None:
        """Keep a command and what came of it.

        Args:
            command: ``None`` for a client message that was refused before it became a command.
            outputs: each Private of them becomes a transaction of its client.
            client_id: the client whose message it was, or who is registered.
            sequence: the sequence of that message, ``None`` where no client sent it.
            public_key: the key of a new client, which the command registers.

        Raises:
            JournalError: nothing can be kept any more.
        """

    def when_durable(self, action: Callable[..., None], *args: Any) -> None:
        """Call *action* as soon as all that was appended is durable, at once where it is; in order of the calls.

        Never, where it cannot be made durable: then everybody is disconnected.
        """

    @property
    def backlog(self) -> int:
        """How many inputs are not durable yet."""

    async def read(self, record: ClientRecord, after: int, limit: int) -> list[Transaction]:
        """The transactions after the one with the id *after* that are no longer in memory, *limit* at the most.

        Raises:
            JournalError: they cannot be read.
        """


class MemoryLedger:
    """A ledger that lives as long as its process."""

    backlog: Final = 0

    def __init__(self) -> None:
        self._clients: dict[str, ClientRecord] = {}
        self._last_transaction_id = 0

    def client(self, client_id: str) -> ClientRecord | None:
        """See :class:`Ledger`."""
        return self._clients.get(client_id)

    def append(
        self,
        command: Command | None,
        outputs: Sequence[Output],
        *,
        client_id: str = "",
        sequence: int | None = None,
        public_key: PublicKey | None = None,
    ) -> None:
        """See :class:`Ledger`. Transaction ids are numbered over all clients, so each client sees gaps."""
        if public_key is not None:
            self._clients[client_id] = ClientRecord(client_id, public_key)
        if sequence is not None:
            self._clients[client_id].last_sequence = sequence
        for output in outputs:
            if isinstance(output, Private):
                self._last_transaction_id += 1
                record = self._clients[output.client_id]
                timestamp = (command.time_us if command is not None else 0) / 1_000_000
                record.history.append(Transaction(self._last_transaction_id, timestamp, encode(output.message)))

    def when_durable(self, action: Callable[..., None], *args: Any) -> None:
        """See :class:`Ledger`."""
        action(*args)

    async def read(self, record: ClientRecord, after: int, limit: int) -> list[Transaction]:
        """See :class:`Ledger`. All is in memory, so there is nothing to read."""
        return []
