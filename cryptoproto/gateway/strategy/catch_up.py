"""Catches a strategy up with each new owner: events, tables, and the outcomes of its commands."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Final

import msgspec

from ...client import StateChange, Store
from ...client.event_stream import EventDelivery
from ...client.reports import Reports
from ...client.states import State
from ...exceptions import CryptoprotoError, HistoryTruncated
from ..calls import Snapshot, TakeSnapshot, encode
from .account import StrategyAccount
from .commands import Commands
from .event_reader import EventReader
from .link import GatewayLink

__all__ = ["CatchUp"]

logger: logging.Logger = logging.getLogger("cryptoproto.gateway")

_SNAPSHOT_S: Final = 5.0
_RETRY_S: Final = 0.2


class CatchUp:
    """Runs for as long as the client is open.

    Args:
        link: which gateway is the owner.
        reader: of the event stream.
        tables: the orders and balances.
        commands: those without an outcome.
        reports: where differences go.
        store: knows the position.
        events: ends with what makes it impossible to go on.
        live_only: whether to begin with new events if there is no stored position.
    """

    def __init__(
        self,
        link: GatewayLink,
        reader: EventReader,
        tables: StrategyAccount,
        commands: Commands,
        reports: Reports,
        store: Store,
        events: EventDelivery,
        *,
        live_only: bool,
    ) -> None:
        self._link = link
        self._reader = reader
        self._tables = tables
        self._commands = commands
        self._reports = reports
        self._store = store
        self._events = events
        self._live_only = live_only
        self._lock = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin."""
        parts = (self._follow(), self._watch(), self._end_on_failure(), self._end_on_rewind())
        self._tasks = [asyncio.ensure_future(each) for each in parts]

    async def close(self) -> None:
        """End all tasks. Idempotent."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _follow(self) -> None:
        """Catch up with each owner that is found; ends if the events that were missed are gone."""
        is_reading = False
        while True:
            await self._link.found.wait()
            self._link.found.clear()
            self._tables.number = self._link.number
            try:
                if not is_reading:
                    await self._reader.start(self._store.position, live_only=self._live_only)
                    is_reading = True
                await self.catch_up(self._link.fence)
            except HistoryTruncated as error:
                self._end(error)
                return
            except CryptoprotoError as error:
                logger.info("catching up with the owner: %s", error)
                await asyncio.sleep(_RETRY_S)
                self._link.found.set()

    async def _end_on_failure(self) -> None:
        self._end(await self._reader.wait_failed())

    async def _end_on_rewind(self) -> None:
        self._end(await self._link.wait_rewound())

    def _end(self, error: CryptoprotoError) -> None:
        """The client is closed by *error*; a retry cannot succeed."""
        self._link.enter(StateChange(State.CLOSED, str(error), error=error))
        self._events.fail(error)

    async def _watch(self) -> None:
        """Look whether the events that the owner has published arrive here."""
        while True:
            await self._link.spoke.wait()
            self._link.spoke.clear()
            self._reader.check(self._link.published)

    async def catch_up(self, fence: int) -> None:
        """Take over the owner's tables at one moment, between two events, and learn the outcome of every command.

        Raises:
            CryptoprotoError: the owner did not answer, or is not the owner any more.
        """
        async with self._lock:
            self._reader.hold()
            try:
                await self._adopt_tables(fence)
            finally:
                self._reader.release()
        self._link.enter_live(fence)

    async def _adopt_tables(self, fence: int) -> None:
        asked_ns = time.time_ns()
        reply = await self._link.call(encode(TakeSnapshot(fence)), fence, time.monotonic() + _SNAPSHOT_S)
        if (error := reply.outcome.restored()) is not None:
            raise error
        snapshot = msgspec.json.decode(reply.result, type=Snapshot)
        await self._reader.reach(snapshot.position)
        await self._commands.resolve()
        for difference in self._tables.adopt(snapshot, whole=False, asked_ns=asked_ns):
            self._reports.add(difference)
