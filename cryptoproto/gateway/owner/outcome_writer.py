"""Writes the outcomes of commands to the command log, in the order in which they became known."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from ...exceptions import OwnershipLost
from ..command_log import CommandLog
from ..records import Answered, Intent, LogRecord, encode_records
from ..streams import StreamWriter

__all__ = ["GATHER_S", "OutcomeWriter", "Slot"]

GATHER_S: Final = 0.001
"""How long an outcome waits for others, or for the next command, to be written as one message.

Strategies have the reply by then: writing and publishing share the processor with it.
"""
_TOGETHER: Final = 64
"""How many outcomes are one message, which must not be larger than NATS takes: 1 MB, if it is not configured."""
_DELETE_AFTER: Final = 1_000
"""How many outcomes are forgotten before their records are deleted together."""


class Slot(msgspec.Struct, eq=False):
    """The place of an outcome in the log. It is known, and :attr:`record` follows."""

    record: Answered | None = None


class OutcomeWriter:
    """Takes outcomes, and writes those that come together as one message.

    There is one message with outcomes at a time. If somebody else wrote to the log in between, the first of two could
    be refused and the second accepted; an outcome would be missing, and events that it follows from would not count.

    Args:
        writer: of the command log.
        log: what the log says.
        purge: deletes the messages of the log before a number.
    """

    def __init__(self, writer: StreamWriter, log: CommandLog, purge: Callable[[int], Awaitable[None]]) -> None:
        self._writer = writer
        self._log = log
        self._purge = purge
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Slot] = deque()
        self._writing: asyncio.Future[int] | None = None
        self._delete_before = 0  # once the present message is stored
        self._deleting: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._changed = asyncio.Event()
        self._error: OwnershipLost | None = None
        self._is_closed = False

    def reserve(self) -> Slot:
        """An outcome is known; :meth:`put` follows. Those that become known later are written after it."""
        slot = Slot()
        self._waiting.append(slot)
        return slot

    def put(self, record: Answered, slot: Slot) -> None:
        """Write *record* soon. It counts at once: if it cannot be written, this ownership ends."""
        self._log.apply(record, self._writer.last)
        slot.record = record
        self._changed.set()
        if self._writing is None and self._timer is None and not self._is_closed:
            self._timer = self._loop.call_later(GATHER_S, self._write)

    def write_with(self, intent: Intent) -> asyncio.Future[int]:
        """Write *intent*, together with the outcomes that wait; the future has the number of the message.

        Its exception is OwnershipLost: it cannot be written.
        """
        outcomes = [] if self._writing is not None else self._next_records()
        number = self._start(outcomes, intent) if outcomes else self._writer.send(encode_records(intent))
        return self._writer.stored(number)

    async def flushed(self, *, at_once: bool = True) -> None:
        """Wait until every outcome that is known is in the log.

        Args:
            at_once: whether to write them now; otherwise they may wait for the next command, for at most 1 ms.

        Raises:
            OwnershipLost: it cannot be written.
        """
        while self._error is None and (self._waiting or self._writing is not None):
            if at_once or self._is_closed:
                self._write()
            self._changed.clear()
            await self._changed.wait()
        if self._error is not None:
            raise OwnershipLost(str(self._error))

    def close(self) -> None:
        """Write nothing more by itself; the next owner comes to the same outcomes. :meth:`flushed` still does."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._deleting is not None:
            self._deleting.cancel()

    def _write(self) -> None:
        """Write what waits, unless a message is on its way: its end comes here, too."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._writing is None and (outcomes := self._next_records()):
            self._start(outcomes)

    def _start(self, outcomes: list[Answered], *more: Intent) -> int:
        records: list[LogRecord] = [*outcomes, *more]
        # A checkpoint says through which transaction outcomes are known, so it must not come before any of them.
        if not self._waiting and self._log.forgotten >= _DELETE_AFTER:
            self._delete_before = self._log.first_needed
            records.append(checkpoint := self._log.checkpoint())
            self._log.apply(checkpoint, self._writer.last)
        number = self._writer.send(encode_records(*records))
        self._writing = written = self._writer.stored(number)
        written.add_done_callback(self._on_written)
        return number

    def _on_written(self, written: asyncio.Future[int]) -> None:
        self._writing = None
        error = written.exception()
        if isinstance(error, OwnershipLost):
            self._error = error
        elif not self._is_closed:
            if self._delete_before:
                self._deleting = asyncio.ensure_future(self._purge(self._delete_before))
                self._delete_before = 0
            self._write()
        self._changed.set()

    def _next_records(self) -> list[Answered]:
        """What can be written: up to the first outcome that is known but was not given to :meth:`put` yet."""
        records: list[Answered] = []
        while self._waiting and len(records) < _TOGETHER and (record := self._waiting[0].record) is not None:
            records.append(record)
            self._waiting.popleft()
        return records
