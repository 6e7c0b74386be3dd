"""One live connection: a transport pumped into a session, and the calls and events that come out of it."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, overload

from ..exceptions import (
    ConfigurationError,
    ConnectionClosed,
    CryptoprotoError,
    DecodeError,
    HandshakeError,
    HeartbeatTimeout,
    HistoryRewound,
    OpenTimeout,
    RequestTimeout,
    SlowConsumer,
)
from ..identity_lock import IdentityLock
from ..messages import Message, Outgoing, Unknown, decode, encode, loads
from ..transport import Closed, Heartbeat, OpenOptions, Transport, opener
from ..wire import (
    BroadcastFrame,
    ClientSession,
    CloseCode,
    Draft,
    ErrorFrame,
    Opened,
    Protocol,
    ResponseFrame,
    ServerFrame,
    ThrottlingFrame,
    TransactionFrame,
    server_error,
)
from .closing import ClosedHere, ending, own
from .event import Event
from .event_queue import EventQueue
from .options import ConnectOptions, default_throttle
from .requests import RequestTable
from .signer import Signer
from .throttle import SendGate

__all__ = ["Connection"]

logger = logging.getLogger("cryptoproto.connection")

_CLOSE_TIMEOUT = 5.0
_FRAME_OVERHEAD = 64  # head, fill, padding and IV, rounded up; a signature comes on top
E_ = TypeVar("E_", bound=CryptoprotoError)


class Connection:
    """One live connection to an exchange; made by :func:`~cryptoproto.connect`.

    Iterate over it for the events, in order::

        async for event in connection:
            ...

    The iteration ends when :meth:`close` was called, and raises what ended the connection otherwise. Nothing is lost
    either way: the exchange replays what comes after the transaction id that the next connection resumes from.

    All methods are for the event loop that the connection was made in.
    """

    def __init__(self, options: ConnectOptions, *, on_events: Callable[[list[Event]], None] | None = None) -> None:
        loop = asyncio.get_running_loop()
        self._loop = loop
        self._options = options
        self._session = ClientSession(
            client_id=options.client_id,
            private_key=options.private_key,
            server_key=options.server_key,
            random=os.urandom,
            resume_from=options.resume_from,
            protocol=options.protocol,
            max_frame_bytes=options.max_message_size,
        )
        self._identity = IdentityLock(options.client_id, options.server_key.fingerprint)
        self._transport: Transport | None = None
        self._opened: asyncio.Future[None] = loop.create_future()
        self._gone: asyncio.Future[None] = loop.create_future()
        self._error: CryptoprotoError | None = None
        self._position: int | None = options.resume_from if options.resume_from > 0 else None
        self._queue = EventQueue(loop, options.max_queue)
        self._paused = False
        self._draining = 0
        self._calls = RequestTable(loop)
        self._watched: dict[int, Callable[[bytes], None]] = {}  # what request_at() calls, by request id
        self._gate = SendGate(loop)
        self._signer: Signer | None = None
        self._on_event = options.on_event
        self._on_events = on_events  # a Client's: what one read has brought, in one call
        self._arrived: list[Event] = []
        self._has_queue = on_events is None and options.on_event is None
        self._heartbeat = Heartbeat(
            loop,
            interval=options.ping_interval or 1e9,
            timeout=options.ping_timeout,
            ping=self._ping,
            deaf=lambda: self._paused,
            on_silence=self._on_silence,
        )
        room = options.max_message_size - _FRAME_OVERHEAD
        self._request_timeout = options.request_timeout
        self._max_payload = room - options.private_key.bits // 8 if options.protocol is Protocol.SIGNED else room

    # What the user asks

    @property
    def last_sequence(self) -> int:
        """The last sequence that the exchange had seen of this client at the handshake."""
        return self._session.last_sequence

    @property
    def protocol(self) -> Protocol:
        """Which form of the protocol is spoken."""
        return self._options.protocol

    @property
    def hold(self) -> float:
        """For how many seconds throttling still holds sends, 0.0 when free."""
        return self._gate.remaining

    @property
    def in_flight(self) -> int:
        """How many requests wait for their response."""
        return len(self._calls)

    @property
    def queued(self) -> int:
        """How many events wait to be taken."""
        return len(self._queue.events)

    @property
    def is_open(self) -> bool:
        """Whether calls can be made."""
        return self._error is None

    @property
    def error(self) -> CryptoprotoError | None:
        """What ended the connection; ``None`` while it is open, and after :meth:`close`."""
        return None if isinstance(self._error, ClosedHere) else self._error

    async def send(self, message: Outgoing, *, urgent: bool = False) -> int:
        """Send a client message and return its sequence, once the frame has been handed to the network.

        Waits while throttling holds sends, while the frame is signed, and while the network takes no more. Events say
        what becomes of the message (protocol, "Messages").

        Cancelling while throttling holds the message leaves it unsent, without a sequence; cancelling later does not
        recall it.

        Args:
            message: a typed message, a mapping with ``@type``, or JSON bytes.
            urgent: overtake messages that throttling holds and that are not urgent, as a cancel should.

        Raises:
            ConfigurationError: the message cannot be written as JSON, or is larger than ``max_message_size``.
            ServerError, ConnectionClosed, DecodeError: the connection has ended, or ended meanwhile; ``.sent`` says
                whether the message had left.
        """
        payload = encode(message)
        if not self.is_free_for(payload):
            await self.wait_turn(urgent=urgent)
        return await self.send_encoded(payload)

    # The three steps of send(), for callers that must remember a message under its sequence before it leaves.

    def is_free_for(self, payload: bytes) -> bool:
        """Whether *payload* may be sent at once; if not, :meth:`wait_turn` first.

        Raises:
            ConfigurationError: it is larger than ``max_message_size``.
            ServerError, ConnectionClosed, DecodeError: the connection has ended.
        """
        if len(payload) > self._max_payload:
            raise self._too_large(payload)
        if self._error is not None or self._transport is None:
            self._live()
        return self._gate.clear

    async def wait_turn(self, *, urgent: bool = False) -> None:
        """Wait while throttling holds sends. Cancelling gives the turn to the next.

        Raises:
            ServerError, ConnectionClosed, DecodeError: the connection has ended.
        """
        await self._gate.wait(urgent=urgent)
        self._live()

    @property
    def next_sequence(self) -> int:
        """The sequence of the next message to be sent."""
        return self._session.next_sequence

    async def send_encoded(self, payload: bytes) -> int:
        """Send *payload* now, under :attr:`next_sequence`; see :meth:`send`. Nothing is awaited before it is queued."""
        draft = self._session.draft_message(payload)
        transport = self._transport
        if transport is None:
            raise _not_open()
        if self._signer is None:
            transport.send(self._session.seal(draft))
        else:
            await self._signer.put_and_wait(draft)
        if not transport.writable:
            await self._drain(transport)
            if self._error is not None:
                raise own(self._error, sent=True)
        return draft.number

    @overload
    async def request(
        self, message: Outgoing, *, timeout: float | None = None, raw: Literal[False] = False
    ) -> Message | Unknown: ...
    @overload
    async def request(
        self, message: Outgoing, *, timeout: float | None = None, raw: Literal[True]
    ) -> dict[str, Any]: ...

    async def request(
        self, message: Outgoing, *, timeout: float | None = None, raw: bool = False
    ) -> Message | Unknown | dict[str, Any]:
        """Send an RPC request and return its response; many may be in flight at once (protocol, "RPC").

        Cancelling forgets the call; a response that comes later is dropped.

        Args:
            message: a typed request, a mapping with ``@type``, or JSON bytes.
            timeout: seconds until RequestTimeout, ``request_timeout`` of the connection where not given.
            raw: return the response as a dict, with fields that the typed message does not know.

        Raises:
            RequestTimeout: no response came in time; the connection goes on.
            ConfigurationError: the message has no form in JSON, or is larger than ``max_message_size``.
            ServerError, ConnectionClosed, DecodeError: the connection has ended, or ended meanwhile; ``.sent`` says
                whether the request had left.
        """
        deadline = self._loop.time() + (self._request_timeout if timeout is None else timeout)
        transport = self._live()
        if not transport.writable:
            transport = await self._drain_until(deadline)
        number, call = self._start_call(transport, encode(message), deadline, None)
        try:
            response = await call
        except BaseException:
            self._calls.discard(number)
            raise
        try:
            return loads(response) if raw else decode(response)
        except DecodeError as error:
            self._fail(error, CloseCode.PROTOCOL_ERROR)
            raise own(error, sent=True) from None

    async def request_at(
        self, message: Outgoing, at: Callable[[Message | Unknown], None], *, timeout: float | None = None
    ) -> None:
        """As :meth:`request`, but call *at* with the response the moment it arrives.

        That is after ``on_event`` was called with all that came before it, and before anything that comes behind it;
        so the response can be compared with what events told. What *at* raises ends the connection.
        """
        deadline = self._loop.time() + (self._request_timeout if timeout is None else timeout)
        transport = self._live()
        if not transport.writable:
            transport = await self._drain_until(deadline)
        number, call = self._start_call(transport, encode(message), deadline, lambda response: at(decode(response)))
        try:
            await call
        finally:
            self._calls.discard(number)
            self._watched.pop(number, None)

    def _start_call(
        self, transport: Transport, payload: bytes, deadline: float, at: Callable[[bytes], None] | None
    ) -> tuple[int, asyncio.Future[bytes]]:
        """Send a request: its id, and the future of its response."""
        if len(payload) > self._max_payload:
            raise self._too_large(payload)
        if self._paused:
            self._read_on()  # the response may come behind events that nobody takes now
        signer = self._signer
        if signer is None:
            number, frame = self._session.request_frame(payload)
            call = self._calls.open(number, deadline)
            if at is not None:
                self._watched[number] = at
            transport.send(frame)
        else:
            draft = self._session.draft_request(payload)
            number = draft.number
            call = self._calls.open(number, deadline)
            if at is not None:
                self._watched[number] = at
            signer.put(draft)
        return number, call

    def pause_events(self) -> None:
        """Stop reading from the socket, until :meth:`resume_events` or the next request; for users of ``on_event``."""
        if not self._paused and self._transport is not None and self._error is None:
            self._paused = True
            self._transport.pause_reading()

    def resume_events(self) -> None:
        """Read on."""
        self._read_on()

    def give_up(self, error: CryptoprotoError) -> None:
        """End the connection because of *error*, without waiting for it; from here on nothing is heard."""
        self._fail(error, CloseCode.NORMAL)

    def __aiter__(self) -> AsyncIterator[Event]:
        if self._on_event is not None:
            raise ConfigurationError("events go to on_event; connect without it to iterate over them")
        return self

    async def __anext__(self) -> Event:
        """The next event. Cancelling loses nothing."""
        queue = self._queue
        if not queue.events and not await queue.wait():
            raise StopAsyncIteration
        event = queue.pop()
        if self._paused and queue.low:
            self._read_on()
        return event

    async def close(self, timeout: float = _CLOSE_TIMEOUT) -> None:
        """Close the connection, within *timeout* seconds even where the peer is silent. Idempotent.

        Requests in flight and held sends end with :class:`ConnectionClosed`; events that were received can still be
        iterated over. Cancelling does not stop the closing.
        """
        self._fail(ClosedHere(CloseCode.NORMAL, "closed by this end"), CloseCode.NORMAL, timeout=timeout)
        transport = self._transport
        if transport is None or self._gone.done():
            return
        # The link may have been closing already, with more patience than this call has.
        cut = self._loop.call_later(timeout, transport.abort)
        try:
            await asyncio.shield(self._gone)
        finally:
            cut.cancel()

    async def wait_closed(self) -> None:
        """Wait until the connection has ended, whoever ended it; :attr:`error` says why."""
        await asyncio.shield(self._gone)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        state = "open" if self._error is None else "closed"
        return f"<Connection {self._options.client_id} to {self._options.url}, {state}>"

    # Opening

    async def open(self) -> None:
        """Open the link and shake hands; called by :func:`~cryptoproto.connect`."""
        options = self._options
        if options.lock:
            self._identity.acquire(exclusive=options.exclusive)
        open_options = OpenOptions(
            ssl=options.ssl, max_message_bytes=options.max_message_size, timeout=options.open_timeout
        )
        try:
            async with asyncio.timeout(options.open_timeout):
                await opener(options.transport)(options.url, self, open_options)
                await self._opened
        except TimeoutError:
            raise self._abandoned(
                OpenTimeout(f"{options.url} did not finish the handshake within {options.open_timeout:g} s")
            ) from None
        except CryptoprotoError as error:
            self._abandoned(error)
            raise
        except OSError as error:
            raise self._abandoned(
                ConnectionClosed(None, f"cannot connect to {options.url}: {error.strerror or error}")
            ) from error
        except BaseException:  # cancelled, most of all; and whatever a custom opener raises
            self._abandoned(ClosedHere(None, "opening was given up"))
            raise
        if options.protocol is Protocol.SIGNED:
            self._signer = Signer(self._loop, self._session.sign, self._dispatch, self._on_signer_failure)
        if options.ping_interval is not None and self._error is None:
            self._heartbeat.start()

    def _abandoned(self, error: E_) -> E_:
        self._fail(error, None)
        if self._transport is not None:
            self._transport.abort()
        return error

    # What the transport calls

    def on_open(self, transport: Transport) -> None:
        """See :class:`~cryptoproto.transport.Listener`."""
        self._transport = transport
        if self._error is None:
            transport.send(self._session.hello())

    def on_message(self, data: bytes, more: bool = False) -> None:
        """See :class:`~cryptoproto.transport.Listener`. The hot path: a frame becomes an event."""
        if self._error is not None:
            return
        self._heartbeat.heard = True
        try:
            frame = self._session.receive(data)
            if type(frame) is TransactionFrame:
                payload = frame.payload
                transaction_id = frame.transaction_id
                event = Event(transaction_id, frame.timestamp, decode(payload), time.time_ns(), payload)
                self._position = transaction_id
            elif type(frame) is ResponseFrame:
                if self._arrived:
                    self._hand_over()
                if self._watched and frame.request_id in self._watched:
                    self._call_user(self._watched[frame.request_id], frame.payload)
                self._calls.resolve(frame.request_id, frame.payload)
                return
            elif isinstance(frame, BroadcastFrame):
                event = Event(None, None, decode(frame.payload), time.time_ns(), frame.payload)
            else:
                self._hand_over()
                if frame is not None:
                    self._on_rare(frame)
                return
        except (HandshakeError, DecodeError, HistoryRewound) as error:
            self._fail(error, CloseCode.PROTOCOL_ERROR)
            return
        if self._has_queue:
            if self._queue.put(event):
                self._on_full()
        elif self._on_events is not None:
            self._arrived.append(event)
            if not more:
                self._hand_over()
        elif self._on_event is not None:
            try:  # as _call_user(), without its call for every event
                self._on_event(event)
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - logged, and ends the connection
                self._on_user_error(self._on_event, error)

    def _hand_over(self) -> None:
        """What one read has brought, to who takes events by the list."""
        if self._arrived and self._on_events is not None:
            arrived, self._arrived = self._arrived, []
            try:  # as _call_user(), without its call for every read
                self._on_events(arrived)
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - logged, and ends the connection
                self._on_user_error(self._on_events, error)

    def on_text(self, text: str) -> None:
        """See :class:`~cryptoproto.transport.Listener`."""
        self._fail(DecodeError("a text message came where frames are binary"), CloseCode.PROTOCOL_ERROR)

    def on_heard(self) -> None:
        """See :class:`~cryptoproto.transport.Listener`."""
        self._heartbeat.heard = True
        self._hand_over()

    def on_closed(self, closed: Closed) -> None:
        """See :class:`~cryptoproto.transport.Listener`."""
        self._fail(ending(closed, opened=self._opened.done()), None)
        if not self._gone.done():
            self._gone.set_result(None)

    def _on_rare(self, frame: ServerFrame | Opened) -> None:
        if isinstance(frame, ThrottlingFrame):
            policy = self._options.throttle or default_throttle
            seconds = self._call_user(policy, frame.level, frame.request_id, frame.order_id)
            if isinstance(seconds, int | float) and seconds > 0:
                self._gate.hold(seconds)
        elif isinstance(frame, ErrorFrame):
            self._fail(server_error(frame.error_type, frame.text), CloseCode.NORMAL)
        elif isinstance(frame, Opened) and self._transport is not None and not self._opened.done():
            self._transport.send(frame.proof)
            self._opened.set_result(None)

    # Inside

    def _live(self) -> Transport:
        transport = self._transport
        if self._error is not None:
            raise own(self._error, sent=False)
        if transport is None:
            raise _not_open()
        return transport

    def _too_large(self, payload: bytes) -> ConfigurationError:
        return ConfigurationError(
            f"a message of {len(payload)} bytes does not fit into max_message_size={self._options.max_message_size}"
        )

    def _dispatch(self, draft: Draft, signature: bytes) -> None:
        if self._transport is not None and self._error is None:
            self._transport.send(self._session.seal(draft, signature))

    async def _drain(self, transport: Transport) -> None:
        """Wait until the network takes more. Reading goes on meanwhile: an exchange may take nothing before we do."""
        self._draining += 1
        self._read_on()
        try:
            await transport.drain()
        finally:
            self._draining -= 1

    async def _drain_until(self, deadline: float) -> Transport:
        try:
            async with asyncio.timeout_at(deadline):
                await self._drain(self._live())
        except TimeoutError:
            error = RequestTimeout("the network took no more within the request's deadline")
            error.sent = False
            raise error from None
        return self._live()

    def _on_full(self) -> None:
        """Stop reading; but not while a call waits for a response behind the events, or for a peer that waits, too."""
        if not len(self._calls) and not self._draining:
            self.pause_events()
        elif self._queue.overflowing:
            self._fail(
                SlowConsumer(
                    None,
                    f"{self.queued} events were waiting while a call was in flight; take events faster, "
                    f"or resume from the position",
                ),
                CloseCode.NORMAL,
            )

    def _read_on(self) -> None:
        if self._paused:
            self._paused = False
            if self._transport is not None:
                self._transport.resume_reading()

    def _ping(self) -> None:
        if self._transport is not None:
            self._transport.ping()

    def _on_silence(self) -> None:
        reason = f"nothing was heard from the exchange for {self._options.ping_timeout:g} s"
        self._fail(HeartbeatTimeout(None, reason), CloseCode.GOING_AWAY, timeout=1.0)

    def _on_signer_failure(self, error: BaseException) -> None:
        self._fail(ConnectionClosed(None, "a frame could not be signed"), CloseCode.INTERNAL_ERROR, cause=error)

    def _call_user(self, function: Any, *args: Any) -> Any:
        try:
            return function(*args)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - logged, and ends the connection
            self._on_user_error(function, error)
            return None

    def _on_user_error(self, function: Any, error: BaseException) -> None:
        name = getattr(function, "__qualname__", type(function).__qualname__)
        logger.error("%s raised; the connection is closed", name, exc_info=error)
        self._fail(ConnectionClosed(None, f"{name} raised {type(error).__name__}"), CloseCode.NORMAL, cause=error)

    def _fail(
        self,
        error: CryptoprotoError,
        code: CloseCode | None,
        *,
        timeout: float = _CLOSE_TIMEOUT,
        cause: BaseException | None = None,
    ) -> None:
        """End the connection: state first, then everybody who waits. The first error stays."""
        self._hand_over()
        self._identity.release()
        if self._error is None:
            if isinstance(error, ConnectionClosed) and not isinstance(error, HistoryRewound):
                error.position = self._position
            if cause is not None:
                error.__cause__ = cause
            self._error = error
            self._heartbeat.stop()
            closed_here = isinstance(error, ClosedHere)
            if not self._opened.done():
                self._opened.set_exception(own(error, sent=None))
                self._opened.exception()  # open() may have been cancelled and not look at it any more
            if self._transport is None and not self._gone.done():
                self._gone.set_result(None)
            self._queue.end(None if closed_here else lambda: own(error, sent=None))
            signer = self._signer
            self._calls.fail_all(lambda number: own(error, sent=signer is None or number <= signer.last_request_id))
            self._gate.end(lambda: own(error, sent=False))
            if signer is not None:
                signer.end(lambda: own(error, sent=False))
        if code is not None and self._transport is not None:
            self._transport.close(code, "" if code == CloseCode.NORMAL else str(self._error)[:100], timeout)


def _not_open() -> ConfigurationError:
    return ConfigurationError("the connection is not open yet: await connect(...)")
