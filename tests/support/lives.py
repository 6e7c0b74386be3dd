"""Processes to be killed, one after the other, each forked from a process that has already imported everything.

A module that is such a process calls :func:`fork_for_each_line`; a test starts it with :meth:`Lives.of`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

__all__ = ["DEADLINE_S", "ROOT", "Lives", "fork_for_each_line", "tell"]

ROOT = Path(__file__).parents[2]
DEADLINE_S = 60.0


def tell(**what: Any) -> None:
    """Say something to the test."""
    os.write(1, json.dumps(what).encode() + b"\n")


def fork_for_each_line(live: Callable[..., Coroutine[Any, Any, None]]) -> None:
    """For each line on the standard input, run *live* with its words in a process of its own, and wait for its end.

    The process tells its pid first; how it ended is told after it.
    """
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            code = 1
            try:
                tell(pid=os.getpid())
                with contextlib.suppress(KeyboardInterrupt):
                    asyncio.run(live(*line.split()), debug=False)
                code = 0
            except BaseException as error:  # noqa: BLE001 - nobody else would ever show it
                traceback.print_exc()
                tell(error="; ".join(f"{type(one).__name__}: {one}" for one in _single(error)))
            finally:
                os._exit(code)
        _, status = os.waitpid(pid, 0)
        tell(gone=os.waitstatus_to_exitcode(status))


def _single(error: BaseException) -> Iterator[BaseException]:
    """*error*, or those that are grouped in it."""
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _single(each)
    else:
        yield error


class Lives:
    """The test's end: one process at a time.

    Attributes:
        pid: of the one that lives.
        error: what the last one that ended by itself has raised.
        on_end: called with the exit code of each, below zero where a signal ended it.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.pid: int | None = None
        self.error = ""
        self.on_end: Callable[[int], object] = lambda _: None
        self._process = process
        self._told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    @classmethod
    @asynccontextmanager
    async def of(
        cls,
        module: str,
        *arguments: object,
        environment: Mapping[str, str] | None = None,
        before: Sequence[str] = (),
    ) -> AsyncIterator[Self]:
        """Run *module*; *before* is what to put before the command line."""
        process = await asyncio.create_subprocess_exec(
            *before, sys.executable, "-m", module, *map(str, arguments),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=ROOT, env=environment,
        )  # fmt: skip
        lives = cls(process)
        listening = asyncio.create_task(lives._listen())
        try:
            yield lives
        finally:
            lives.strike()  # where the test has failed, and did not wait for the end
            assert process.stdin is not None
            process.stdin.close()
            await process.wait()
            await listening

    async def _listen(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            told: dict[str, Any] = json.loads(line)
            if "gone" in told:
                self.pid = None
                self.on_end(told["gone"])
            self.pid = told.get("pid", self.pid)
            self.error = told.get("error", self.error)
            self._told.put_nowait(told)
        self._told.put_nowait({})

    async def begin(self, *words: object) -> None:
        """Start the next one."""
        assert self._process.stdin is not None
        self._process.stdin.write(" ".join(map(str, words)).encode() + b"\n")
        assert "pid" in await self.told(), "there is something that the last one told, and nobody has heard"

    async def told(self) -> dict[str, Any]:
        """The next that it has to tell."""
        async with asyncio.timeout(DEADLINE_S):
            told = await self._told.get()
        assert told, "the process that forks ended by itself"
        return told

    def strike(self, number: int = signal.SIGKILL) -> None:
        """Kill it; where it has ended by itself, :meth:`gone` tells."""
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def gone(self) -> int:
        """Wait for its end: the exit code. What it still told is passed over."""
        while "gone" not in (told := await self.told()):
            pass
        code: int = told["gone"]
        return code

    async def kill(self) -> None:
        """Kill it, and wait until it is gone."""
        self.strike()
        assert await self.gone() == -signal.SIGKILL, "it ended by itself"
