"""Cancelling a coroutine at each of its awaits, one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from typing import Any, Generic, TypeVar

__all__ = ["CancelAt"]

T = TypeVar("T")


class CancelAt(Generic[T]):
    """Runs *coroutine* in the awaiting task, and cancels that task at the await number *step*, from 1.

    With *late*, not when the await begins, but when what it waits for is done and the task has not heard of it yet.

    Attributes:
        reached: whether there was such an await.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, T], step: int, *, late: bool = False) -> None:
        self.reached = False
        self._coroutine = coroutine
        self._step = step
        self._late = late

    async def run(self) -> T:
        """The coroutine's result, or CancelledError."""
        return await self

    def __await__(self) -> Generator[Any, Any, T]:
        send, argument = self._coroutine.send, None
        throw: BaseException | None = None
        steps = 0
        while True:
            try:
                awaited = self._coroutine.throw(throw) if throw is not None else send(argument)
            except StopIteration as stop:
                result: T = stop.value
                return result
            steps += 1
            if steps == self._step:
                self._cancel(awaited)
            throw = None
            try:
                yield awaited
            except BaseException as error:  # noqa: BLE001 - whatever it is, it belongs to the coroutine
                throw = error

    def _cancel(self, awaited: Any) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.reached = True
        if not self._late:
            task.cancel()
        elif asyncio.isfuture(awaited):
            # Registered before the task's own: the cancellation comes after the result, and before the task wakes.
            awaited.add_done_callback(lambda _: task.cancel())
        else:  # a bare yield, which lasts one turn
            asyncio.get_running_loop().call_soon(task.cancel)
