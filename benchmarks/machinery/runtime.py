"""The event loop of every process that measures: debug mode off, plain asyncio or uvloop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

__all__ = ["run"]

T = TypeVar("T")


def run(coroutine: Coroutine[Any, Any, T], *, uvloop: bool = False) -> T:
    factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    if uvloop:
        import uvloop as uvloop_module

        factory = uvloop_module.new_event_loop
    # Explicit, because PYTHONASYNCIODEBUG and -X dev turn it on.
    with asyncio.Runner(debug=False, loop_factory=factory) as runner:
        return runner.run(coroutine)
