"""The durable ledger: every input and every event is in SQLite before anybody receives it.

Inputs of one turn of the event loop, and those that arrive while an older group is written, are committed together by
one thread. What depends on them waits in a queue: events, responses and market data are sent in order, after their
commit. Before :meth:`Journal.start` and after :meth:`Journal.stop` there is no event loop, and each input is committed
before :meth:`Journal.append` returns.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from decimal import Decimal
from typing import Any, Final

from ..exceptions import ConfigurationError, JournalError
from ..file_lock import FileLock
from ..instruments import Instrument
from ..keys import PrivateKey, PublicKey
from ..messages import encode
from .commands import Command, Output, Private
from .engine import DEFAULT_PAIRS, Engine
from .journal_file import JournalFile, check_file, create, lock_journal
from .journal_schema import Batch, encode_command, row_checksum
from .ledger import ClientRecord, Transaction
from .options import traded_instruments
from .recovery import Recovered, recover

__all__ = ["Journal", "open_journal"]

logger: logging.Logger = logging.getLogger("cryptoproto.exchange")

SNAPSHOT_EVERY: Final = 10_000  # commands; it takes about a second to carry them out again
_TAIL: Final = 1024
"""Transactions of a client that stay in memory; at twice as many, the older half is forgotten."""


def open_journal(
    path: str | os.PathLike[str],
    *,
    private_key: PrivateKey | None = None,
    trade_pairs: Sequence[str] | None = None,
    maker_fee: Decimal | None = None,
    taker_fee: Decimal | None = None,
    instruments: Sequence[Instrument] = (),
    snapshot_every: int = SNAPSHOT_EVERY,
) -> Journal:
    """Open the journal at *path*, or create one; see :class:`~cryptoproto.exchange.Exchange`.

    The *instruments* are only checked: setting them is a command.

    Raises:
        ConfigurationError: the file is not a journal, is in use, or contradicts an argument.
        JournalError: the journal is damaged.
    """
    if not isinstance(path, str | os.PathLike) or not os.fspath(path):
        raise ConfigurationError(f"path={path!r} must be the name of the journal's file")
    path = os.path.realpath(path)
    if os.path.isdir(path):
        raise ConfigurationError(f"{path}: this is a folder; give the name of the journal's file in it")
    if os.path.exists(path):
        check_file(path)  # before the lock, which would leave a file beside one that is not ours
    lock = lock_journal(path)
    with contextlib.ExitStack() as undo:
        undo.callback(lock.release)
        if not os.path.lexists(path):
            engine = Engine(
                trade_pairs=DEFAULT_PAIRS if trade_pairs is None else trade_pairs,
                maker_fee=maker_fee or Decimal(0),
                taker_fee=taker_fee or Decimal(0),
            )
            traded_instruments(instruments, engine.trade_pairs)
            create(path, private_key or PrivateKey.generate(), engine.snapshot())
            lock.follow()
        file = JournalFile(path)
        undo.callback(file.close)
        recovered = recover(file)
        _check_options(path, recovered, private_key, trade_pairs, maker_fee, taker_fee)
        traded_instruments(instruments, recovered.engine.trade_pairs)
        undo.pop_all()
    return Journal(file, lock, recovered, snapshot_every)


def _check_options(
    path: str,
    recovered: Recovered,
    private_key: PrivateKey | None,
    trade_pairs: Sequence[str] | None,
    maker_fee: Decimal | None,
    taker_fee: Decimal | None,
) -> None:
    if private_key is not None and private_key.public_key != recovered.private_key.public_key:
        raise ConfigurationError(
            f"{path}: the journal belongs to an exchange with another key, {recovered.private_key.fingerprint}; "
            f"leave private_key out, or choose another file"
        )
    engine = recovered.engine
    fees = engine.fees
    for name, given, kept in (
        ("trade_pairs", None if trade_pairs is None else tuple(trade_pairs), engine.trade_pairs),
        ("maker_fee", maker_fee, fees[0]),
        ("taker_fee", taker_fee, fees[1]),
    ):
        if given is not None and given != kept:
            raise ConfigurationError(
                f"{path}: the journal belongs to an exchange with {name}={kept}, not {given}; "
                f"leave {name} out, or choose another file"
            )


class Journal:
    """The ledger of an exchange with a journal; see :class:`~cryptoproto.exchange.ledger.Ledger`.

    Attributes:
        engine: in the state of the last commit.
        private_key: of the exchange.
        failure: why nothing can be written any more.
        snapshot_every: commands between two snapshots; more if more orders are open.
    """

    def __init__(self, file: JournalFile, lock: FileLock, recovered: Recovered, snapshot_every: int) -> None:
        self.engine: Engine = recovered.engine
        self.private_key: PrivateKey = recovered.private_key
        self.failure: JournalError | None = None
        self.snapshot_every = snapshot_every
        self._file = file
        self._lock: FileLock | None = lock
        self._head = recovered.head
        self._records = recovered.records
        self._numbers = recovered.numbers
        self._since = recovered.since
        self._snapshot_due = snapshot_every
        self._durable = self._head.number
        self._pending = Batch()
        self._actions: deque[tuple[int, Callable[..., None], tuple[Any, ...]]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._on_failure: Callable[[JournalError], None] | None = None
        self._threads: tuple[ThreadPoolExecutor, ThreadPoolExecutor] | None = None
        self._writing = False
        self._turn: asyncio.Future[None] | None = None

    # The ledger

    @property
    def path(self) -> str:
        """The file."""
        return self._file.path

    @property
    def last_transaction_id(self) -> int:
        """The id of the newest event over all clients."""
        return self._head.transaction_id

    @property
    def since_snapshot(self) -> int:
        """The number of commands since the last snapshot: a restart after a crash carries them out again."""
        return self._since.commands

    @property
    def closed(self) -> bool:
        """Whether the file is closed."""
        return self._lock is None

    @property
    def backlog(self) -> int:
        """The number of inputs that are not durable yet."""
        return self._head.number - self._durable

    def client(self, client_id: str) -> ClientRecord | None:
        """See :class:`~cryptoproto.exchange.ledger.Ledger`."""
        return self._records.get(client_id)

    def append(
        self,
        command: Command | None,
        outputs: Sequence[Output],
        *,
        client_id: str = "",
        sequence: int | None = None,
        public_key: PublicKey | None = None,
    ) -> None:
        """See :class:`~cryptoproto.exchange.ledger.Ledger`."""
        self._check_writable()
        pending, numbers, records = self._pending, self._numbers, self._records
        if public_key is not None:
            records[client_id] = ClientRecord(client_id, public_key)
            number = numbers[client_id] = len(numbers) + 1
            pem = public_key.to_pem().decode()
            pending.clients.append((number, client_id, pem, row_checksum(number, client_id, pem)))
        told = [(output.client_id, encode(output.message)) for output in outputs if isinstance(output, Private)]
        client = numbers.get(client_id)
        row, events = self._head.follow(
            client,
            sequence,
            None if command is None else encode_command(command),
            0 if command is None else command.time_us,
            [(numbers[owner], payload) for owner, payload in told],
        )
        if sequence is not None:
            records[client_id].last_sequence = sequence
        pending.commands.append(row)
        if told:
            pending.events += events
            self._actions.append((row[0], self._publish, (told, events)))
        since = self._since
        since.add(client, command, outputs)
        if since.commands >= self._snapshot_due and pending.snapshot is None:
            # The cost of a snapshot grows with the open orders, and so does the time until the next one.
            self._snapshot_due = max(self.snapshot_every, self.engine.open_order_count)
            if since.commands >= self._snapshot_due:
                self._take_snapshot()
        self._commit_soon()

    def when_durable(self, action: Callable[..., None], *args: Any) -> None:
        """See :class:`~cryptoproto.exchange.ledger.Ledger`."""
        if self.failure is not None:
            return
        if self._actions or self._durable != self._head.number:
            self._actions.append((self._head.number, action, args))
        else:
            action(*args)

    async def read(self, record: ClientRecord, after: int, limit: int) -> list[Transaction]:
        """See :class:`~cryptoproto.exchange.ledger.Ledger`."""
        if self._threads is None:
            raise JournalError(self.path, "the journal is closed")
        loop = asyncio.get_running_loop()
        client = self._numbers[record.client_id]
        return await loop.run_in_executor(self._threads[1], self._file.read, client, after, record.floor, limit)

    # Committing

    def start(self, on_failure: Callable[[JournalError], None]) -> None:
        """Commit in a thread from here on, for the running event loop; *on_failure* is called if that fails.

        Raises:
            JournalError: writing has failed before.
        """
        if self.failure is not None:
            raise self.failure
        self._loop = asyncio.get_running_loop()
        self._on_failure = on_failure
        self._threads = (ThreadPoolExecutor(1, "journal-writer"), ThreadPoolExecutor(1, "journal-reader"))

    async def flush(self) -> None:
        """Wait until everything that was appended is durable, and what depends on it was called.

        Raises:
            JournalError: the journal cannot be written.
        """
        while self.failure is None and (self._actions or self.backlog):
            if self._turn is None:
                self._turn = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._turn)
        if self.failure is not None:
            raise self.failure

    async def stop(self) -> None:
        """Commit everything and end the threads."""
        with contextlib.suppress(JournalError):  # on_failure was called
            await self.flush()
        threads, self._threads, self._loop = self._threads, None, None
        for thread in threads or ():
            thread.shutdown()

    def close(self) -> None:
        """Take a snapshot if anything is new, move the log into the file, and close it. Idempotent."""
        if self._lock is None:
            return
        if self.failure is None and self._since.commands and self._pending.snapshot is None:
            self._take_snapshot()
            with contextlib.suppress(JournalError):  # the commands are durable, and the failure is logged
                self._commit_now()
        self._file.close()
        self._lock.release()
        self._lock = None

    def _check_writable(self) -> None:
        if self.failure is not None:
            raise self.failure
        if self._lock is None:
            raise ConfigurationError(f"{self.path}: the exchange and its journal are closed")

    def _take_snapshot(self) -> None:
        sequences = {client_id: record.last_sequence for client_id, record in self._records.items()}
        engine = self.engine.snapshot(client_order_ids=False)
        self._pending.snapshot = self._since.snapshot(self._head, sequences, engine)

    def _commit_soon(self) -> None:
        if self._loop is None:
            self._commit_now()
        elif not self._writing:
            # At the end of this turn of the event loop, with all other inputs of the turn.
            self._writing = True
            self._loop.call_soon(self._hand_over)

    def _commit_now(self) -> None:
        batch, self._pending = self._pending, Batch()
        try:
            self._file.write(batch)
        except sqlite3.Error as error:
            self._fail(error)
            raise self._failed(error) from error
        self._durable = self._head.number
        self._release()

    def _hand_over(self) -> None:
        if self._threads is None or self._loop is None:
            return
        batch, self._pending = self._pending, Batch()
        loop, number = self._loop, self._head.number
        written = self._threads[0].submit(self._file.write, batch)
        written.add_done_callback(lambda future: loop.call_soon_threadsafe(self._on_written, number, future))

    def _on_written(self, number: int, written: Future[None]) -> None:
        error = written.exception()
        if error is not None:
            self._fail(error)
            return
        self._durable = number
        if self._pending.commands:
            self._hand_over()  # first, so that the disk works at the same time as the event loop
        else:
            self._writing = False
        self._release()

    def _release(self) -> None:
        actions, durable = self._actions, self._durable
        try:
            while actions and actions[0][0] <= durable:
                _, action, args = actions.popleft()
                action(*args)
        finally:
            if self._loop is not None and actions and actions[0][0] <= durable:
                self._loop.call_soon(self._release)  # an action has failed: that must not hold up the others
            self._wake()

    def _publish(self, told: list[tuple[str, bytes]], events: list[tuple[int, int, int, str, int]]) -> None:
        for (client_id, payload), (_, transaction_id, time_us, _, _) in zip(told, events, strict=True):
            record = self._records[client_id]
            record.history.append(Transaction(transaction_id, time_us / 1_000_000, payload))
            if len(record.history) >= 2 * _TAIL:
                record.forget(_TAIL)

    def _failed(self, error: BaseException) -> JournalError:
        return JournalError(self.path, f"the journal cannot be written, and the exchange stops: {error}")

    def _fail(self, error: BaseException) -> None:
        """Drop everything that waits for the disk: it must never be sent."""
        self.failure = self._failed(error)
        self.failure.__cause__ = error
        logger.critical("%s", self.failure)
        self._actions.clear()
        self._pending = Batch()
        self._wake()
        if self._on_failure is not None:
            self._on_failure(self.failure)

    def _wake(self) -> None:
        turn, self._turn = self._turn, None
        if turn is not None and not turn.done():
            turn.set_result(None)
