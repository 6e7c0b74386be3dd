"""Which gateway owns the session now, and what its link to the exchange is doing."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec
import nats.errors
from nats.aio.msg import Msg

from ...client.link import not_sent
from ...client.states import State, StateChange
from ...exceptions import ClientClosed, CryptoprotoError, DecodeError, GatewayError, HistoryRewound
from ...messages import MALFORMED
from ...reconnect import StateStream
from ..calls import EventsFrom, Hello, OpenEvents, OwnerState, Reply, Welcome, encode
from ..names import Names
from ..nats_connection import NatsConnection, unsubscribe
from .call_table import CallTable

__all__ = ["GatewayLink", "read_reply"]

logger: logging.Logger = logging.getLogger("cryptoproto.gateway")

_replies: Final = msgspec.json.Decoder(Reply)

_SILENCE_S: Final = 3.0
"""After how many seconds without a word the owner is taken for gone; it says something every second."""
_HELLO_TIMEOUT_S: Final = 1.0
_RETRY_S: Final = 0.2
_OPEN_EVENTS_S: Final = 5.0
_GRACE_S: Final = 0.5
"""How long after a deadline the owner's reply may still arrive."""


class GatewayLink:
    """Follows the owner, and sends it calls.

    Args:
        nc: the connection to NATS.
        names: of subjects.
        strategy: who calls.

    Attributes:
        states: the state now, and every change. LIVE is entered by :meth:`enter_live`.
        found: set each time when an owner with a live session was found that has not been caught up with.
        spoke: set each time when the owner has announced its state, about every second.
    """

    def __init__(self, nc: NatsConnection, names: Names, strategy: str) -> None:
        self.states: StateStream[StateChange] = StateStream(StateChange(State.CONNECTING, "looking for the owner"))
        self.found: asyncio.Event = asyncio.Event()
        self.spoke: asyncio.Event = asyncio.Event()
        self._nc = nc
        self._names = names
        self._subject = names.command(strategy)
        self._calls = CallTable(nc, self._subject)
        self._number = 0
        self._fence = 0
        self._offset = 0.0  # what to add to this machine's clock for a time of the owner's that is not too late
        self._owner: OwnerState | None = None
        self._heard_at = 0.0
        self._rewound: asyncio.Future[HistoryRewound] = asyncio.get_running_loop().create_future()
        self._subscription: Any = None
        self._task: asyncio.Task[None] | None = None

    @property
    def number(self) -> int:
        """The number of this strategy; 0 until an owner has given it one."""
        return self._number

    @property
    def fence(self) -> int:
        """Of the owner that is being followed; 0 if there is none."""
        return self._fence

    @property
    def published(self) -> int:
        """The last transaction that the owner is known to have published; -1 before the first."""
        return -1 if self._owner is None else self._owner.position

    @property
    def state(self) -> StateChange:
        """The state now."""
        return self.states.current

    # Start and end

    async def start(self) -> None:
        """Begin to follow."""
        await self._calls.start()
        self._subscription = await self._nc.subscribe(self._names.state, cb=self._on_state)
        self._task = asyncio.ensure_future(self._follow())

    async def close(self) -> None:
        """Enter CLOSED, the last state. Idempotent."""
        self.enter(StateChange(State.CLOSED, "closed by this end"))
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
            await self._calls.close()
            await unsubscribe(self._subscription)

    def enter(self, change: StateChange) -> None:
        """Enter a state. CLOSED is the last one."""
        current = self.states.current
        if (current.state, current.reason) != (change.state, change.reason) and not self.states.ended:
            logger.info("%s: %s", change.state.value, change.reason)
            self.states.publish(change, last=change.state is State.CLOSED)
            if change.state is State.CLOSED:
                self._leave()

    def enter_live(self, fence: int) -> None:
        """Everything is known from the owner with *fence*; ignored if it is not the owner any more."""
        if fence == self._fence and self._is_owner_live():
            self.enter(StateChange(State.LIVE, "everything is known"))

    def lose(self, fence: int, reason: str) -> None:
        """The owner with *fence* does not answer any more."""
        if fence == self._fence:
            self._leave()
            self.enter(StateChange(State.WAITING, reason))
            self.states.notify()

    def _leave(self) -> None:
        """Follow nobody, and end the calls to the owner that was followed."""
        self._fence, self._owner = 0, None
        self._calls.end("the owner has changed")

    # The owner

    def _is_owner_live(self) -> bool:
        return self._owner is not None and self._owner.state == State.LIVE.value

    async def _on_state(self, message: Msg) -> None:
        try:
            state = msgspec.json.decode(message.data, type=OwnerState)
        except MALFORMED:
            logger.warning("a message on %s is not the state of a gateway", self._names.state)
            return
        if state.fence >= self._fence:
            self._heard_at = time.monotonic()
            self._see(state)
            self.spoke.set()

    async def wait_rewound(self) -> HistoryRewound:
        """Wait until an owner says that the exchange has forgotten history; returns its error."""
        return await asyncio.shield(self._rewound)

    def _see(self, state: OwnerState) -> None:
        error = None if state.error is None else state.error.restored()
        if isinstance(error, HistoryRewound) and not self._rewound.done():
            self._rewound.set_result(error)
        if state.fence != self._fence:  # its clock is not known yet: _follow() asks for it
            if self._fence:
                self.lose(self._fence, "another gateway has become the owner")
            self.states.notify()
            return
        was_live, self._owner = self._is_owner_live(), state
        if not self._is_owner_live():
            self.enter(StateChange(State.WAITING, f"the owner is {state.state}: {state.reason}"))
        elif not was_live or self.state.state is State.WAITING:
            self.enter(StateChange(State.RESUMING, "the owner is live"))
            self.found.set()

    async def _follow(self) -> None:
        """Find the owner, and find it again whenever it changes or falls silent."""
        while not self.states.ended:
            if self._fence and time.monotonic() - self._heard_at < _SILENCE_S:
                await self._pause(_SILENCE_S / 3)
                continue
            if self._fence:
                self.lose(self._fence, "the owner has fallen silent")
            error = await self._hello()
            if error is not None:
                self.enter(StateChange(State.WAITING, str(error), error=error))
                await self._pause(_RETRY_S)

    async def _pause(self, seconds: float) -> None:
        """Wait, but go on as soon as an owner announces itself."""
        try:
            async with asyncio.timeout(seconds):
                await self.states.changed()
        except TimeoutError:
            pass

    async def _hello(self) -> CryptoprotoError | None:
        """Ask who the owner is; returns what went wrong."""
        asked_at = time.monotonic()
        try:
            message = await self._nc.request(self._subject, encode(Hello()), timeout=_HELLO_TIMEOUT_S)
            reply = _replies.decode(message.data)
            if (refused := reply.outcome.restored()) is not None:
                return refused
            welcome = msgspec.json.decode(reply.result, type=Welcome)
        except nats.errors.NoRespondersError:
            return GatewayError("no gateway owns the session at the moment")
        except nats.errors.ConnectionClosedError:
            error = GatewayError("the connection to NATS has ended for good: it refuses this user")
            self.enter(StateChange(State.CLOSED, str(error), error=error))
            return error
        except (nats.errors.Error, TimeoutError):
            is_connected = self._nc.is_connected
            return GatewayError("the gateway does not answer" if is_connected else "the connection to NATS is lost")
        except MALFORMED as unreadable:
            return GatewayError(f"the answer of the gateway cannot be read: {unreadable}")
        # The owner's clock has gone on since it wrote this, so times derived from it are never too late.
        self._offset = reply.clock - time.monotonic()
        self._number, self._fence, self._heard_at = welcome.number, reply.fence, asked_at
        self._see(welcome.owner)
        return None

    # Calls

    async def live_by(self, deadline: float, *, wait: bool) -> int:
        """Wait until everything is known; returns the fence of the owner.

        Args:
            deadline: on this machine's monotonic clock.
            wait: whether to wait at all.

        Raises:
            ClientClosed: the client is closed.
            RequestNotSent: there is no owner, or its link is down.
        """
        while self.state.state is not State.LIVE:
            current = self.state
            await asyncio.sleep(0)  # other tasks have to run even if a caller retries in a loop
            if self.states.ended:
                raise self.closed()
            if not wait:
                raise not_sent(f"not connected: {self.state.reason}", cause=self.state.error)
            if self.state is not current:
                continue  # it has changed meanwhile, perhaps for the last time before the deadline
            try:
                async with asyncio.timeout(deadline - time.monotonic()):
                    await self.states.changed()
            except TimeoutError:
                reason, cause = self.state.reason, self.state.error
                late = not_sent(f"there was no owner with a live session within the deadline: {reason}", cause=cause)
                raise late from cause
        return self._fence

    def owners_time(self, deadline: float) -> float:
        """*deadline*, a time of this machine's monotonic clock, as a time of the owner's clock that is not later."""
        return deadline + self._offset

    async def call(self, payload: bytes, fence: int, deadline: float) -> Reply:
        """Send a call and wait for the reply, until the owner changes or shortly after *deadline*.

        Raises:
            RequestNotSent: nobody received it.
            OutcomeUnknown: it was sent and there is no reply.
            DecodeError: the reply is none.
        """
        return read_reply(await self.begin_call(payload, fence, deadline))

    def begin_call(
        self, payload: bytes, fence: int, deadline: float, wake: Callable[[], None] | None = None
    ) -> asyncio.Future[bytes]:
        """Send a call; the future has what :func:`read_reply` reads, or else an exception of :meth:`call`.

        If the future is not done already, *wake* is called once it is; see :meth:`CallTable.call`.
        """
        if fence != self._fence:
            refused: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
            refused.set_exception(not_sent("the owner has changed"))
            refused.exception()  # perhaps its caller has an outcome already
            return refused
        return self._calls.call(payload, max(deadline - time.monotonic(), 0.0) + _GRACE_S, wake)

    async def open_events(self, deliver: str, position: int | None, live_only: bool) -> EventsFrom:
        """Have the owner deliver everything after *position* to *deliver*.

        Raises:
            CryptoprotoError: there is no owner, or it cannot.
        """
        fence = self._fence
        reply = await self.call(
            encode(OpenEvents(fence, deliver, position, live_only)), fence, time.monotonic() + _OPEN_EVENTS_S
        )
        if (error := reply.outcome.restored()) is not None:
            raise error
        return msgspec.json.decode(reply.result, type=EventsFrom)

    def closed(self) -> ClientClosed:
        """The error of a call on a client that is closed."""
        return ClientClosed(f"the client is closed: {self.state.reason}; a retry cannot succeed")


def read_reply(data: bytes) -> Reply:
    """The owner's reply.

    Raises:
        DecodeError: it is none.
    """
    try:
        return _replies.decode(data)
    except MALFORMED as error:
        raise DecodeError(f"the reply of the gateway cannot be read: {error}") from error
