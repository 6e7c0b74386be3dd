"""Has the event stream delivered to strategies, which have no rights in JetStream themselves."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import defaultdict, deque
from typing import Final

import nats.errors
import nats.js.errors
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from ...exceptions import GatewayError, OrderInvalid
from ..calls import EventsFrom, OpenEvents
from ..event_codec import first_of, last_of, previous_of
from ..names import Names, is_inbox_of

__all__ = ["EventConsumers"]

logger: logging.Logger = logging.getLogger("cryptoproto.gateway")

_HEARTBEAT_S: Final = 2.0
_LEAVE_S: Final = 60.0
"""When the server forgets a consumer whose process is gone."""
_KEPT: Final = 8
"""How many consumers a strategy may have from one owner; the oldest is deleted first."""


class EventConsumers:
    """Creates a consumer of the event stream for each reader.

    Args:
        js: the connection.
        names: of streams.
    """

    def __init__(self, js: JetStreamContext, names: Names) -> None:
        self._js = js
        self._names = names
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._consumers: defaultdict[str, deque[str]] = defaultdict(deque)

    async def open(self, call: OpenEvents, strategy: str) -> EventsFrom:
        """Carry out *call* of *strategy*.

        Raises:
            OrderInvalid: the subject to deliver to is not in the inbox of the strategy.
            GatewayError: NATS cannot do it.
        """
        if not is_inbox_of(call.deliver, strategy) or any(each in call.deliver for each in "*> "):
            raise OrderInvalid(f"{call.deliver!r:.100} is not a subject of the inbox of strategy {strategy}")
        async with self._locks[strategy]:  # one after the other, so that no strategy keeps the server busy
            try:
                found = await self._first(call.position, live_only=call.live_only)
                if found.truncated_at is None:
                    await self._create(call.deliver, strategy, found.number)
            except (nats.errors.Error, TimeoutError) as error:
                raise GatewayError(f"the event stream cannot be read: {str(error) or 'no answer from NATS'}") from error
        return found

    async def _create(self, deliver: str, strategy: str, number: int) -> None:
        name = f"{strategy}-{secrets.token_hex(8)}"
        config = ConsumerConfig(
            name=name,
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=number,
            ack_policy=AckPolicy.NONE,
            deliver_subject=deliver,
            flow_control=True,
            idle_heartbeat=_HEARTBEAT_S,
            mem_storage=True,
            num_replicas=1,
            inactive_threshold=_LEAVE_S,
        )
        await self._js.add_consumer(self._names.events_stream, config)
        kept = self._consumers[strategy]
        kept.append(name)
        if len(kept) > _KEPT:
            try:
                await self._js.delete_consumer(self._names.events_stream, kept.popleft())
            except nats.js.errors.NotFoundError:
                logger.debug("the server has forgotten a consumer of strategy %s already", strategy)

    async def _first(self, position: int | None, *, live_only: bool) -> EventsFrom:
        """The first message with an event after *position*, by bisection: transaction ids grow."""
        state = (await self._js.stream_info(self._names.events_stream)).state
        low, high = state.first_seq, state.last_seq + 1
        if not state.messages:
            return EventsFrom(high)
        if position is None:
            return EventsFrom(high, position=await self._transaction(high - 1)) if live_only else EventsFrom(low)
        first = (await self._js.get_msg(self._names.events_stream, low)).data or b""
        if low > 1 and position < previous_of(first):
            return EventsFrom(low, truncated_at=first_of(first))
        while low < high:
            middle = (low + high) // 2
            if await self._transaction(middle) > position:
                high = middle
            else:
                low = middle + 1
        return EventsFrom(low)

    async def _transaction(self, number: int) -> int:
        """The last one in a message."""
        message = await self._js.get_msg(self._names.events_stream, number)
        return last_of(message.data or b"")
