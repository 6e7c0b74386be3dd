"""An event loop in a daemon thread, and how other threads ask it for something."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from typing import Any, Final, TypeVar

from ..exceptions import ConfigurationError, ConnectionClosed

__all__ = ["LoopThread"]

logger = logging.getLogger("cryptoproto.sync")

T = TypeVar("T")

_GRACE_S: Final = 1.0
"""How much longer than what it waits for closing may take, at each of its steps."""
_TURNS: Final = 20


class LoopThread:
    """Runs coroutines for other threads, which wait for them.

    Args:
        what: what it is for, in the words of an error: ``"client"``.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._closing = False
        self._lock = threading.Lock()

    @property
    def is_running(self) -> bool:
        """Whether it takes calls."""
        return self._loop is not None and not self._closing

    def start(self) -> None:
        """Start the thread.

        Raises:
            ConfigurationError: it was started before.
        """
        with self._lock:
            if self._thread is not None or self._closing:
                raise ConfigurationError(f"a {self._what} is started once; make another one")
            self._loop = loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=_run, args=(loop,), name="cryptoproto-sync", daemon=True)
            self._thread.start()

    def run(self, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run the coroutine that *make* makes in the thread; returns its result, or raises its error, here.

        What interrupts the wait, Ctrl-C most of all, cancels the coroutine.

        Raises:
            ConnectionClosed: it was closed, now or before.
            ConfigurationError: it was not started, or this is its own thread.
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
        """Call a plain function in the thread some time soon, if it is running; for whoever cannot wait."""
        loop = self._loop
        if loop is not None and self.is_running:
            try:
                loop.call_soon_threadsafe(function)
            except RuntimeError:  # it ended this moment
                return

    def close(self, finish: Callable[[], Coroutine[Any, Any, None]] | None, timeout: float) -> None:
        """Run *finish*, cancel what else runs, and end the thread, within *timeout* seconds and a little. Idempotent.

        Raises:
            ConfigurationError: this is its own thread.
        """
        self._check_thread()
        failure = self._begin_end(finish, timeout)
        if self._thread is not None:
            self._thread.join(timeout + 3 * _GRACE_S)
            if self._thread.is_alive():  # a callback of the user's own holds it; it is a daemon, so let it
                logger.warning("the thread of the %s did not end within %g s", self._what, timeout)
        if failure:
            raise failure[0]

    def abandon(self, finish: Callable[[], Coroutine[Any, Any, None]], timeout: float) -> None:
        """As :meth:`close`, without waiting: for an owner that is forgotten by everybody."""
        self._begin_end(finish, timeout)

    def _begin_end(self, finish: Callable[[], Coroutine[Any, Any, None]] | None, timeout: float) -> list[BaseException]:
        """The first time, begin to end; returns where the error is put, if there is one."""
        failure: list[BaseException] = []
        with self._lock:
            loop, first, self._closing = self._loop, not self._closing, True
            if loop is not None and first:
                loop.call_soon_threadsafe(_finish_and_stop, loop, finish, timeout, failure)
        return failure

    def _submit(self, make: Callable[[], Coroutine[Any, Any, T]]) -> Future[T]:
        self._check_thread()
        with self._lock:  # what is submitted before the end of the loop is cancelled by it, and so ends
            if self._closing:
                raise self._closed()
            if self._loop is None:
                raise ConfigurationError(f"the {self._what} was not started: use `with`, or call start()")
            return asyncio.run_coroutine_threadsafe(make(), self._loop)

    def _closed(self) -> ConnectionClosed:
        return ConnectionClosed(None, f"the {self._what} is closed; make another one")

    def _check_thread(self) -> None:
        if threading.current_thread() is self._thread:
            raise ConfigurationError(
                f"this is the {self._what}'s own thread, in which on_event and throttle are called, and it would wait "
                f"for itself; hand the work to another thread"
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
    """Run *finish* to its end or for *timeout* seconds, then cancel all that is left."""
    try:
        if finish is not None:
            async with asyncio.timeout(timeout):
                await finish()
    except TimeoutError:
        pass
    finally:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for _ in range(_TURNS):  # those whom it woke end well
            if not tasks:
                break
            await asyncio.sleep(0)
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_GRACE_S)
        await asyncio.get_running_loop().shutdown_asyncgens()
