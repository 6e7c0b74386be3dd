"""The ledger: keys, sequences and histories of clients.

The venue records every input and its outputs in the ledger. Whatever depends on an input is sent through
:meth:`Ledger.when_durable`: a ledger in memory calls back at once, a journal once the input is on disk. So nothing is
sent that a crash could undo.
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
    """One client: its key, its last sequence, and its history in order of transaction id.

    Attributes:
        history: the newest transactions; a journal keeps older ones only on disk.
        first: the place of ``history[0]`` in the whole history. Places stay valid when old transactions are forgotten.
        floor: the id of the newest transaction that is not in memory; 0 if all are.
    """

    __slots__ = ("client_id", "first", "floor", "history", "last_sequence", "public_key")

    def __init__(self, client_id: str, public_key: PublicKey) -> None:
        self.client_id: str = client_id
        self.public_key: PublicKey = public_key
        self.last_sequence: int = 0
        self.history: list[Transaction] = []
        self.first: int = 0
        self.floor: int = 0

    @property
    def end(self) -> int:
        """The place after the newest transaction."""
        return self.first + len(self.history)

    @property
    def newest(self) -> int:
        """The id of the newest transaction, 0 if there is none."""
        return self.history[-1].transaction_id if self.history else self.floor

    def after(self, transaction_id: int) -> int:
        """The place after *transaction_id*, -1 = the end. Places below :attr:`first` must be read from disk."""
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
    """The memory of the exchange."""

    def client(self, client_id: str) -> ClientRecord | None:
        """The record of a client, ``None`` if it is not registered."""

    def append(
        self,
        command: Command | None,
        outputs: Sequence[Output],
        *,
        client_id: str = "",
        sequence: int | None = None,
        public_key: PublicKey | None = None,
    ) -> None:
        """Record a command and its outputs.

        Args:
            command: ``None`` for a client message that could not be decoded.
            outputs: each Private becomes a transaction of its client.
            client_id: the client that sent the message, or that is registered.
            sequence: of the message; ``None`` if no client sent it.
            public_key: of the client that the command registers.

        Raises:
            JournalError: the journal cannot be written any more.
        """

    def when_durable(self, action: Callable[..., None], *args: Any) -> None:
        """Call *action* once everything appended so far is durable, in order of the calls; at once if it is already.

        If it cannot be made durable, *action* is never called, and everybody is disconnected.
        """

    @property
    def backlog(self) -> int:
        """The number of inputs that are not durable yet."""

    async def read(self, record: ClientRecord, after: int, limit: int) -> list[Transaction]:
        """At most *limit* transactions with ids above *after* that are not in memory.

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
        """See :class:`Ledger`. Transaction ids count over all clients, so each client sees gaps."""
        if public_key is not None:
            self._clients[client_id] = ClientRecord(client_id, public_key)
        if sequence is not None:
            self._clients[client_id].last_sequence = sequence
        timestamp = (command.time_us if command is not None else 0) / 1_000_000
        for output in outputs:
            if type(output) is Private:
                self._last_transaction_id += 1
                record = self._clients[output.client_id]
                record.history.append(Transaction(self._last_transaction_id, timestamp, encode(output.message)))

    def when_durable(self, action: Callable[..., None], *args: Any) -> None:
        """See :class:`Ledger`."""
        action(*args)

    async def read(self, record: ClientRecord, after: int, limit: int) -> list[Transaction]:
        """See :class:`Ledger`. Everything is in memory, so there is nothing to read."""
        return []
