"""Reads the event stream from a position on, without a gap and without a repetition."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import nats.errors
from nats.aio.client import Client as Nats
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig

from ...connection import Event
from ...exceptions import CryptoprotoError, DecodeError, HistoryTruncated, OrderInvalid, SlowConsumer, StoreError
from ..calls import EventsFrom
from ..event_codec import decode_events
from ..nats_connection import unsubscribe

__all__ = ["EventReader"]

logger: logging.Logger = logging.getLogger("cryptoproto.gateway")

_RETRY_S: Final = 0.5


class EventReader:
    """Passes events on, one after the other, from a JetStream consumer.

    Messages are numbered without gaps. If one is missing, the reader asks for it again.

    Args:
        nc: the connection.
        stream: the name of the event stream.
        open_events: asks the owner to deliver what is after a position.
        receive: takes an event; called in order, each transaction once.

    Attributes:
        position: the last transaction that was passed on; ``None`` before the first.
    """

    def __init__(
        self,
        nc: Nats,
        stream: str,
        open_events: Callable[[str, int | None, bool], Awaitable[EventsFrom]],
        receive: Callable[[Event], None],
    ) -> None:
        self.position: int | None = None
        self._nc = nc
        self._stream = stream
        self._open_events = open_events
        self._receive = receive
        self._next_number = 1
        self._checked_number = 0
        self._subscription: Any = None
        self._limit: int | None = None  # the last transaction that may be passed on now
        self._is_paused = False
        self._changed = asyncio.Event()
        self._restart: asyncio.Task[None] | None = None
        self._closed = False
        self._began_at: int | None = None  # the position to return to if there is no other one
        self._failed: asyncio.Future[CryptoprotoError] = asyncio.get_running_loop().create_future()

    async def start(self, position: int | None, *, live_only: bool = False) -> None:
        """Read everything after *position*: from the start of the stream if that is ``None``, unless *live_only*.

        Raises:
            HistoryTruncated: the stream begins after the position.
            CryptoprotoError: there is no owner that could deliver it.
        """
        self.position = position
        await self._subscribe(live_only=live_only)
        self._began_at = self.position

    async def wait_failed(self) -> CryptoprotoError:
        """Wait for what makes it impossible to go on; returns it."""
        return await asyncio.shield(self._failed)

    def _fail(self, error: CryptoprotoError) -> None:
        if not self._failed.done():
            self._failed.set_result(error)
        self._notify()

    async def close(self) -> None:
        """Stop reading. Idempotent."""
        self._closed = True
        self._changed.set()
        if self._restart is not None:
            self._restart.cancel()
            await asyncio.wait([self._restart])
        await self._unsubscribe()

    # For the event queue

    def give_up(self, error: CryptoprotoError) -> None:
        """Events were not taken: read again from the position that *error* states."""
        if isinstance(error, SlowConsumer):
            self.position = self._began_at if error.position is None else error.position
        self.read_again(str(error))

    def pause(self) -> None:
        """Pass nothing on until :meth:`resume`; the server stops sending when enough waits here."""
        self._is_paused = True

    def resume(self) -> None:
        """Pass events on again."""
        self._is_paused = False
        self._notify()

    def hold(self) -> None:
        """Pass nothing on until :meth:`release`, but for what :meth:`reach` allows."""
        self._limit = -1 if self.position is None else self.position

    async def reach(self, position: int) -> None:
        """While held: pass everything on up to *position*, and wait until that is done.

        Raises:
            CryptoprotoError: what makes it impossible to go on.
        """
        self._limit = position
        self._notify()
        while not self._closed and (-1 if self.position is None else self.position) < position:
            if self._failed.done():
                raise self._failed.result()
            self._changed.clear()
            await self._changed.wait()

    def release(self) -> None:
        """Pass everything on."""
        self._limit = None
        self._notify()

    def _notify(self) -> None:
        self._changed.set()

    # The consumer

    async def _subscribe(self, *, live_only: bool = False) -> None:
        """Have everything after the position delivered here.

        Raises:
            HistoryTruncated: the stream begins after the position.
            CryptoprotoError: there is no owner that could do it.
        """
        deliver = self._nc.new_inbox()
        is_numbered = asyncio.Event()

        async def on_message(message: Msg) -> None:
            await is_numbered.wait()  # the owner's reply may come after the first messages
            await self._on_message(message)

        config = ConsumerConfig(deliver_subject=deliver, ack_policy=AckPolicy.NONE, flow_control=True)
        self._subscription = await self._nc.jetstream().subscribe_bind(
            self._stream, config, deliver, cb=on_message, manual_ack=True
        )
        try:
            found = await self._open_events(deliver, self.position, live_only)
            if found.truncated_at is not None:
                raise HistoryTruncated(-1 if self.position is None else self.position, found.truncated_at)
        except CryptoprotoError:
            await self._unsubscribe()
            raise
        if found.position is not None:
            self.position = found.position
        self._next_number = found.number
        is_numbered.set()

    async def _unsubscribe(self) -> None:
        subscription, self._subscription = self._subscription, None
        await unsubscribe(subscription)

    async def _on_message(self, message: Msg) -> None:
        number = message.metadata.sequence.stream
        if self._is_stopped() or number < self._next_number:
            return
        if number > self._next_number:
            self.read_again(f"message {self._next_number} is missing")
            return
        try:
            after = -1 if self.position is None else self.position
            for event in decode_events(message.data, time.time_ns(), after):
                await self._wait_turn(event.transaction_id or 0)
                if self._is_stopped():
                    return
                self._receive(event)
                self.position = event.transaction_id
                if self._limit is not None:
                    self._notify()
        except StoreError as error:
            self.read_again(str(error))  # the event has not changed anything
        except CryptoprotoError as error:
            self._fail(error)
        else:
            self._next_number = number + 1

    def _is_stopped(self) -> bool:
        """Whether messages of the present consumer do not count any more."""
        return self._closed or self._restart is not None or self._failed.done()

    async def _wait_turn(self, transaction_id: int) -> None:
        while not self._closed and (self._is_paused or (self._limit is not None and transaction_id > self._limit)):
            self._changed.clear()
            await self._changed.wait()

    def check(self, published: int) -> None:
        """Called about every second: read again if nothing has arrived since the last time although there is more.

        After a reconnect, messages that were on their way are lost, and no later one may show that.
        """
        number, self._checked_number = self._checked_number, self._next_number
        position = -1 if self.position is None else self.position
        is_free = not self._is_paused and (self._limit is None or position < self._limit) and not self._is_stopped()
        if is_free and number == self._next_number and published > position:
            self.read_again(f"transaction {published} was published and has not arrived")

    def read_again(self, reason: str) -> None:
        """Ask the server for the next message once more, with a new consumer."""
        if self._restart is None and not self._closed:
            logger.warning("reading the event stream again from message %d: %s", self._next_number, reason)
            self._restart = asyncio.ensure_future(self._read_again())

    async def _read_again(self) -> None:
        try:
            await self._unsubscribe()
            while not self._closed:
                try:
                    await self._subscribe()
                except (HistoryTruncated, OrderInvalid, DecodeError) as error:  # it would be the same next time
                    self._fail(error)
                    return
                except (CryptoprotoError, nats.errors.Error) as error:
                    logger.debug("the event stream: %s", error)
                    await asyncio.sleep(_RETRY_S)
                else:
                    return
        finally:
            self._restart = None
