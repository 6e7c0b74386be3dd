"""An event loop on virtual time: its clock jumps to the next timer when there is nothing else to do.

Sleeps, heartbeats and deadlines take no real time, and the order of events does not depend on the speed of the machine.
It works for code in the loop itself, and in threads that it waits for with ``run_in_executor()``; for other threads and
processes, no time passes.
"""

from __future__ import annotations

import asyncio
import selectors
from asyncio import Future
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, TypeVar, TypeVarTuple

__all__ = ["VirtualLoop"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class _Selector(selectors.DefaultSelector):
    """Advances the clock instead of waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.in_threads = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if self.in_threads and timeout != 0:
            return super().select(None)  # the thread will wake the loop
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("all tasks wait for something that can never happen, and no timer is set")
            self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop for :class:`asyncio.Runner`: ``asyncio.Runner(loop_factory=VirtualLoop)``.

    Its time starts at 0. If all tasks wait and no timer is set, it raises RuntimeError instead of waiting for ever.
    """

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        """Seconds since the loop was created; only waiting makes them pass."""
        return self._virtual.now

    def advance(self, seconds: float) -> None:
        """Let time pass in which the loop does nothing, as a slow callback would."""
        self._virtual.now += seconds

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> Future[T]:
        """See :meth:`asyncio.loop.run_in_executor`. No time passes until the thread is done."""
        future: Future[T] = super().run_in_executor(executor, func, *args)
        self._virtual.in_threads += 1
        future.add_done_callback(self._on_thread_done)
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """See :meth:`asyncio.loop.shutdown_default_executor`; there is no *timeout*."""
        self._virtual.in_threads += 1
        try:
            await super().shutdown_default_executor()
        finally:
            self._virtual.in_threads -= 1

    def _on_thread_done(self, future: Future[Any]) -> None:
        self._virtual.in_threads -= 1
