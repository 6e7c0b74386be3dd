"""Async tests on virtual time: they run in microseconds, and say after how many seconds something happened."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

from cryptoproto.recording.virtual_time import VirtualLoop
from tests.support.leaks import assert_nothing_left, loop_reports

__all__ = ["VirtualLoop", "jump", "virtual"]

P = ParamSpec("P")


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


def jump(seconds: float) -> None:
    """Set the clock of a loop with real time forward; for tests that have threads."""
    loop = asyncio.get_running_loop()
    time = loop.time
    loop.time = lambda: time() + seconds  # type: ignore[method-assign]
