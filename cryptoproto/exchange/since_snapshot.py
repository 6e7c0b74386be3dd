"""What has happened since a journal's last snapshot: what the next one adds, and a restart carries out again."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence

from ..messages import PlaceOrder
from .commands import Command, Output, Refused, Submit
from .journal_schema import Head, SnapshotRow

__all__ = ["SinceSnapshot"]


class SinceSnapshot:
    """The commands since the last snapshot.

    Args:
        number: the command after which that snapshot was made.
        used_before: the number of client order ids used up to it.

    Attributes:
        commands: how many there have been since.
    """

    __slots__ = ("_number", "_used", "_used_before", "commands")

    def __init__(self, number: int, used_before: int) -> None:
        self.commands: int = 0
        self._number = number
        self._used_before = used_before
        self._used: dict[int, array[int]] = {}

    def add(self, client: int | None, command: Command | None, outputs: Sequence[Output]) -> None:
        """Count a command.

        Args:
            client: the number of the client that it came from.
            command: ``None`` for a message that could not be decoded.
            outputs: what it led to. An order that was answered with an error has used no client order id.
        """
        self.commands += 1
        if isinstance(command, Submit) and client is not None:
            message = command.message
            if isinstance(message, PlaceOrder) and message.client_order_id is not None:
                if outputs and isinstance(outputs[-1], Refused):
                    return
                used = self._used.get(client)
                if used is None:
                    used = self._used[client] = array("q")
                used.append(message.client_order_id)

    def snapshot(self, head: Head, sequences: Mapping[str, int], engine: bytes) -> SnapshotRow:
        """The snapshot after the last command; then count from there.

        Args:
            head: the position after that command.
            sequences: the last sequence of each client.
            engine: its state, without client order ids.
        """
        row = SnapshotRow(head.copy(), dict(sequences), engine, self._number, self._used_before, self._used)
        self._number = head.number
        self._used_before += sum(map(len, self._used.values()))
        self._used = {}
        self.commands = 0
        return row
