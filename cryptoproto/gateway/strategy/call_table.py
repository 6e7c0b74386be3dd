"""Calls to the owner that wait for its reply.

``request()`` of nats-py takes three tasks for each call, and the replies to orders are what strategies wait for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import nats.errors
from nats.aio.msg import Msg
from nats.js.api import Header

from ...client.link import not_sent
from ...exceptions import CryptoprotoError, OutcomeUnknown
from ..nats_connection import NatsConnection, unsubscribe

__all__ = ["CallTable"]

_NO_RESPONDERS: Final = "503"


class _Waiting(NamedTuple):
    reply: asyncio.Future[bytes]
    timer: asyncio.TimerHandle
    wake: Callable[[], None] | None


class CallTable:
    """Sends calls, and gives each its reply.

    Args:
        nc: the connection to NATS.
        subject: where calls are sent to.
    """

    def __init__(self, nc: NatsConnection, subject: str) -> None:
        self._nc = nc
        self._subject = subject
        self._loop = asyncio.get_running_loop()
        self._inbox = ""
        self._last = 0
        self._waiting: dict[int, _Waiting] = {}
        self._subscription: Any = None

    async def start(self) -> None:
        """Take replies from here on."""
        self._inbox = self._nc.new_inbox()
        self._subscription = await self._nc.listen(f"{self._inbox}.*", self._on_reply)

    async def close(self) -> None:
        """Take no more replies."""
        await unsubscribe(self._subscription)

    def call(self, payload: bytes, timeout: float, wake: Callable[[], None] | None = None) -> asyncio.Future[bytes]:
        """Send *payload*; the future has the reply. Cancelling it ends only the wait.

        *wake* is called once the future is done, unless it was cancelled: for callers who also wait for something else,
        and whom ``asyncio.wait()`` would wake a turn of the event loop later.

        Its exception is one of these:
            RequestNotSent: nobody received it.
            OutcomeUnknown: it was sent, and there is no reply within *timeout* seconds or until :meth:`end`.
        """
        self._last = number = self._last + 1
        reply: asyncio.Future[bytes] = self._loop.create_future()
        timer = self._loop.call_later(timeout, self._fail, number, "no reply before the deadline")
        self._waiting[number] = _Waiting(reply, timer, wake)
        reply.add_done_callback(lambda _: self._forget(number))
        try:
            self._nc.post(self._subject, payload, f"{self._inbox}.{number}")
        except nats.errors.Error as error:
            self._fail(number, str(error))
        return reply

    def _forget(self, number: int) -> None:
        self._waiting.pop(number).timer.cancel()

    def end(self, reason: str) -> None:
        """End all calls: there will be no replies."""
        for number in self._waiting:
            self._fail(number, reason)

    def _on_reply(self, message: Msg) -> None:
        waiting = self._waiting.get(int(message.subject.rpartition(".")[2]))
        if waiting is None or waiting.reply.done():
            return
        if message.headers and message.headers.get(Header.STATUS) == _NO_RESPONDERS:
            _raise_in(waiting, not_sent("no gateway owns the session at the moment"))
        else:
            waiting.reply.set_result(message.data)
            _wake(waiting)

    def _fail(self, number: int, reason: str) -> None:
        waiting = self._waiting[number]
        if not waiting.reply.done():
            _raise_in(waiting, _no_reply(f"the gateway did not answer: {reason}"))


def _raise_in(waiting: _Waiting, error: CryptoprotoError) -> None:
    waiting.reply.set_exception(error)
    waiting.reply.exception()  # its caller may have another answer already
    _wake(waiting)


def _wake(waiting: _Waiting) -> None:
    if waiting.wake is not None:
        waiting.wake()


def _no_reply(reason: str) -> OutcomeUnknown:
    error = OutcomeUnknown(reason)
    error.sent = True
    return error
