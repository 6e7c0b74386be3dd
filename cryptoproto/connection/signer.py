"""Signs frames in threads or in the event loop, and sends them in the order of their numbers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import msgspec

from ..exceptions import CryptoprotoError
from ..wire import ClientFrameType, ClientSession, Draft
from .options import ConnectOptions
from .sign_ahead import SignAhead

__all__ = ["Signer"]

_MESSAGE: Final = int(ClientFrameType.MESSAGE)
_LONGEST_KEY_BITS: Final = 2048
"""The longest key that signs in the event loop. One of 2,048 bits takes 0.2 to 0.8 ms, one of 4,096 bits over 1 ms."""


class _Frame(msgspec.Struct, eq=False):
    """A frame that waits for its signature, or for that of an earlier frame."""

    draft: Draft
    body: bytes | None = None
    is_sent: bool = False
    waiter: asyncio.Future[None] | None = None


class Signer:
    """Signs frames, and passes them on in order.

    Signing with RSA-2048 takes 0.2 ms or more and releases the interpreter lock. In the event loop, a burst of a
    hundred orders would block it for 20 ms, so threads sign them, as many at the same time as there are threads. A
    single frame is signed in the event loop: it would take longer to wake a thread and to be woken by it. At most one
    is in each turn of the loop, so that everything else runs in between.

    Threads without a frame to sign sign messages ahead; :class:`SignAhead` says which.

    Args:
        session: signs drafts, also in threads, and knows the next sequence.
        options: how many threads may sign at the same time, and the key.
        dispatch: seals and sends a signed body; called in the event loop.
        fail: called with an exception of signing, in the event loop.

    Attributes:
        last_request_id: the id of the last request that was sent, 0 before the first.
    """

    __slots__ = (
        "_ahead", "_dispatch", "_error", "_executor", "_fail", "_filling", "_key_is_short", "_loop",
        "_queue", "_running", "_session", "_signing", "_threads", "_turn_is_used", "_unsigned", "last_request_id",
    )  # fmt: skip

    def __init__(
        self,
        session: ClientSession,
        options: ConnectOptions,
        dispatch: Callable[[bytes], None],
        fail: Callable[[BaseException], None],
    ) -> None:
        self.last_request_id: int = 0
        self._loop = asyncio.get_running_loop()
        self._session = session
        self._dispatch = dispatch
        self._fail = fail
        self._threads = threads = options.signer_threads
        self._key_is_short = options.private_key.bits <= _LONGEST_KEY_BITS
        self._queue: deque[_Frame] = deque()  # in the order of sending
        self._unsigned: deque[_Frame] = deque()  # those that no thread has yet
        self._running = 0  # jobs of the threads
        self._turn_is_used = False  # whether a frame was signed in this turn of the event loop
        self._filling = False
        self._ahead = SignAhead()
        self._signing: list[asyncio.Future[None]] = []  # done when a message was signed ahead
        self._error: Callable[[], CryptoprotoError] | None = None
        self._executor = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="cryptoproto-signer")

    # Frames to send

    def send_ready(self, payload: bytes) -> int | None:
        """Send a message now if it was signed ahead and nothing waits before it; returns its sequence.

        The way of a prepared order: what can be done before or after the frame leaves is not done here.
        """
        session = self._session
        body = self._ahead.body(payload, session.next_sequence)
        if body is None or self._queue:
            return None
        sequence = session.take_sequence()
        self._dispatch(body)
        self._fill_soon()
        return sequence

    def put(self, draft: Draft) -> None:
        """Sign and send a draft. It is sent even if the caller is cancelled."""
        self._put(draft)

    async def put_and_wait(self, draft: Draft) -> None:
        """Sign and send a message, and wait until it is sent. If cancelled, it is sent all the same.

        Raises:
            CryptoprotoError: what :meth:`end` was given.
        """
        frame = self._put(draft)
        if frame.is_sent:
            return
        if self._error is not None:
            raise self._error()
        frame.waiter = self._loop.create_future()
        await frame.waiter

    def _put(self, draft: Draft) -> _Frame:
        """Sign and send a draft in the event loop, if it may be; otherwise it is sent later."""
        frame = _Frame(draft)
        if self._key_is_short and not self._queue and not self._turn_is_used:
            self._sign_here(frame)
            if frame.body is not None:
                self._send(frame, frame.body)
            return frame
        self._queue.append(frame)
        if len(self._ahead) and draft.kind == _MESSAGE:
            frame.body = self._ahead.body(draft.payload, draft.number)
        if frame.body is None:
            self._unsigned.append(frame)
            if not self._turn_is_used:
                self._fill()
        return frame

    def _sign_here(self, frame: _Frame) -> None:
        self._turn_is_used = True
        self._loop.call_soon(self._on_next_turn)
        try:
            frame.body = self._session.signed_body(frame.draft)
        except Exception as error:  # noqa: BLE001 - ends the connection, as an error in a thread does
            self._fail(error)

    def _on_next_turn(self) -> None:
        """Another frame may be signed in the event loop: one that is alone, because a burst is for the threads."""
        self._turn_is_used = False
        if len(self._queue) == 1 and self._unsigned:
            self._unsigned.clear()
            self._sign_here(self._queue[0])
            self._send_signed()
        else:
            self._fill()

    def _send_signed(self) -> None:
        """Send the frames at the head of the queue that are signed."""
        queue = self._queue
        while queue and (body := queue[0].body) is not None:
            self._send(queue.popleft(), body)

    def _send(self, frame: _Frame, body: bytes) -> None:
        frame.is_sent = True
        self._dispatch(body)
        if frame.draft.kind != _MESSAGE:
            self.last_request_id = frame.draft.number
        elif frame.waiter is not None and not frame.waiter.done():
            frame.waiter.set_result(None)

    def end(self, make_error: Callable[[], CryptoprotoError]) -> None:
        """Drop frames that are not signed yet, and raise an error in the callers that wait for them."""
        self._error = make_error
        self._executor.shutdown(wait=False, cancel_futures=True)
        frames = list(self._queue)
        self._queue.clear()
        self._unsigned.clear()
        self._ahead.clear()
        self._report_progress()
        for frame in frames:
            if frame.waiter is not None and not frame.waiter.done():
                frame.waiter.set_exception(make_error())

    # Messages to sign ahead

    def keep_signed(self, payload: bytes, *, spare: bool = False, soon: bool = True) -> None:
        """Sign the message with this JSON for the next sequence, and again for each next one.

        Args:
            payload: the JSON.
            spare: sign it after the messages that are not spare.
            soon: whether to begin; otherwise :meth:`sign_now` follows.
        """
        if self._error is None:
            self._ahead.add(payload, spare=spare)
            if soon:
                self._fill_soon()

    def sign_now(self, payload: bytes) -> None:
        """Sign a message that is kept signed, in the event loop unless that takes too long with this key.

        For one that is alone, as :meth:`put`: to wake a thread, and to be woken by it, takes longer.
        """
        if not self._key_is_short:
            self._fill_soon()
        elif self._error is None:
            draft = self._ahead.draft(payload, self._session.next_sequence)
            if draft is not None:
                try:
                    self._ahead.store(draft, self._session.signed_body(draft))
                except Exception as error:  # noqa: BLE001 - ends the connection, as an error in a thread does
                    self._fail(error)

    def release(self, payload: bytes, *, spare: bool = False) -> None:
        """Take one :meth:`keep_signed` back."""
        self._ahead.remove(payload, spare=spare)

    def is_signed(self, payload: bytes) -> bool:
        """Whether the message can leave with the next sequence without waiting for a signature."""
        return self._ahead.body(payload, self._session.next_sequence) is not None

    async def wait_signed(self, payload: bytes) -> None:
        """Wait until the message is signed for the next sequence, or is not kept signed any more.

        Raises:
            CryptoprotoError: what :meth:`end` was given.
        """
        while self._ahead.has(payload) and not self.is_signed(payload):
            progress = self._loop.create_future()
            self._signing.append(progress)
            await progress
        if self._error is not None:
            raise self._error()

    # Threads

    def _fill_soon(self) -> None:
        """Have threads sign ahead in the next turn, so that what is being sent leaves first."""
        if not self._filling:
            self._filling = True
            self._loop.call_soon(self._fill)

    def _fill(self) -> None:
        """Give the threads work: first the frames that wait, then messages to sign ahead."""
        self._filling = False
        # One frame more for each thread, so that none waits for the event loop. Not all of them: the first turn of a
        # burst would take long, and each frame that a thread has is a job to switch to the interpreter for.
        while self._unsigned and self._running < 2 * self._threads:
            self._running += 1
            self._executor.submit(self._sign, self._unsigned.popleft())
        while not self._unsigned and self._running < self._threads and self._error is None:
            drafts = self._ahead.next_drafts(self._session.next_sequence)
            if not drafts:
                break
            self._running += 1
            self._executor.submit(self._sign_ahead, drafts)

    def _sign(self, frame: _Frame) -> None:
        """Sign a frame; runs in a thread, as :meth:`_sign_ahead`."""
        try:
            body = self._session.signed_body(frame.draft)
        except BaseException as error:  # noqa: BLE001 - passed to the event loop, whatever it is
            self._post(self._fail, error)
        else:
            self._post(self._on_signed, frame, body)

    def _sign_ahead(self, drafts: list[Draft]) -> None:
        session = self._session
        signed: list[tuple[Draft, bytes | None]] = []
        try:
            for draft in drafts:
                # Perhaps the sequence has been used meanwhile, or a frame waits for a thread.
                is_wanted = draft.number >= session.next_sequence and not self._unsigned
                signed.append((draft, session.signed_body(draft) if is_wanted else None))
        except BaseException as error:  # noqa: BLE001 - passed to the event loop, whatever it is
            self._post(self._fail, error)
        else:
            self._post(self._on_signed_ahead, signed)

    def _post(self, callback: Callable[..., None], *args: object) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, *args)
        except RuntimeError:  # the loop is closed, and nothing else would end this thread
            self._executor.shutdown(wait=False, cancel_futures=True)

    def _on_signed(self, frame: _Frame, body: bytes) -> None:
        self._running -= 1
        frame.body = body
        self._send_signed()
        self._fill()

    def _on_signed_ahead(self, signed: list[tuple[Draft, bytes | None]]) -> None:
        self._running -= 1
        for draft, body in signed:
            if body is None:
                self._ahead.give_back(draft)
            else:
                self._ahead.store(draft, body)
        self._report_progress()
        self._fill()

    def _report_progress(self) -> None:
        signing, self._signing = self._signing, []
        for progress in signing:
            if not progress.done():
                progress.set_result(None)
