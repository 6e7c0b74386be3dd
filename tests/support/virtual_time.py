"""An event loop whose clock jumps to the next timer when there is nothing else to do.

So heartbeats, deadlines and holds run in microseconds, and a test can say after how many seconds something happened.
Only for what happens in the loop itself: a thread or another process would see no time pass.
"""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

from tests.support.leaks import assert_nothing_left, loop_reports

__all__ = ["VirtualLoop", "virtual"]

P = ParamSpec("P")


class _Selector(selectors.DefaultSelector):
    """Advances the clock in place of waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("everybody waits, and no timer is set: the test would hang")
            self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """See the module."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now

    def advance(self, seconds: float) -> None:
        """Let time pass in which the loop does nothing, as a slow callback would."""
        self._virtual.now += seconds


def virtual(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run an async test in a virtual loop, with the same rules about what may be left behind."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        async def watched() -> None:
            with loop_reports() as reports:
                await test(*args, **kwargs)
                await assert_nothing_left(reports, set())

        with asyncio.Runner(debug=True, loop_factory=VirtualLoop) as runner:
            runner.run(watched())

    return run
