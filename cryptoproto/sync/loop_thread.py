"""An event loop in a daemon thread, and calls into it from other threads."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from typing import Any, Final, TypeVar

from ..exceptions import ConfigurationError, ConnectionClosed

__all__ = ["LoopThread"]

logger: logging.Logger = logging.getLogger("cryptoproto.sync")

T = TypeVar("T")

_GRACE_S: Final = 1.0
"""How much longer each step of closing may take than what it waits for."""
_TURNS: Final = 20
"""How many turns of the event loop tasks get to end by themselves before they are cancelled."""


class LoopThread:
    """Runs coroutines for other threads, which wait for the results.

    Args:
        what: what runs in it, for error messages: ``"client"``.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._closing = False
        self._lock = threading.Lock()

    @property
    def is_running(self) -> bool:
        """Whether calls can be made."""
        return self._loop is not None and not self._closing

    def start(self) -> None:
        """Start the thread.

        Raises:
            ConfigurationError: it was started before.
        """
        with self._lock:
            if self._thread is not None or self._closing:
                raise ConfigurationError(f"a {self._what} can be started only once; create a new one")
            self._loop = loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=_run, args=(loop,), name="cryptoproto-sync", daemon=True)
            self._thread.start()

    def run(self, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run the coroutine that *make* makes in the thread, and return its result or raise its error here.

        An interrupted wait, such as by Ctrl-C, cancels the coroutine.

        Raises:
            ConnectionClosed: the thread was closed, before or meanwhile.
            ConfigurationError: the thread was not started, or this is the thread itself.
        """
        future = self._submit(make)
        try:
            return future.result()
        except CancelledError:
            raise self._closed() from None
        except BaseException:
            future.cancel()
            raise

    def call(self, function: Callable[[], T]) -> T:
        """Call a plain function in the thread; raises as :meth:`run`."""

        async def calling() -> T:
            return function()

        return self.run(calling)

    def post(self, function: Callable[[], object]) -> None:
        """Call a plain function in the thread soon, without waiting. Does nothing if the thread has ended."""
        loop = self._loop
        if loop is not None and self.is_running:
            try:
                loop.call_soon_threadsafe(function)
            except RuntimeError:  # it has just ended
                return

    def close(self, finish: Callable[[], Coroutine[Any, Any, None]] | None, timeout: float) -> None:
        """Run *finish* for at most *timeout* seconds, cancel all tasks, and end the thread. Idempotent.

        Raises:
            ConfigurationError: this is the thread itself.
        """
        self._check_thread()
        failure = self._begin_end(finish, timeout)
        if self._thread is not None:
            self._thread.join(timeout + 3 * _GRACE_S)
            if self._thread.is_alive():  # blocked by the user's callback; as a daemon it ends with the process
                logger.warning("the thread of the %s did not end within %g s", self._what, timeout)
        if failure:
            raise failure[0]

    def abandon(self, finish: Callable[[], Coroutine[Any, Any, None]], timeout: float) -> None:
        """Like :meth:`close`, without waiting; called when the owner is garbage collected."""
        self._begin_end(finish, timeout)

    def _begin_end(self, finish: Callable[[], Coroutine[Any, Any, None]] | None, timeout: float) -> list[BaseException]:
        """Start to end, if this is the first call; returns a list that receives the error, if there is one."""
        failure: list[BaseException] = []
        with self._lock:
            loop, first, self._closing = self._loop, not self._closing, True
            if loop is not None and first:
                loop.call_soon_threadsafe(_finish_and_stop, loop, finish, timeout, failure)
        return failure

    def _submit(self, make: Callable[[], Coroutine[Any, Any, T]]) -> Future[T]:
        self._check_thread()
        with self._lock:  # whatever is submitted before the loop ends is cancelled by it
            if self._closing:
                raise self._closed()
            if self._loop is None:
                raise ConfigurationError(f"the {self._what} was not started: use `with`, or call start()")
            return asyncio.run_coroutine_threadsafe(make(), self._loop)

    def _closed(self) -> ConnectionClosed:
        return ConnectionClosed(None, f"the {self._what} is closed; create a new one")

    def _check_thread(self) -> None:
        if threading.current_thread() is self._thread:
            raise ConfigurationError(
                f"this is the thread of the {self._what} itself, which calls on_event and throttle: the call would "
                f"wait for itself. Do the work in another thread"
            )


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.close()


def _finish_and_stop(
    loop: asyncio.AbstractEventLoop,
    finish: Callable[[], Coroutine[Any, Any, None]] | None,
    timeout: float,
    failure: list[BaseException],
) -> None:
    def on_done(task: asyncio.Task[None]) -> None:
        error = task.exception()
        if error is not None:
            failure.append(error)
        loop.stop()

    loop.create_task(_finish(finish, timeout + _GRACE_S)).add_done_callback(on_done)


async def _finish(finish: Callable[[], Coroutine[Any, Any, None]] | None, timeout: float) -> None:
    """Run *finish* for at most *timeout* seconds, then cancel the remaining tasks."""
    try:
        if finish is not None:
            async with asyncio.timeout(timeout):
                await finish()
    except TimeoutError:
        pass
    finally:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for _ in range(_TURNS):  # tasks that it woke can end by themselves
            if not tasks:
                break
            await asyncio.sleep(0)
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_GRACE_S)
        await asyncio.get_running_loop().shutdown_asyncgens()
