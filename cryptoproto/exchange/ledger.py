"""What the exchange remembers of its clients: keys, sequences, and the history that replays are read from.

The ledger is the seam for a durable journal: the server hands it every accepted command with what came of it, and
sends to clients only what the ledger's histories hold.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from operator import attrgetter
from typing import Final, Protocol

import msgspec

from ..exceptions import ConfigurationError
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
    """One client: its key, the last sequence seen of it, and its history in order of transaction id."""

    __slots__ = ("client_id", "history", "last_sequence", "public_key")

    def __init__(self, client_id: str, public_key: PublicKey) -> None:
        self.client_id = client_id
        self.public_key = public_key
        self.last_sequence = 0
        self.history: list[Transaction] = []

    def after(self, transaction_id: int) -> int:
        """The index in the history of what comes after *transaction_id*; -1 stands for its end."""
        if transaction_id < 0:
            return len(self.history)
        return bisect_right(self.history, transaction_id, key=_BY_ID)


class Ledger(Protocol):
    """Where the exchange keeps what it must not forget."""

    def client(self, client_id: str) -> ClientRecord | None:
        """The record of a client, ``None`` where it is not registered."""

    def add_client(self, client_id: str, public_key: PublicKey) -> bool:
        """Register a client: whether it is new. ConfigurationError where it is known with another key."""

    def append(
        self, command: Command | None, outputs: Iterable[Output], *, client_id: str = "", sequence: int | None = None
    ) -> None:
        """Keep a command and what came of it.

        Args:
            command: ``None`` for a client message that was refused before it became a command.
            outputs: each Private of them becomes a transaction of its client.
            client_id: the client whose message it was.
            sequence: the sequence of that message, ``None`` where no client sent it.
        """


class MemoryLedger:
    """A ledger that lives as long as its process."""

    def __init__(self) -> None:
        self._clients: dict[str, ClientRecord] = {}
        self._last_transaction_id = 0

    def client(self, client_id: str) -> ClientRecord | None:
        """See :class:`Ledger`."""
        return self._clients.get(client_id)

    def add_client(self, client_id: str, public_key: PublicKey) -> bool:
        """See :class:`Ledger`."""
        known = self._clients.get(client_id)
        if known is not None:
            if known.public_key != public_key:
                raise ConfigurationError(
                    f"client {client_id!r} is registered with another key, {known.public_key.fingerprint}"
                )
            return False
        self._clients[client_id] = ClientRecord(client_id, public_key)
        return True

    def append(
        self, command: Command | None, outputs: Iterable[Output], *, client_id: str = "", sequence: int | None = None
    ) -> None:
        """See :class:`Ledger`. Transaction ids are numbered over all clients, so each client sees gaps."""
        if sequence is not None:
            self._clients[client_id].last_sequence = sequence
        for output in outputs:
            if isinstance(output, Private):
                self._last_transaction_id += 1
                record = self._clients[output.client_id]
                timestamp = (command.time_us if command is not None else 0) / 1_000_000
                record.history.append(Transaction(self._last_transaction_id, timestamp, encode(output.message)))
