"""What changes while an agent runs, and how those who wait for a change learn of it."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from ..exceptions import CryptoprotoError, InvalidToken, LicenseExpired, TokenCacheError
from .clock import Clock
from .codec import Value
from .standing import LicenseState, Schedule, Standing

__all__ = ["AgentLife"]

_log = logging.getLogger("cryptoproto.licensing")
_LONGEST_NAP_S: Final = 30.0  # how late a jump of the clock or the end of a suspend is noticed at most


class AgentLife:
    """The moving parts of a :class:`~cryptoproto.licensing.LicenseAgent`."""

    def __init__(self, clock: Clock, schedule: Schedule) -> None:
        self.standing = Standing(schedule, wall_ns=clock.wall_ns(), steady_ns=clock.steady_ns())
        self.attempting = asyncio.Lock()
        self.task: asyncio.Task[None] | None = None
        self.next_attempt = 0
        self.last_error: CryptoprotoError | None = None
        self.cache_error: TokenCacheError | InvalidToken | None = None
        self.failure: BaseException | None = None
        self.unwritten: bytes | None = None
        self.facts: dict[str, Value] | None = None
        self.reports = 0
        self.report_details: str | None = None
        self._state: LicenseState | None = None
        self._changed = asyncio.Event()

    def changed_to(self, state: LicenseState) -> bool:
        """Note the state; whether it is another one than before. State first, waiters second."""
        if state is self._state:
            return False
        self._state = state
        self.wake()
        return True

    async def change(self) -> None:
        """Wait for the next change of state; raises if nobody is left to bring one about."""
        if self.task is None or self.task.done():
            raise LicenseExpired(f"the license agent is not running{f': {self.failure}' if self.failure else ''}")
        await self._changed.wait()

    def nap(self, steady_ns: int) -> float:
        """How long to sleep until something is due, in seconds."""
        due = [self.next_attempt, self.standing.next_change(steady_ns)]
        wait_ns = min(moment - steady_ns for moment in due if moment is not None)
        return min(max(wait_ns / 1e9, 0.0), _LONGEST_NAP_S)

    def ended(self, task: asyncio.Task[None]) -> None:
        """The loop is over: let nobody wait for it in vain."""
        if not task.cancelled() and (failure := task.exception()) is not None:
            self.failure = failure
            _log.error("the license agent has stopped", exc_info=failure)
        self.wake()

    def wake(self) -> None:
        """Have everybody who waits for a change look again."""
        event, self._changed = self._changed, asyncio.Event()
        event.set()
