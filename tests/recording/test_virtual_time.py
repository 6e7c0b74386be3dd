"""The loop on virtual time."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine
from typing import Any

import pytest

from cryptoproto.recording.virtual_time import VirtualLoop


def run(main: Coroutine[Any, Any, Any]) -> Any:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


def now() -> float:
    return asyncio.get_running_loop().time()


def test_a_day_takes_no_time() -> None:
    async def main() -> float:
        await asyncio.gather(*(asyncio.sleep(seconds) for seconds in (86_400, 1, 7)))
        return now()

    assert run(main()) == 86_400


def test_timers_come_in_order() -> None:
    seen: list[float] = []

    async def wait(seconds: float) -> None:
        await asyncio.sleep(seconds)
        seen.append(now())

    async def main() -> None:
        await asyncio.gather(*map(wait, (3, 1, 2)))

    run(main())
    assert seen == [1, 2, 3]


def test_waiting_for_nothing_is_an_error() -> None:
    async def main() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(RuntimeError, match="can never happen"):
        run(main())


def test_no_time_passes_while_a_thread_works() -> None:
    async def main() -> float:
        go = threading.Event()
        timer = asyncio.create_task(asyncio.sleep(3600))
        working = asyncio.ensure_future(asyncio.to_thread(go.wait))
        await asyncio.sleep(0)
        threading.Timer(0.01, go.set).start()
        await working
        passed = now()
        timer.cancel()
        return passed

    before = time.monotonic()
    assert run(main()) == 0
    assert time.monotonic() > before


def test_time_can_be_let_pass() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        loop.advance(5)
        await asyncio.sleep(1)
        return now()

    assert run(main()) == 6
