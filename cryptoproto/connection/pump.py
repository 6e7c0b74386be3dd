"""The link below a connection: what arrives goes through the session to events, replies and throttling."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from typing import Any

from ..exceptions import (
    ConfigurationError,
    ConnectionClosed,
    CryptoprotoError,
    DecodeError,
    HandshakeError,
    HeartbeatTimeout,
    HistoryRewound,
    RequestTimeout,
    SlowConsumer,
)
from ..identity_lock import IdentityLock
from ..transport import Closed, Heartbeat, Transport
from ..wire import (
    BroadcastFrame,
    ClientSession,
    CloseCode,
    ErrorFrame,
    Opened,
    Protocol,
    ResponseFrame,
    ServerFrame,
    ThrottlingFrame,
    TransactionFrame,
    server_error,
)
from .arrivals import event_of, in_lists, one_by_one
from .closing import CLOSE_TIMEOUT_S, ClosedHere, ending, own
from .event import Event, last_transaction_id
from .event_queue import EventQueue
from .opening import open_link
from .options import ConnectOptions, default_throttle
from .requests import RequestTable
from .signer import Signer
from .throttle import SendGate

__all__ = ["Pump"]

logger: logging.Logger = logging.getLogger("cryptoproto.connection")


class Pump:
    """Feeds a session with what a transport receives, and passes on what comes out; holds the state of the link.

    The :class:`Connection` above it reads the attributes and calls the methods; nothing here calls back up.

    Args:
        options: how to connect.
        on_events: called with the events of one read, in place of the queue and of ``options.on_event``.

    Attributes:
        session: the protocol's state.
        transport: what to send over; ``None`` until the network connection is there.
        error: what ended the link; ``None`` while it is open.
        queue: the events that wait for the iteration.
        calls: the requests in flight.
        gate: holds messages while the exchange throttles.
        signer: signs frames; ``None`` if the protocol has no signatures, and during the handshake.
        paused: whether reading from the socket is paused.
    """

    def __init__(self, options: ConnectOptions, on_events: Callable[[list[Event]], None] | None) -> None:
        loop = asyncio.get_running_loop()
        self._options = options
        self.session: ClientSession = ClientSession(
            client_id=options.client_id,
            private_key=options.private_key,
            server_key=options.server_key,
            random=os.urandom,
            resume_from=options.resume_from,
            protocol=options.protocol,
            max_frame_bytes=options.max_message_size,
        )
        self.transport: Transport | None = None
        self.error: CryptoprotoError | None = None
        self.queue: EventQueue = EventQueue(loop, options.max_queue)
        self.calls: RequestTable = RequestTable(loop)
        self.gate: SendGate = SendGate(loop)
        self.signer: Signer | None = None
        self.paused: bool = False
        self._identity = IdentityLock(options.client_id, options.server_key.fingerprint)
        self._opened: asyncio.Future[None] = loop.create_future()
        self._gone: asyncio.Future[None] = loop.create_future()
        self._position: int | None = options.resume_from if options.resume_from > 0 else None
        self._draining = 0
        self._watched: dict[int, Callable[[bytes], None]] = {}  # called with the response, by request id
        self._on_event = options.on_event
        self._on_events = on_events
        self._frames: list[bytes] = []  # of the read that is being delivered
        self._heartbeat = Heartbeat(
            loop,
            interval=options.ping_interval or 1.0,  # if there is none, it is not started
            timeout=options.ping_timeout,
            ping=self._ping,
            deaf=lambda: self.paused,
            on_silence=self._on_silence,
        )

    # Opening

    async def open(self) -> None:
        """Connect and complete the handshake; see :func:`~cryptoproto.connect` for what it raises."""
        options = self._options
        if options.lock:
            self._identity.acquire(exclusive=options.exclusive)
        try:
            await open_link(options, self, self._opened)
        except CryptoprotoError as error:
            self._abandon(error)
            raise
        except BaseException:  # most often a cancellation; or what a custom opener raises
            self._abandon(ClosedHere(None, "connecting was cancelled"))
            raise
        if options.protocol is Protocol.SIGNED:
            self.signer = Signer(self.session, options, self._dispatch, self._on_signer_failure)
        if options.ping_interval is not None and self.error is None:
            self._heartbeat.start()

    def _abandon(self, error: CryptoprotoError) -> None:
        self.fail(error, None)
        if self.transport is not None:
            self.transport.abort()

    # Called by the transport

    def on_open(self, transport: Transport) -> None:
        """See :class:`~cryptoproto.transport.Listener`."""
        self.transport = transport
        if self.error is None:
            transport.send(self.session.hello())

    def on_message(self, data: bytes, more: bool = False) -> None:
        """See :class:`~cryptoproto.transport.Listener`. The hot path: a frame becomes an event."""
        frames = self._frames
        if more or frames:
            frames.append(data)
            if not more:
                self._take_read()
            return
        if self.error is not None:
            return
        self._heartbeat.heard = True
        try:  # as _take_read(), but a frame that comes alone takes fewer calls, which shows in a round trip
            frame = self.session.receive(data)
            if type(frame) is TransactionFrame or type(frame) is BroadcastFrame:
                self._hand_over([event_of(frame, time.time_ns())])
            elif frame is not None:
                self._on_other(frame)
        except (HandshakeError, DecodeError, HistoryRewound) as error:
            self.fail(error, CloseCode.PROTOCOL_ERROR)

    def _take_read(self) -> None:
        """Take in the frames of one read together, which takes a third less time than one by one."""
        frames, self._frames = self._frames, []
        if self.error is not None:
            frames.clear()
        self._heartbeat.heard = True
        read = in_lists if self._on_event is None else one_by_one
        try:
            for arrival in read(self.session, frames, time.time_ns()):
                if isinstance(arrival, list):
                    self._hand_over(arrival)
                else:
                    self._on_other(arrival)
                if self.error is not None:
                    return
        except (HandshakeError, DecodeError, HistoryRewound) as error:
            self.fail(error, CloseCode.PROTOCOL_ERROR)

    def _hand_over(self, events: list[Event]) -> None:
        self._position = events[-1].transaction_id or last_transaction_id(events, self._position)
        if self._on_events is not None:
            try:  # as _call_user(), without its call
                self._on_events(events)
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - as there
                self._on_user_error(self._on_events, error)
        elif self._on_event is not None:
            self._call_user(self._on_event, events[0])  # which came alone
        elif self.queue.put(events):
            self._on_full()

    def on_text(self, text: str) -> None:
        """See :class:`~cryptoproto.transport.Listener`."""
        self._take_read()
        self.fail(DecodeError("received a text message; frames are binary"), CloseCode.PROTOCOL_ERROR)

    def on_heard(self) -> None:
        """See :class:`~cryptoproto.transport.Listener`."""
        self._heartbeat.heard = True
        self._take_read()

    def on_closed(self, closed: Closed) -> None:
        """See :class:`~cryptoproto.transport.Listener`."""
        self._take_read()
        self.fail(ending(closed, opened=self._opened.done()), None)
        if not self._gone.done():
            self._gone.set_result(None)

    def _on_other(self, frame: ServerFrame | Opened) -> None:
        """Take in a frame that is not an event."""
        if type(frame) is ResponseFrame:
            if self._watched and frame.request_id in self._watched:
                self._call_user(self._watched[frame.request_id], frame.payload)
            self.calls.resolve(frame.request_id, frame.payload)
        elif isinstance(frame, ThrottlingFrame):
            policy = self._options.throttle or default_throttle
            seconds = self._call_user(policy, frame.level, frame.request_id, frame.order_id)
            if isinstance(seconds, int | float) and seconds > 0:
                self.gate.hold(seconds)
        elif isinstance(frame, ErrorFrame):
            self.fail(server_error(frame.error_type, frame.text), CloseCode.NORMAL)
        elif isinstance(frame, Opened) and self.transport is not None and not self._opened.done():
            self.transport.send(frame.proof)
            self._opened.set_result(None)

    # Called by the connection

    def live(self) -> Transport:
        """The transport of an open connection.

        Raises:
            ConfigurationError: the connection is not open yet.
            ServerError, ConnectionClosed, DecodeError: it has ended.
        """
        transport = self.transport
        if self.error is not None:
            raise own(self.error, sent=False)
        if transport is None:
            raise ConfigurationError("the connection is not open yet: await connect(...)")
        return transport

    def start_call(
        self, transport: Transport, payload: bytes, deadline: float, at: Callable[[bytes], None] | None
    ) -> tuple[int, asyncio.Future[bytes]]:
        """Send a request; returns its id and the future of its response, which *at* is called with as it arrives."""
        if self.paused:
            self.resume_reading()  # the response may be behind events that fill the queue
        signer = self.signer
        if signer is None:
            number, frame = self.session.request_frame(payload)
        else:
            draft = self.session.draft_request(payload)
            number = draft.number
        call = self.calls.open(number, deadline)
        if at is not None:
            self._watched[number] = at
        if signer is None:
            transport.send(frame)
        else:
            signer.put(draft)
        return number, call

    def forget_call(self, number: int) -> None:
        """Drop the response to a request, if it is still to come."""
        self.calls.discard(number)
        self._watched.pop(number, None)

    async def drain(self, transport: Transport) -> None:
        """Wait until the network accepts more data.

        Reading continues meanwhile, because the exchange may accept nothing until its own data is read.
        """
        self._draining += 1
        self.resume_reading()
        try:
            await transport.drain()
        finally:
            self._draining -= 1

    async def drain_until(self, deadline: float) -> Transport:
        """As :meth:`drain`, until *deadline* in loop time; returns the transport.

        Raises:
            RequestTimeout: the deadline has passed.
            ServerError, ConnectionClosed, DecodeError: the connection has ended.
        """
        try:
            async with asyncio.timeout_at(deadline):
                await self.drain(self.live())
        except TimeoutError:
            error = RequestTimeout("the network accepted no more data before the deadline of the request")
            error.sent = False
            raise error from None
        return self.live()

    def pause_reading(self) -> None:
        """Stop reading from the socket."""
        if not self.paused and self.transport is not None and self.error is None:
            self.paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Read from the socket again."""
        if self.paused:
            self.paused = False
            if self.transport is not None:  # pragma: no branch - nothing is paused before there is one
                self.transport.resume_reading()

    async def close(self, timeout: float) -> None:
        """End the link within *timeout* seconds. Cancelling does not stop the closing."""
        self.fail(ClosedHere(CloseCode.NORMAL, "closed by this end"), CloseCode.NORMAL, timeout=timeout)
        transport = self.transport
        if transport is None or self._gone.done():
            return
        # The link may be closing already, with a longer timeout.
        cut = asyncio.get_running_loop().call_later(timeout, transport.abort)
        try:
            await self.wait_gone()
        finally:
            cut.cancel()

    async def wait_gone(self) -> None:
        """Wait until the link has ended."""
        await asyncio.shield(self._gone)

    def fail(
        self,
        error: CryptoprotoError,
        code: CloseCode | None,
        *,
        timeout: float = CLOSE_TIMEOUT_S,
        cause: BaseException | None = None,
    ) -> None:
        """End the link: first the state, then everyone who waits. The first error stays.

        Args:
            error: why.
            code: what to close the transport with; ``None`` if it has ended already.
            timeout: how many seconds the transport has for closing.
            cause: becomes the cause of *error*.
        """
        self._identity.release()
        if self.error is None:
            if isinstance(error, ConnectionClosed) and not isinstance(error, HistoryRewound):
                error.position = self._position
            if cause is not None:
                error.__cause__ = cause
            self.error = error
            self._heartbeat.stop()
            closed_here = isinstance(error, ClosedHere)
            if not self._opened.done():
                self._opened.set_exception(own(error, sent=None))
                self._opened.exception()  # marks it as retrieved: open() may have been cancelled
            if self.transport is None and not self._gone.done():
                self._gone.set_result(None)
            self.queue.end(None if closed_here else lambda: own(error, sent=None))
            signer = self.signer
            self.calls.fail_all(lambda number: own(error, sent=signer is None or number <= signer.last_request_id))
            self.gate.end(lambda: own(error, sent=False))
            if signer is not None:
                signer.end(lambda: own(error, sent=False))
        if code is not None and self.transport is not None:
            self.transport.close(code, "" if code == CloseCode.NORMAL else str(self.error)[:100], timeout)

    def _dispatch(self, body: bytes) -> None:
        if self.transport is not None and self.error is None:
            self.transport.send(self.session.seal_body(body))

    def _on_full(self) -> None:
        """Stop reading, unless a call waits for a response behind the events, or the exchange waits for us to read."""
        if not len(self.calls) and not self._draining:
            self.pause_reading()
        elif self.queue.overflowing:
            advice = "take events faster, or resume from the position"
            reason = f"{len(self.queue)} events were waiting while a call was in flight; {advice}"
            self.fail(SlowConsumer(None, reason), CloseCode.NORMAL)

    def _ping(self) -> None:
        if self.transport is not None:  # pragma: no branch - the heartbeat starts after the handshake
            self.transport.ping()

    def _on_silence(self) -> None:
        reason = f"nothing was received from the exchange for {self._options.ping_timeout:g} s"
        self.fail(HeartbeatTimeout(None, reason), CloseCode.GOING_AWAY, timeout=1.0)

    def _on_signer_failure(self, error: BaseException) -> None:
        self.fail(ConnectionClosed(None, "a frame could not be signed"), CloseCode.INTERNAL_ERROR, cause=error)

    def _call_user(self, function: Any, *args: Any) -> Any:
        try:
            return function(*args)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - logged, and ends the connection
            self._on_user_error(function, error)
            return None

    def _on_user_error(self, function: Any, error: BaseException) -> None:
        name = getattr(function, "__qualname__", type(function).__qualname__)
        logger.error("%s raised; the connection is closed", name, exc_info=error)
        self.fail(ConnectionClosed(None, f"{name} raised {type(error).__name__}"), CloseCode.NORMAL, cause=error)
