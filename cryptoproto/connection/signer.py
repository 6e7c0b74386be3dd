"""Signs frames in a thread, in the order of their numbers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from ..exceptions import CryptoprotoError
from ..wire import ClientFrameType, Draft

__all__ = ["Signer"]


class Signer:
    """Signs frames in one thread and passes them back to the event loop in order.

    Signing with RSA-2048 takes 0.4 ms and releases the interpreter lock. In the event loop, a burst of a hundred orders
    would block it for 40 ms. A single thread and a single queue keep the frames in the order of their numbers.

    Args:
        loop: the event loop.
        sign: returns the signature of a draft; called in the thread.
        dispatch: seals and sends a signed draft; called in the event loop.
        fail: called with an exception of *sign*, in the event loop.

    Attributes:
        last_request_id: the id of the last request that was sent, 0 before the first.
    """

    __slots__ = (
        "_ahead",
        "_dispatch",
        "_executor",
        "_fail",
        "_loop",
        "_queued",
        "_sign",
        "_waiters",
        "last_request_id",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sign: Callable[[Draft], bytes],
        dispatch: Callable[[Draft, bytes], None],
        fail: Callable[[BaseException], None],
    ) -> None:
        self.last_request_id: int = 0
        self._loop = loop
        self._sign = sign
        self._dispatch = dispatch
        self._fail = fail
        self._waiters: dict[int, asyncio.Future[None]] = {}
        self._queued = 0  # drafts that were put and not dispatched yet
        self._ahead: tuple[Draft, Future[bytes]] | None = None
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="cryptoproto-signer")

    def put(self, draft: Draft) -> None:
        """Queue a draft. It is sent even if the caller is cancelled."""
        self._queued += 1
        self._executor.submit(self._work, draft)

    def sign_ahead(self, draft: Draft) -> None:
        """Sign a message that is probably put next. One that is put instead is signed as ever."""
        self._ahead = draft, self._executor.submit(self._sign, draft)

    async def put_and_wait(self, draft: Draft) -> None:
        """Queue a message and wait until it is sent. If cancelled, it is sent all the same.

        Raises:
            CryptoprotoError: what :meth:`end` was given.
        """
        ahead, self._ahead = self._ahead, None
        signature = ahead[1] if ahead is not None and ahead[0] == draft and not self._queued else None
        if signature is not None and signature.done() and signature.exception() is None:
            self._dispatch(draft, signature.result())
            return
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._waiters[draft.number] = waiter
        if signature is None:
            self.put(draft)
        else:
            self._queued += 1
            signature.add_done_callback(partial(self._on_signed, draft))
        try:
            await waiter
        finally:
            self._waiters.pop(draft.number, None)

    def end(self, make_error: Callable[[], CryptoprotoError]) -> None:
        """Drop frames that are not signed yet, and raise an error in the callers that wait for them."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        for waiter in self._waiters.values():
            if not waiter.done():
                waiter.set_exception(make_error())

    def _work(self, draft: Draft) -> None:
        try:
            signature = self._sign(draft)
        except BaseException as error:  # noqa: BLE001 - passed to the event loop, whatever it is
            self._post(self._fail, error)
        else:
            self._post(self._done, draft, signature)

    def _on_signed(self, draft: Draft, signature: Future[bytes]) -> None:
        """A signature that was begun ahead is there; called in the thread."""
        if signature.cancelled():
            return
        error = signature.exception()
        if error is not None:
            self._post(self._fail, error)
        else:
            self._post(self._done, draft, signature.result())

    def _post(self, callback: Callable[..., None], *args: object) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, *args)
        except RuntimeError:  # the loop is closed, and nothing else would end this thread
            self._executor.shutdown(wait=False, cancel_futures=True)

    def _done(self, draft: Draft, signature: bytes) -> None:
        self._queued -= 1
        self._dispatch(draft, signature)
        if draft.kind == ClientFrameType.RPC_REQUEST:
            self.last_request_id = draft.number
            return
        waiter = self._waiters.get(draft.number)
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
