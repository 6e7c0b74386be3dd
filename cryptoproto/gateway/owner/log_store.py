"""The owner's store: its outbox is the command log, and its position is the end of the event stream."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import msgspec

from ...client.error_row import ErrorRow
from ...client.store import OutboxEntry
from ...exceptions import CryptoprotoError, OwnershipLost, RequestNotSent
from ..command_log import CommandLog
from ..records import Answered, Connected, Intent, Placed, encode_records
from ..streams import StreamWriter
from .command import CURRENT, Command
from .outcome_writer import OutcomeWriter, Slot

__all__ = ["LogStore"]


class _OrderOf(msgspec.Struct):
    """The part of a late report that says which order it is about."""

    client_order_id: int | None = None


class LogStore:
    """A :class:`~cryptoproto.client.store.ReservingStore` in the command log.

    An outcome is written before the events that it follows from are published (:meth:`flushed`). So if this process
    dies in between, the next owner receives these events again and comes to the same outcome. For the same reason,
    outcomes are written in the order of the events: an owner takes no outcome from events up to ``settled_through``.

    Args:
        writer: of the command log.
        log: what the log says, up to the writer's last message.
        position: the last transaction in the event stream; ``None`` if it is empty.
        holds: whether this process owns the session at this moment.
        purge: deletes the records of the log before a number.
        clock: seconds; the clock of deadlines.

    Attributes:
        position: see :attr:`Store.position <cryptoproto.Store.position>`.
        settled_through: see :attr:`Store.settled_through <cryptoproto.Store.settled_through>`.
    """

    commit_every = 1024

    def __init__(
        self,
        writer: StreamWriter,
        log: CommandLog,
        position: int | None,
        holds: Callable[[], bool],
        purge: Callable[[int], Awaitable[None]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.position: int | None = position
        self.settled_through: int = log.settled_through
        self._writer = writer
        self._log = log
        self._holds = holds
        self._clock = clock
        self._last_key = 0
        self._sent = asyncio.Event()
        self._sent.set()
        self._commands: dict[int, Command] = {}  # without an outcome, by key
        self._settled: dict[int, tuple[int, Slot]] = {}  # settled, but the answer was not given to the log yet
        self._outcomes = OutcomeWriter(writer, log, purge)

    def open(self, client_id: str, server_fingerprint: str) -> None:
        """Nothing to do: the names of the streams contain the client id."""

    @property
    def holds(self) -> bool:
        """Whether this process owns the session at this moment."""
        return self._holds()

    @property
    def has_open(self) -> bool:
        """Whether there are commands without an outcome."""
        return bool(self._commands)

    async def wait_sent(self, timeout: float) -> None:
        """If a command is about to be sent, wait until it is, for at most *timeout* seconds."""
        if not self._sent.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await self._sent.wait()

    def outbox(self) -> list[OutboxEntry]:
        """See :meth:`Store.outbox <cryptoproto.Store.outbox>`: the commands that the exchange may have received."""
        entries = []
        for intent, entry in self._log.outbox():
            command = Command(intent.command, intent.strategy)
            if self._log.is_unsent(intent.command):
                self.answer(command, RequestNotSent("the owner was lost before the exchange received it"))
            else:
                entry.key = self._add(command)
                entries.append(entry)
        return entries

    def watch(self, handling: Callable[[], int | None]) -> None:
        """Nothing to do: nobody changes tables together with the position."""

    def advance(self, transaction_id: int) -> None:
        """See :meth:`Store.advance <cryptoproto.Store.advance>`; it is publishing that makes it durable."""
        if self.position is None or transaction_id > self.position:
            self.position = transaction_id

    def reserve(self, entry: OutboxEntry) -> Awaitable[None]:
        """Write down that the command of this task is about to be sent with the sequence of *entry*.

        Raises:
            RequestNotSent: this process is not the owner any more.
        """
        command = CURRENT.get()
        intent = Intent(
            command=command.id,
            strategy=command.strategy,
            kind=entry.kind,
            payload=msgspec.Raw(entry.payload),
            sequence=entry.sequence or 0,
            created_ns=entry.created_ns,
            client_order_id=entry.client_order_id,
        )
        self._sent.clear()
        return self._reserved(intent, self._outcomes.write_with(intent))

    async def _reserved(self, intent: Intent, written: asyncio.Future[int]) -> None:
        try:
            number = await written
        except OwnershipLost as error:
            self._sent.set()
            raise RequestNotSent(f"{error}; the next owner takes commands") from error
        self._log.apply(intent, number)

    async def connected(self, last_sequence: int) -> None:
        """See :meth:`ReservingStore.connected <cryptoproto.client.store.ReservingStore.connected>`.

        Raises:
            OwnershipLost: it cannot be written.
        """
        self._sent.set()  # what was about to be sent on the connection before was not
        record = Connected(last_sequence)
        number = await self._writer.append(encode_records(record))
        self._log.apply(record, number)

    def put(self, entry: OutboxEntry) -> int:
        """The message is sent now.

        Raises:
            RequestNotSent: this process is not the owner any more, or the strategy was killed.
        """
        self._sent.set()
        if not self._holds():
            raise RequestNotSent("this gateway is not the owner any more; the next owner takes commands")
        command = CURRENT.get()
        if command.is_refused():
            raise RequestNotSent(f"strategy {command.strategy} was killed by an operator")
        entry.key = command.key = self._add(command)
        return entry.key

    def _add(self, command: Command) -> int:
        self._last_key += 1
        self._commands[self._last_key] = command
        return self._last_key

    def remove(self, key: int, settled_through: int) -> None:
        """See :meth:`Store.remove <cryptoproto.Store.remove>`; :meth:`answer` follows."""
        self.settled_through = max(self.settled_through, settled_through)
        if self._commands.pop(key, None) is not None:
            self._settled[key] = settled_through, self._outcomes.reserve()

    def is_settled(self, command: Command) -> bool:
        """Whether the outcome of *command* is known and has to be given to :meth:`answer`."""
        return command.key in self._settled

    def answer(self, command: Command, error: CryptoprotoError | None, placed: Placed | None = None) -> None:
        """Give the outcome of *command*, which this process has called the client for, to the log."""
        through, slot = self._settled.pop(-1 if command.key is None else command.key, (-1, None))
        record = self._answered(command, ErrorRow.of(error), through, placed=placed)
        self._outcomes.put(record, slot or self._outcomes.reserve())

    def put_late_report(self, report: bytes, key: int | None, settled_through: int) -> int:
        """See :meth:`Store.put_late_report <cryptoproto.Store.put_late_report>`: nobody waits for this outcome."""
        self._last_key += 1
        command = None if key is None else self._commands.pop(key, None)
        self.settled_through = max(self.settled_through, settled_through)
        if command is not None:
            outcome = msgspec.json.decode(report, type=ErrorRow)
            number = msgspec.json.decode(report, type=_OrderOf).client_order_id
            record = self._answered(command, outcome, settled_through, number)
            self._outcomes.put(record, self._outcomes.reserve())
        return self._last_key

    def _answered(
        self, command: Command, outcome: ErrorRow, through: int, number: int | None = None, placed: Placed | None = None
    ) -> Answered:
        return Answered(
            command=command.id,
            strategy=command.strategy,
            outcome=outcome,
            client_order_id=number,
            placed=placed,
            settled_through=through,
            fence=self._log.fence,
            at=self._clock(),
        )

    def late_reports(self) -> list[tuple[int, bytes]]:
        """None: strategies ask for the outcomes of their commands."""
        return []

    def remove_late_report(self, key: int) -> None:
        """Nothing to do."""

    def flush(self) -> None:
        """Nothing to do: see :meth:`flushed`."""

    def close(self) -> None:
        """Write nothing more; the next owner comes to the same outcomes."""
        self._outcomes.close()

    async def flushed(self, *, at_once: bool = True) -> None:
        """Wait until every outcome that is known is in the log; see :meth:`OutcomeWriter.flushed`.

        Raises:
            OwnershipLost: it cannot be written.
        """
        await self._outcomes.flushed(at_once=at_once)
