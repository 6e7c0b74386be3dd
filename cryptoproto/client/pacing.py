"""What stands between a call and the wire: the hold that throttling asks for, and the signing of frames."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from ..exceptions import CryptoprotoError
from ..wire import ClientFrameType, Draft

__all__ = ["SendGate", "Signer"]


class SendGate:
    """Holds sends for a while, and then lets them go one by one, urgent ones first, in the order in which they came.

    One by one, each in its own turn of the event loop, so that a further throttling frame can stop the rest.
    """

    __slots__ = ("_loop", "_queues", "_timer", "_until", "_walking")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._until = 0.0
        self._queues: tuple[deque[asyncio.Future[None]], ...] = (deque(), deque())  # the urgent, and the others
        self._walking: asyncio.Future[None] | None = None  # who was let go, until its task runs
        self._timer: asyncio.TimerHandle | None = None

    @property
    def remaining(self) -> float:
        """For how many seconds sends are still held, 0.0 when free."""
        return max(0.0, self._until - self._loop.time()) if self._until else 0.0

    @property
    def clear(self) -> bool:
        """Whether a send may leave at once."""
        return not any(self._queues) and not self.remaining

    @property
    def waiting(self) -> int:
        """How many sends are held."""
        return sum(map(len, self._queues))

    def hold(self, seconds: float) -> None:
        """Hold sends for *seconds* from now, or longer where they are held for longer."""
        self._until = max(self._until, self._loop.time() + seconds)

    async def wait(self, *, urgent: bool = False) -> None:
        """Wait for one's turn. Cancelling gives the turn to the next.

        Raises:
            CryptoprotoError: what :meth:`end` was given.
        """
        waiter: asyncio.Future[None] = self._loop.create_future()
        queue = self._queues[not urgent]
        queue.append(waiter)
        self._set_timer()
        try:
            await waiter
        finally:
            # Only now, not when it was let go: until its task runs, nobody else may find the gate clear.
            queue.remove(waiter)
            if self._walking is waiter:
                self._walking = None
            self._set_timer()

    def end(self, make_error: Callable[[], CryptoprotoError]) -> None:
        """Fail all who wait."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for waiter in itertools.chain(*self._queues):
            if not waiter.done():
                waiter.set_exception(make_error())

    def _first(self) -> asyncio.Future[None] | None:
        # Whoever was cancelled or failed is still in its queue until its task runs.
        return next((waiter for waiter in itertools.chain(*self._queues) if not waiter.done()), None)

    def _set_timer(self) -> None:
        if self._timer is None and self._walking is None and self._first() is not None:
            self._timer = self._loop.call_at(max(self._until, self._loop.time()), self._next)

    def _next(self) -> None:
        self._timer = None
        if self.remaining:
            self._set_timer()
            return
        self._walking = self._first()
        if self._walking is not None:
            self._walking.set_result(None)


class Signer:
    """Signs frames in a thread of its own and hands them back to the event loop in order.

    Signing with RSA-2048 takes 0.4 ms, outside the interpreter lock; in the event loop, a burst of a hundred orders
    would stop it for 40 ms. One thread and one queue keep the frames in the order of their numbers.

    Args:
        sign: the signature of a draft; called in the thread.
        dispatch: seals and sends a signed draft; called in the event loop.
        fail: told of an exception in *sign*, in the event loop.
    """

    __slots__ = ("_dispatch", "_executor", "_fail", "_loop", "_sign", "_waiters", "last_request_id")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sign: Callable[[Draft], bytes],
        dispatch: Callable[[Draft, bytes], None],
        fail: Callable[[BaseException], None],
    ) -> None:
        self.last_request_id = 0
        self._loop = loop
        self._sign = sign
        self._dispatch = dispatch
        self._fail = fail
        self._waiters: dict[int, asyncio.Future[None]] = {}
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="cryptoproto-signer")

    def put(self, draft: Draft) -> None:
        """Queue a draft. From here on it leaves, whoever is cancelled."""
        self._executor.submit(self._work, draft)

    async def put_and_wait(self, draft: Draft) -> None:
        """Queue a message and wait until it was sent. Cancelling does not recall it.

        Raises:
            CryptoprotoError: what :meth:`end` was given.
        """
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._waiters[draft.number] = waiter
        self.put(draft)
        try:
            await waiter
        finally:
            self._waiters.pop(draft.number, None)

    def end(self, make_error: Callable[[], CryptoprotoError]) -> None:
        """Drop what is not signed yet and fail all who wait for it."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        for waiter in self._waiters.values():
            if not waiter.done():
                waiter.set_exception(make_error())

    def _work(self, draft: Draft) -> None:
        try:
            signature = self._sign(draft)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the loop has to hear of it
            self._post(self._fail, error)
        else:
            self._post(self._done, draft, signature)

    def _post(self, callback: Callable[..., None], *args: object) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, *args)
        except RuntimeError:  # the loop is closed: nobody is left to hear of it, or to end this thread
            self._executor.shutdown(wait=False, cancel_futures=True)

    def _done(self, draft: Draft, signature: bytes) -> None:
        self._dispatch(draft, signature)
        if draft.kind == ClientFrameType.RPC_REQUEST:
            self.last_request_id = draft.number
            return
        waiter = self._waiters.get(draft.number)
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
