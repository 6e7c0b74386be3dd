"""The event loop of a simulated world: virtual time, no threads, and an end even if the world does not end."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextvars import Context, copy_context
from typing import Any, Final, TypeVar, TypeVarTuple, Unpack

from tests.support.leaks import loop_reports
from tests.support.simulation.processes import CURRENT, SimulatedProcess
from tests.support.virtual_time import VirtualLoop

__all__ = ["SimulatedExecutor", "SimulatedLoop", "Stuck", "run"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_MOST_TURNS: Final = 400_000
"""A world takes about 5,000 turns of the loop. One that takes this many does something for ever."""


class Stuck(AssertionError):
    """The world does something for ever, in no time."""


class _Gated:
    """A callback of a process: while the process is stopped, it waits."""

    def __init__(
        self, process: SimulatedProcess, callback: Callable[..., object], args: tuple[Any, ...], context: Context
    ) -> None:
        self._process = process
        self._callback = callback
        self._args = args
        self._context = context
        self.handle: asyncio.Handle  # which may be cancelled while the callback waits

    def __call__(self) -> None:
        if self.handle.cancelled():
            return
        if self._process.may_go_on():
            self._callback(*self._args)
        else:
            self._process.park(self._again)

    def _again(self) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimulatedLoop)
        loop.call_again(self, self._context)


class SimulatedLoop(VirtualLoop):
    """Virtual time, in which threads are timers, and processes can be stopped."""

    def __init__(self) -> None:
        super().__init__()
        self.turns = 0

    def _run_once(self) -> None:
        self.turns += 1
        if self.turns > _MOST_TURNS:
            self.turns = -_MOST_TURNS  # so that the tasks can be cancelled
            raise Stuck(f"{_MOST_TURNS} turns of the event loop, and no end: something repeats itself")
        super()._run_once()  # type: ignore[misc]

    def call_soon(
        self, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        process = CURRENT.get(None) if context is None else context.get(CURRENT)
        if process is None:
            return super().call_soon(callback, *args, context=context)
        context = copy_context() if context is None else context
        gated = _Gated(process, callback, args, context)
        gated.handle = super().call_soon(gated, context=context)
        return gated.handle

    def call_again(self, gated: _Gated, context: Context) -> None:
        """Call what has waited while its process was stopped."""
        super().call_soon(gated, context=context)

    def call_at(
        self, when: float, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        process = CURRENT.get(None) if context is None else context.get(CURRENT)
        if process is None:
            return super().call_at(when, callback, *args, context=context)
        context = copy_context() if context is None else context
        gated = _Gated(process, callback, args, context)
        gated.handle = timer = super().call_at(when, gated, context=context)
        return timer

    def call_soon_threadsafe(
        self, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        return self.call_soon(callback, *args, context=context)

    def run_in_executor(self, executor: Any, func: Callable[[Unpack[Ts]], T], *args: *Ts) -> asyncio.Future[T]:
        if isinstance(executor, SimulatedExecutor):
            return asyncio.wrap_future(executor.submit(func, *args), loop=self)
        return super().run_in_executor(executor, func, *args)


class SimulatedExecutor:
    """One thread of a pool, as timers: each job is done after a delay, in order.

    Args:
        loop: where time passes.
        name: of the thread.
        delay: returns for how many seconds the next job works.
        on_done: called after each job with its function.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        name: str,
        delay: Callable[[], float],
        on_done: Callable[[Callable[..., object]], None] = lambda _: None,
    ) -> None:
        self.name = name
        self._loop = loop
        self._delay = delay
        self._on_done = on_done
        self._jobs: deque[tuple[Future[Any], Callable[..., Any], tuple[Any, ...]]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def submit(self, function: Callable[..., Any], *args: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self._jobs.append((future, function, args))
        if self._timer is None:
            self._timer = self._loop.call_later(self._delay(), self._work)
        return future

    def do_next(self) -> None:
        """Do the oldest job at once, if there is one."""
        if self._jobs:
            future, function, args = self._jobs.popleft()
            if future.set_running_or_notify_cancel():
                try:
                    result = function(*args)
                except Exception as error:  # noqa: BLE001 - as in a thread: whoever asks for the result gets it
                    future.set_exception(error)
                else:
                    self._on_done(function)
                    future.set_result(result)

    def interrupt(self) -> None:
        """The power fails during the oldest job: it writes what it can, and it does not know that it is done."""
        on_done, self._on_done = self._on_done, lambda _: None
        self.do_next()
        self._on_done = on_done

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        if cancel_futures:
            while self._jobs:
                self._jobs.popleft()[0].cancel()
        while wait and self._jobs:
            self.do_next()

    def _work(self) -> None:
        self._timer = None
        self.do_next()
        if self._jobs:
            self._timer = self._loop.call_later(self._delay(), self._work)


def run(world: Callable[[], Coroutine[Any, Any, None]]) -> int:
    """Run *world* in a loop of its own; returns how many turns that took.

    Raises:
        AssertionError: tasks are left, or the loop reports an exception.
    """

    async def watched() -> None:
        with loop_reports() as reports:
            await world()
            for _ in range(20):
                await asyncio.sleep(0)
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left, f"tasks were left behind: {left}"
        assert not reports, f"the event loop reports: {reports}"

    with asyncio.Runner(debug=False, loop_factory=SimulatedLoop) as runner:
        runner.run(watched())
        loop = runner.get_loop()
        assert isinstance(loop, SimulatedLoop)
        return loop.turns
