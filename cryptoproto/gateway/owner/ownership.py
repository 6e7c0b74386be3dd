"""One ownership, from its takeover to its end: the session with the exchange and everything that stands on it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Final

import nats.errors
from nats.js import JetStreamContext
from nats.js.kv import KeyValue

from ...client import Client
from ...client.error_row import ErrorRow
from ...client.states import State
from ...exceptions import CryptoprotoError, HistoryRewound, OwnershipLost
from ..calls import OwnerState, encode
from ..command_log import CommandLog
from ..event_codec import last_of
from ..names import Names
from ..nats_connection import NatsConnection, flush_nats, to_the_end
from ..operations import GatewayStatus
from ..records import Rewound, Takeover, decode_records, encode_records
from ..rewind import rewound_for_all
from ..streams import StreamWriter, last_stored, purge_before, read_stream, state_of
from .event_consumers import EventConsumers
from .event_publisher import EventPublisher
from .kill_switch import KillSwitch
from .limits import LimitChecks
from .log_store import LogStore
from .operations import OperationService
from .retention import keep_events
from .service import CommandService
from .strategies import Strategies

__all__ = ["Ownership"]

logger: logging.Logger = logging.getLogger("cryptoproto.gateway")

_ANNOUNCE_S: Final = 1.0
_CLOSE_S: Final = 1.0
_PATIENCE: Final = 9
"""For how many thirds of the lease the exchange may be out of reach before a standby gets its chance."""


class Ownership:
    """Runs the session while this process holds the lease, until an operator asks for a handover.

    Args:
        nc: the connection to NATS.
        js: the same for JetStream.
        names: of subjects and streams.
        bucket: with the strategies.
        fence: of this ownership.
        member: the name of this process, for the log.
        holds: whether this process owns the session at this moment.
        write_timeout_s: how long a write may take; shorter than what is left of the lease after a renewal.
        open_client: makes the client with a store.
        book: the book of a pair, or ``None``; for the price bands of strategies.
        keep_events_s: for how long events are kept in the stream; ``None`` = forever.

    Attributes:
        is_serving: whether the first attempt to connect has ended, and strategies and operators are served.
    """

    def __init__(
        self,
        nc: NatsConnection,
        js: JetStreamContext,
        names: Names,
        bucket: KeyValue,
        fence: int,
        member: str,
        holds: Callable[[], bool],
        write_timeout_s: float,
        open_client: Callable[[Any], Client],
        book: Callable[[str], Any],
        keep_events_s: float | None,
    ) -> None:
        self._nc = nc
        self._js = js
        self._names = names
        self._strategies = Strategies(bucket)
        self._fence = fence
        self._member = member
        self._holds = holds
        self._write_timeout_s = write_timeout_s
        self._open_client = open_client
        self._book = book
        self.is_serving: bool = False
        self._keep_events_s = keep_events_s
        self._since = time.monotonic()
        self._publisher: EventPublisher | None = None
        self._client: Client | None = None

    @property
    def client(self) -> Client | None:
        """The session with the exchange; ``None`` before it was opened, and strategies and operators are served."""
        return self._client if self.is_serving else None

    def status(self) -> GatewayStatus:
        """What operators see of the owner, without the strategies."""
        state, client, publisher = self.state, self._client, self._publisher
        gauges = {} if client is None else client.metrics().gauges
        received = -1 if client is None else client.received_position
        return GatewayStatus(
            client_id=self._names.client_id,
            owner=self._member,
            fence=self._fence,
            owned_s=round(time.monotonic() - self._since, 3),
            state=state.state,
            reason=state.reason,
            position=state.position,
            lag=max(received - state.position, 0),
            unanswered=int(gauges.get("unanswered_messages", 0)),
            published=0 if publisher is None else publisher.published,
        )

    @property
    def state(self) -> OwnerState:
        """What the link is doing."""
        client, publisher = self._client, self._publisher
        if client is None or publisher is None:
            return OwnerState(self._fence, "connecting", "taking over", -1)
        change, error = client.state, None
        if change.state is State.CLOSED and change.error is not None:
            error = ErrorRow.of(self._of_gateway(change.error))
        return OwnerState(self._fence, change.state.value, change.reason, publisher.position, error)

    async def run(self, opened: Callable[[], None]) -> None:
        """Take over, and own the session until something goes wrong. Cancelling closes the session in good order.

        Args:
            opened: called when the first attempt to connect to the exchange has ended, and strategies are served.

        Raises:
            OwnershipLost: another process owns it, or this one cannot be sure that it does.
            CryptoprotoError: what closed the client for good.
        """
        log, log_writer = await self._take_over_log()
        await self._strategies.load()
        last = await last_stored(self._js, self._names.events_stream)
        position = last_of(last.data) if last.data else None
        events = StreamWriter(self._nc, self._names.events, last.number, self._write_timeout_s)
        store = LogStore(log_writer, log, position, self._holds, self._purge_log)
        self._client = client = self._open_client(store)
        self._publisher = publisher = EventPublisher(self._nc, self._names, events, client, store)
        limits = LimitChecks(lambda: client.orders.unfinished, self._book)
        consumers = EventConsumers(self._js, self._names)
        service = CommandService(
            self._nc, self._names, self._fence, client, store, log, self._strategies, limits, consumers,
            lambda: self.state,
        )  # fmt: skip
        kill_switch = KillSwitch(client, store, self._strategies)
        operations = OperationService(self._nc, self._names, client, kill_switch, self._strategies, self.status)
        tasks: list[asyncio.Future[Any]] = [
            asyncio.ensure_future(publisher.run()),
            asyncio.ensure_future(self._announce(client)),
            asyncio.ensure_future(self._report(client)),
            asyncio.ensure_future(kill_switch.run()),
            asyncio.ensure_future(log_writer.wait_failed()),
            asyncio.ensure_future(self._give_up_if_unreachable(client)),
            asyncio.ensure_future(keep_events(self._js, self._names.events_stream, self._keep_events_s)),
            asyncio.ensure_future(operations.handover.wait()),
        ]
        try:
            await client.start()
            await service.start()
            await operations.start()
            await flush_nats(self._nc)  # from here on the server passes calls on
            self.is_serving = True
            opened()
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        except HistoryRewound as error:
            raise self._of_gateway(error) from None
        finally:
            self.is_serving = False
            for task in tasks:
                task.cancel()

            async def leave() -> None:
                await client.close(_CLOSE_S)
                await self._say_end(client.state.error, log_writer)
                await operations.close()
                await asyncio.wait(tasks)
                await service.close()
                await log_writer.close()
                await events.close()

            await to_the_end(leave())
        end = client.state
        if end.state is State.CLOSED and end.error is not None:  # the task that raises it may have been too late
            raise self._of_gateway(end.error)
        for task in tasks:
            if not task.cancelled():
                task.result()

    def _of_gateway(self, error: CryptoprotoError) -> CryptoprotoError:
        """*error*, which closed the client, as the gateway raises it."""
        return rewound_for_all(error, self._names) if isinstance(error, HistoryRewound) else error

    async def _say_end(self, error: CryptoprotoError | None, writer: StreamWriter) -> None:
        """Tell strategies, and the next owner, what has closed the client for good.

        If history was rewound, no later owner may go on: it resumes after the end of the event stream, and might not
        notice that.
        """
        if error is not None:
            await self._publish_state()
        if not isinstance(error, HistoryRewound):
            return
        try:
            await writer.append(encode_records(Rewound(error.position, error.exchange_position, error.what)))
        except OwnershipLost as lost:
            logger.warning("the next owner may not notice that history was rewound: %s", lost)

    async def _take_over_log(self) -> tuple[CommandLog, StreamWriter]:
        """Read the command log, and make sure that nobody else writes to it from here on."""
        while True:
            log, state = CommandLog(), await state_of(self._js, self._names.log_stream)
            async for stored in read_stream(self._js, self._names.log_stream, self._names.log, state):
                for record in decode_records(stored.data):
                    log.apply(record, stored.number)
            if log.fence > self._fence:
                raise OwnershipLost(f"an owner with the newer fence {log.fence} has written to the command log")
            if not self._holds():
                raise OwnershipLost("the lease ended during the takeover")
            if (rewound := log.rewound) is not None:
                error = HistoryRewound(rewound.position, rewound.exchange_position, rewound.what)
                raise rewound_for_all(error, self._names)
            # What was not read, because a server was behind, makes this number wrong, and the write fails.
            writer = StreamWriter(self._nc, self._names.log, state.last_seq, self._write_timeout_s)
            takeover = Takeover(self._fence, self._member)
            try:
                await writer.append(encode_records(takeover))
            except OwnershipLost:
                continue  # the old owner has written in between; once it sees this record, it cannot any more
            log.apply(takeover, writer.last)
            return log, writer

    async def _purge_log(self, number: int) -> None:
        await purge_before(self._js, self._names.log_stream, number)

    async def _announce(self, client: Client) -> None:
        """Publish the state of the link when it changes, and every second."""
        states = client.states()
        try:
            while True:
                try:
                    async with asyncio.timeout(_ANNOUNCE_S):
                        await anext(states)
                except TimeoutError:
                    pass
                except StopAsyncIteration:
                    return
                await self._publish_state()
        finally:
            states.close()

    async def _give_up_if_unreachable(self, client: Client) -> None:
        """Let a standby try if the exchange cannot be reached from here.

        Raises:
            OwnershipLost: the session was not live for a while.
        """
        loop = asyncio.get_running_loop()
        patience = self._write_timeout_s * _PATIENCE
        deadline: float | None = loop.time() + patience
        states = client.states()
        try:
            while True:
                async with asyncio.timeout_at(deadline):
                    change = await anext(states)
                if change.state in (State.RESUMING, State.LIVE):
                    deadline = None
                elif deadline is None:
                    deadline = loop.time() + patience
        except TimeoutError:
            raise OwnershipLost(f"the exchange could not be reached for {patience:g} s") from None
        except StopAsyncIteration:
            return
        finally:
            states.close()

    async def _publish_state(self) -> None:
        try:
            await self._nc.publish(self._names.state, encode(self.state))
        except nats.errors.Error as error:
            logger.debug("the state could not be announced: %s", error)

    async def _report(self, client: Client) -> None:
        """Log what the client found to differ after a resume; outcomes are in the command log."""
        async for report in client.reports():
            logger.info("%r", report)
