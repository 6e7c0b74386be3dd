"""What a test may not leave behind: tasks, signing threads, and exceptions that nobody heard of."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
from collections.abc import Iterator
from typing import Any

_TURNS = 100
_LAST_TURNS = 5
_PATIENCE_S = 10.0  # for a thread that was told to end, and is at its last signature


@contextlib.contextmanager
def loop_reports() -> Iterator[list[dict[str, Any]]]:
    """What the running loop's exception handler is told from here on."""
    loop = asyncio.get_running_loop()
    reports: list[dict[str, Any]] = []
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda _, context: reports.append(context))
    try:
        yield reports
    finally:
        loop.set_exception_handler(before)


async def assert_nothing_left(reports: list[dict[str, Any]], before: set[asyncio.Task[Any]]) -> None:
    """Fail if the running loop has tasks that were not there *before*, signing threads, or *reports*."""
    # A link that was cut tells its listener in one of the next turns, and the last tasks end with it.
    for _ in range(_TURNS):
        if not _others(before):
            break
        await asyncio.sleep(0)
    for _ in range(_LAST_TURNS):  # a socket that was shut down is closed in one of them
        await asyncio.sleep(0)
    left = _others(before)
    gc.collect()  # a future whose exception nobody retrieved says so when it goes
    await asyncio.sleep(0)
    assert not left, f"tasks were left behind: {left}"
    assert not reports, f"the event loop reports: {reports}"
    for thread in threading.enumerate():
        if thread.name.startswith("cryptoproto-signer"):
            thread.join(_PATIENCE_S)
            assert not thread.is_alive(), "a signing thread was left behind"


def _others(before: set[asyncio.Task[Any]]) -> set[asyncio.Task[Any]]:
    return {task for task in asyncio.all_tasks() - before if task is not asyncio.current_task()}
