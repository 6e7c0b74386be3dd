"""Processes that can be stopped in the middle of their work, as by ``SIGSTOP``, and whose clocks differ.

All processes of a world share one event loop. Whatever is called in the context of a process belongs to it: its tasks,
and what these start. While it is stopped, all of that waits, and so does what it sends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context, ContextVar, copy_context
from typing import Final, TypeVar

__all__ = ["CURRENT", "SimulatedProcess", "clock"]

T = TypeVar("T")


class SimulatedProcess:
    """One process.

    Args:
        rate: how many seconds pass on its clock in a second.
        offset: what its clock shows at the beginning of the world.

    Attributes:
        context: in which everything that belongs to it is called.
        is_stopped: whether it stands still.
    """

    def __init__(self, rate: float = 1.0, offset: float = 0.0) -> None:
        self.context: Context = copy_context()
        self.context.run(CURRENT.set, self)
        self.is_stopped = False
        self.stopped = asyncio.Event()
        self._rate = rate
        self._offset = offset
        self._stops_at = ""
        self._skipped = 0
        self._sends = False
        self._callbacks = -1
        self._parked: list[Callable[[], None]] = []
        self._held: list[Callable[[], None]] = []

    def clock(self) -> float:
        """What its monotonic clock shows."""
        return self._offset + asyncio.get_running_loop().time() * self._rate

    def inside(self, question: Callable[[], T]) -> T:
        """The answer to *question*, asked in this process."""
        return self.context.copy().run(question)

    # Stop and go on

    def stop(self) -> None:
        """It stands still from here on."""
        self._stops_at, self._callbacks = "", -1
        self.is_stopped = True
        self.stopped.set()

    def stop_at(self, peer: str, skipped: int, *, sends: bool) -> None:
        """It stands still when it is about to send *peer* something, after it has done so *skipped* times.

        If it still *sends* that, the answer waits until it goes on.
        """
        self._stops_at, self._skipped, self._sends = peer, skipped, sends

    def stop_after(self, callbacks: int) -> None:
        """It stands still after NATS has acknowledged something, and so many steps of its tasks have followed."""
        self._stops_at, self._skipped = "steps", callbacks

    def on_acknowledged(self) -> None:
        """NATS has acknowledged something that it wrote to a stream, and it knows that."""
        if self._stops_at == "steps":
            self._stops_at, self._callbacks = "", self._skipped

    def may_go_on(self) -> bool:
        """Whether the next callback may be called."""
        if not self._callbacks:
            self.stop()
        elif self._callbacks > 0:
            self._callbacks -= 1
        return not self.is_stopped

    def go_on(self) -> None:
        """It goes on: what it was sending is sent, and everything that has happened meanwhile reaches it at once."""
        self.is_stopped, self._stops_at, self._callbacks = False, "", -1
        self.stopped.clear()
        held, self._held = self._held, []
        parked, self._parked = self._parked, []
        for send in held:
            send()
        for callback in parked:
            callback()

    # What belongs to it

    def park(self, callback: Callable[[], None]) -> None:
        """Call it when the process goes on."""
        self._parked.append(callback)

    def send(self, peer: str, send: Callable[[], None]) -> None:
        """It sends *peer* something, with *send*; what it is sending when it is stopped leaves when it goes on."""
        stops_here = not self.is_stopped and peer == self._stops_at and not self._skipped
        self._skipped -= peer == self._stops_at
        if stops_here and not self._sends:
            self.stop()
        if self.is_stopped:
            self._held.append(send)
        else:
            send()
        if stops_here:
            self.stop()


CURRENT: Final[ContextVar[SimulatedProcess]] = ContextVar("simulated_process")
"""Whose code runs; not set if it belongs to no process that can be stopped."""


def clock() -> float:
    """The monotonic clock of the process whose code runs."""
    process = CURRENT.get(None)
    return asyncio.get_running_loop().time() if process is None else process.clock()
