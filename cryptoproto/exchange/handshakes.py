"""Handshakes: how many there may be, and the threads that do their RSA.

Everybody who knows the exchange's public key can make it decrypt a hello, which takes about 2 ms. So handshakes are
limited by address and in number, and their RSA runs in threads beside the event loop: OpenSSL releases the interpreter
lock, and traders who are connected hardly notice.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

from .options import check_rate

__all__ = ["Handshakes"]

T = TypeVar("T")

_MAX_UNDER_WAY: Final = 1000
"""Connections whose handshake is not finished; with RSA-2048 the last of them waits about two seconds."""
_MAX_UNDER_WAY_PER_ADDRESS: Final = 500
_BURST_S: Final = 10.0
"""An address may use its rate of so many seconds at once."""
_MAX_ADDRESSES: Final = 10_000
"""Addresses whose recent handshakes are remembered."""


class _Address:
    """The recent handshakes of one address: a token bucket, and how many are under way."""

    __slots__ = ("then", "tokens", "under_way")

    def __init__(self, tokens: float, then: float) -> None:
        self.tokens = tokens
        self.then = then
        self.under_way = 0


class Handshakes:
    """The limits of handshakes and their threads.

    Args:
        rate: handshakes a second from one address, with bursts of ten seconds' worth; ``None`` = any number.

    Raises:
        ConfigurationError: *rate* is not a number greater than zero.
    """

    def __init__(self, rate: float | None) -> None:
        if rate is not None:
            check_rate("handshake_rate", rate, "handshakes")
        self._rate = rate
        self._burst = 0.0 if rate is None else max(1.0, rate * _BURST_S)
        self._under_way = 0
        self._addresses: dict[str, _Address] = {}
        self._numbers = itertools.count(1)
        self._threads: ThreadPoolExecutor | None = None

    def start(self) -> None:
        """From here on do RSA in threads, for the running event loop."""
        self._threads = ThreadPoolExecutor(max(1, (os.cpu_count() or 1) // 2), "handshake")

    def stop(self) -> None:
        """Wait for the threads to end; work that has not begun is dropped."""
        threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(cancel_futures=True)

    def begin(self, address: str, now: float) -> str | None:
        """Begin a handshake, which ends with :meth:`end`.

        Args:
            address: of the peer; empty if it has none, and then only the total is limited.
            now: seconds of any clock.

        Returns:
            ``None``, or the reason why there may be no handshake now; then :meth:`end` must not be called.
        """
        if self._under_way >= _MAX_UNDER_WAY:
            return "too many handshakes are under way; try again later"
        if address:
            entry = self._entry(address, now)
            if entry.under_way >= _MAX_UNDER_WAY_PER_ADDRESS or (self._rate is not None and entry.tokens < 1.0):
                return f"too many handshakes from {address}; try again later"
            entry.tokens -= 1.0
            entry.under_way += 1
        self._under_way += 1
        return None

    def end(self, address: str) -> None:
        """A handshake has succeeded, failed, or was given up."""
        self._under_way -= 1
        if address:
            self._addresses[address].under_way -= 1

    def next_number(self) -> int:
        """The number of a hello: the later it arrives, the higher."""
        return next(self._numbers)

    def run(self, work: Callable[[], T], then: Callable[[Future[T]], None]) -> None:
        """Do RSA *work* in a thread and call *then* in the event loop; before :meth:`start`, at once."""
        if self._threads is None:
            done: Future[T] = Future()
            try:
                done.set_result(work())
            except Exception as error:  # noqa: BLE001 - as in a thread: whoever asks for the result gets it
                done.set_exception(error)
            then(done)
            return
        loop = asyncio.get_running_loop()
        future = self._threads.submit(work)
        future.add_done_callback(lambda future: self._deliver(loop, future, then))

    @staticmethod
    def _deliver(loop: asyncio.AbstractEventLoop, future: Future[T], then: Callable[[Future[T]], None]) -> None:
        if not future.cancelled():
            loop.call_soon_threadsafe(then, future)

    def _entry(self, address: str, now: float) -> _Address:
        entry = self._addresses.get(address)
        if entry is None:
            if len(self._addresses) >= _MAX_ADDRESSES:
                self._forget()
            entry = self._addresses[address] = _Address(self._burst, now)
        elif self._rate is not None:
            entry.tokens = min(self._burst, entry.tokens + (now - entry.then) * self._rate)
            entry.then = now
        return entry

    def _forget(self) -> None:
        """Forget the older half of the addresses without a handshake under way; fewer than the limit have one."""
        idle = sorted((entry.then, address) for address, entry in self._addresses.items() if not entry.under_way)
        for _, address in idle[: len(idle) // 2 + 1]:
            del self._addresses[address]
