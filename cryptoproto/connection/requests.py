"""The requests in flight: each with a future and a deadline of its own."""

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

    A reply finds its call in one look-up, and a deadline costs one push on a heap and no timer of its own, so a
    request costs the same whether a hundred or ten thousand are in flight. What an answered call leaves on the heap
    stays until it is swept, and the timer runs until it finds nothing to do: tidying up behind each call, which for
    calls made one after the other means a new timer for each, would cost as much as the call.
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
        """The future of a new call, which *deadline* (in loop time) ends with RequestTimeout."""
        calls, deadlines = self._calls, self._deadlines
        calls[request_id] = call = self._loop.create_future()
        heappush(deadlines, (deadline, request_id))
        if deadlines[0][1] == request_id and (self._timer is None or deadline < self._timer.when()):
            self._set_timer()
        if len(deadlines) > 2 * len(calls) + _SLACK:
            self._sweep()
        return call

    def resolve(self, request_id: int, payload: bytes) -> None:
        """End a call with its reply and forget it; a reply to a call that has ended already is dropped."""
        call = self._calls.pop(request_id, None)
        if call is not None and not call.done():
            call.set_result(payload)

    def discard(self, request_id: int) -> None:
        """Forget a call that ended without a reply."""
        self._calls.pop(request_id, None)

    def fail_all(self, error_for: Callable[[int], CryptoprotoError]) -> None:
        """End every call, each with an error of its own."""
        self._stop_timer()
        self._deadlines.clear()
        for request_id, call in self._calls.items():
            if not call.done():
                call.set_exception(error_for(request_id))

    def _sweep(self) -> None:
        """Drop the deadlines of calls that have ended: when they outnumber the others, so that it costs little."""
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
                error = RequestTimeout("no reply to the request within its deadline")
                error.sent = True
                call.set_exception(error)
        if deadlines:
            self._set_timer()
