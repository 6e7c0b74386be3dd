"""The requests in flight, each with its own future and deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Final

from ..exceptions import CryptoprotoError, RequestTimeout

__all__ = ["RequestTable"]

_SLACK: Final = 64


class RequestTable:
    """Futures by request id, and one timer for all deadlines.

    A response finds its call by one lookup, and a deadline is one entry in a heap without its own timer, so a request
    costs the same whether a hundred or ten thousand are in flight. Entries of answered calls stay in the heap until it
    is swept, and the timer runs until nothing is left. Removing both after each call would cost as much as the call
    itself: for sequential calls, a new timer each time.
    """

    __slots__ = ("_calls", "_deadlines", "_loop", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._calls: dict[int, asyncio.Future[bytes]] = {}
        self._deadlines: list[tuple[float, int]] = []
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._calls)

    def open(self, request_id: int, deadline: float) -> asyncio.Future[bytes]:
        """The future of a new call; it ends with RequestTimeout at *deadline*, in loop time."""
        calls, deadlines = self._calls, self._deadlines
        calls[request_id] = call = self._loop.create_future()
        heappush(deadlines, (deadline, request_id))
        if deadlines[0][1] == request_id and (self._timer is None or deadline < self._timer.when()):
            self._set_timer()
        if len(deadlines) > 2 * len(calls) + _SLACK:
            self._sweep()
        return call

    def resolve(self, request_id: int, payload: bytes) -> None:
        """End a call with its response. A response to a call that has ended is dropped."""
        call = self._calls.pop(request_id, None)
        if call is not None and not call.done():
            call.set_result(payload)

    def discard(self, request_id: int) -> None:
        """Remove a call that ended without a response."""
        self._calls.pop(request_id, None)

    def fail_all(self, error_for: Callable[[int], CryptoprotoError]) -> None:
        """End all calls, each with its own error."""
        self._stop_timer()
        self._deadlines.clear()
        for request_id, call in self._calls.items():
            if not call.done():
                call.set_exception(error_for(request_id))

    def _sweep(self) -> None:
        """Drop the deadlines of calls that have ended. Done only when they outnumber the others, so it is cheap."""
        self._deadlines = [entry for entry in self._deadlines if entry[1] in self._calls]
        heapify(self._deadlines)

    def _set_timer(self) -> None:
        self._stop_timer()
        self._timer = self._loop.call_at(self._deadlines[0][0], self._expire)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        self._timer = None
        now = self._loop.time()
        deadlines = self._deadlines
        while deadlines and (deadlines[0][0] <= now or deadlines[0][1] not in self._calls):
            _, request_id = heappop(deadlines)
            call = self._calls.get(request_id)
            if call is not None and not call.done():
                error = RequestTimeout("no response to the request before its deadline")
                error.sent = True
                call.set_exception(error)
        if deadlines:
            self._set_timer()
