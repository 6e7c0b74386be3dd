"""One live connection: a transport pumped into a session, and the calls and events that come out of it."""

from __future__ import annotations

import asyncio
import copy
import logging
import os
import time
from collections.abc import AsyncIterator, Generator
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, Unpack, overload

from ..exceptions import (
    ConfigurationError,
    ConnectionClosed,
    CryptoprotoError,
    DecodeError,
    HandshakeError,
    HeartbeatTimeout,
    InvalidKey,
    OpenTimeout,
    RequestTimeout,
    SlowConsumer,
)
from ..messages import Message, Outgoing, Unknown, decode, encode, loads
from ..transport import Closed, OpenOptions, Transport, opener
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
    connection_closed,
    server_error,
)
from .calls import CallTable
from .event import Event
from .heartbeat import Heartbeat
from .inbox import Inbox
from .options import ConnectArguments, ConnectOptions, default_throttle
from .pacing import SendGate, Signer

__all__ = ["Connection", "connect"]

logger = logging.getLogger("cryptoproto.connection")

_CLOSE_TIMEOUT = 5.0
_FRAME_OVERHEAD = 64  # head, fill, padding and IV, rounded up; a signature comes on top
E_ = TypeVar("E_", bound=CryptoprotoError)


class Connection:
    """One live connection to an exchange; made by :func:`connect`.

    Iterate over it for the events, in order::

        async for event in connection:
            ...

    The iteration ends when :meth:`close` was called, and raises what ended the connection otherwise. Nothing is lost
    either way: the exchange replays what comes after the transaction id that the next connection resumes from.

    All methods are for the event loop that the connection was made in.
    """

    def __init__(self, options: ConnectOptions) -> None:
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
        self._transport: Transport | None = None
        self._opened: asyncio.Future[None] = loop.create_future()
        self._gone: asyncio.Future[None] = loop.create_future()
        self._error: CryptoprotoError | None = None
        self._position: int | None = options.resume_from if options.resume_from > 0 else None
        self._inbox = Inbox(loop, options.max_queue)
        self._paused = False
        self._calls = CallTable(loop)
        self._gate = SendGate(loop)
        self._signer: Signer | None = None
        self._on_event = options.on_event
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
        return len(self._inbox.events)

    @property
    def is_open(self) -> bool:
        """Whether calls can be made."""
        return self._error is None

    @property
    def error(self) -> CryptoprotoError | None:
        """What ended the connection; ``None`` while it is open, and after :meth:`close`."""
        return None if isinstance(self._error, _ClosedHere) else self._error

    async def send(self, message: Outgoing) -> int:
        """Send a client message and return its sequence, once the frame has been handed to the network.

        Waits while throttling holds sends, while the frame is signed, and while the network takes no more. What
        becomes of the message is told by events (protocol, "Messages").

        Cancelling while throttling holds the message leaves it unsent, without a sequence; cancelling later does not
        recall it.

        Args:
            message: a typed message, a mapping with ``@type``, or JSON bytes.

        Raises:
            ConfigurationError: the message has no form in JSON, or is larger than ``max_message_size``.
            ServerError, ConnectionClosed, DecodeError: the connection has ended, or ended meanwhile; ``.sent`` says
                whether the message had left.
        """
        payload = encode(message)
        if len(payload) > self._max_payload:
            raise self._too_large(payload)
        if not self._gate.clear:
            await self._gate.wait()
        transport = self._live()
        draft = self._session.draft_message(payload)
        if self._signer is None:
            transport.send(self._session.seal(draft))
        else:
            await self._signer.put_and_wait(draft)
        if not transport.writable:
            await transport.drain()
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
        payload = encode(message)
        if len(payload) > self._max_payload:
            raise self._too_large(payload)
        transport = self._live()
        deadline = self._loop.time() + (self._request_timeout if timeout is None else timeout)
        if not transport.writable:
            await self._drain_until(deadline)
            transport = self._live()
        if self._paused:
            self._resume_reading()  # the response may come behind events that nobody takes now
        draft = self._session.draft_request(payload)
        call = self._calls.open(draft.number, deadline)
        try:
            if self._signer is None:
                transport.send(self._session.seal(draft))
            else:
                self._signer.put(draft)
            response = await call
        except BaseException:
            self._calls.discard(draft.number)
            raise
        try:
            return loads(response) if raw else decode(response)
        except DecodeError as error:
            self._fail(error, CloseCode.PROTOCOL_ERROR)
            raise self._own(error, sent=True) from None

    def __aiter__(self) -> AsyncIterator[Event]:
        if self._on_event is not None:
            raise ConfigurationError("events go to on_event; connect without it to iterate over them")
        return self

    async def __anext__(self) -> Event:
        """The next event. Cancelling loses nothing."""
        inbox = self._inbox
        if not inbox.events and not await inbox.wait():
            raise StopAsyncIteration
        event = inbox.pop()
        if self._paused and inbox.low:
            self._resume_reading()
        return event

    async def close(self, timeout: float = _CLOSE_TIMEOUT) -> None:
        """Close the connection, within *timeout* seconds even where the peer is silent. Idempotent.

        Requests in flight and held sends end with :class:`ConnectionClosed`; events that were received can still be
        iterated over. Cancelling does not stop the closing.
        """
        self._fail(_ClosedHere(CloseCode.NORMAL, "closed by this end"), CloseCode.NORMAL, timeout=timeout)
        if self._transport is not None:
            await asyncio.shield(self._gone)

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
        """Open the link and shake hands; called by :func:`connect`."""
        options = self._options
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
        except asyncio.CancelledError:
            self._abandoned(_ClosedHere(None, "opening was cancelled"))
            raise
        if options.protocol is Protocol.SIGNED:
            self._signer = Signer(self._loop, self._session.sign, self._dispatch, self._on_signer_failure)
        if options.ping_interval is not None and self._error is None:
            self._heartbeat.start()

    def _abandoned(self, error: E_) -> E_:
        if not self._opened.done():
            self._opened.cancel()
        self._error = self._error or error
        if self._transport is not None:
            self._transport.abort()
        return error

    # What the transport calls

    def on_open(self, transport: Transport) -> None:
        """See :class:`~cryptoproto.transport.Listener`."""
        self._transport = transport
        transport.send(self._session.hello())

    def on_message(self, data: bytes) -> None:
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
                self._calls.resolve(frame.request_id, frame.payload)
                return
            elif frame is None:
                return
            elif isinstance(frame, BroadcastFrame):
                event = Event(None, None, decode(frame.payload), time.time_ns(), frame.payload)
            else:
                self._on_rare(frame)
                return
        except (HandshakeError, DecodeError) as error:
            self._fail(error, CloseCode.PROTOCOL_ERROR)
            return
        if self._on_event is not None:
            self._call_user(self._on_event, event)
            return
        if self._inbox.put(event):
            self._on_full()

    def on_text(self, text: str) -> None:
        """See :class:`~cryptoproto.transport.Listener`."""
        self._fail(DecodeError("a text message came where frames are binary"), CloseCode.PROTOCOL_ERROR)

    def on_heard(self) -> None:
        """See :class:`~cryptoproto.transport.Listener`."""
        self._heartbeat.heard = True

    def on_closed(self, closed: Closed) -> None:
        """See :class:`~cryptoproto.transport.Listener`."""
        if closed.fault is not None:
            self._fail(DecodeError(closed.fault), None)
        elif not self._opened.done():
            self._fail(self._refusal(closed), None)
        else:
            self._fail(connection_closed(closed.code, closed.reason), None)
        if not self._gone.done():
            self._gone.set_result(None)

    def _refusal(self, closed: Closed) -> CryptoprotoError:
        """What a close during the handshake means: the protocol gives it no code of its own."""
        if closed.code is None:
            return HandshakeError("the connection was lost during the handshake")
        if closed.code == CloseCode.POLICY_VIOLATION:
            return InvalidKey(f"the exchange refused the handshake: {closed.reason or 'no reason given'}")
        if closed.code >= CloseCode.SERVER_RESTART:
            return connection_closed(closed.code, closed.reason)
        return HandshakeError(
            f"the exchange ended the handshake with code {closed.code}: {closed.reason or 'no reason given'}"
        )

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
            raise self._own(self._error, sent=False)
        if transport is None:
            raise ConfigurationError("the connection is not open yet: await connect(...)")
        return transport

    def _too_large(self, payload: bytes) -> ConfigurationError:
        return ConfigurationError(
            f"a message of {len(payload)} bytes does not fit into max_message_size={self._options.max_message_size}"
        )

    def _dispatch(self, draft: Draft, signature: bytes) -> None:
        if self._transport is not None and self._error is None:
            self._transport.send(self._session.seal(draft, signature))

    async def _drain_until(self, deadline: float) -> None:
        try:
            async with asyncio.timeout_at(deadline):
                await self._live().drain()
        except TimeoutError:
            error = RequestTimeout("the network took no more within the request's deadline")
            error.sent = False
            raise error from None

    def _on_full(self) -> None:
        """Stop reading; but not while a call waits, whose response would then be stuck behind the events."""
        if not len(self._calls):
            if not self._paused and self._transport is not None:
                self._paused = True
                self._transport.pause_reading()
        elif self._inbox.overflowing:
            self._fail(
                SlowConsumer(
                    None,
                    f"{self.queued} events were waiting while a request was in flight; take events faster, "
                    f"or resume from the position",
                ),
                CloseCode.NORMAL,
            )

    def _resume_reading(self) -> None:
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
        except Exception as error:
            name = getattr(function, "__qualname__", type(function).__qualname__)
            logger.exception("%s raised; the connection is closed", name)
            reason = f"{name} raised {type(error).__name__}"
            self._fail(ConnectionClosed(None, reason), CloseCode.NORMAL, cause=error)
            return None

    def _own(self, error: CryptoprotoError, *, sent: bool | None) -> CryptoprotoError:
        """*error* for one caller: a shared exception would collect the tracebacks of all."""
        own = copy.copy(error)
        own.__cause__ = error.__cause__
        own.sent = sent
        return own

    def _fail(
        self,
        error: CryptoprotoError,
        code: CloseCode | None,
        *,
        timeout: float = _CLOSE_TIMEOUT,
        cause: BaseException | None = None,
    ) -> None:
        """End the connection: state first, then everybody who waits. The first error stays."""
        if self._error is None:
            if isinstance(error, ConnectionClosed):
                error.position = self._position
            error.__cause__ = cause
            self._error = error
            self._heartbeat.stop()
            closed_here = isinstance(error, _ClosedHere)
            if not self._opened.done():
                self._opened.set_exception(self._own(error, sent=None))
            self._inbox.end(None if closed_here else self._own(error, sent=None))
            signer = self._signer
            self._calls.fail_all(
                lambda number: self._own(error, sent=signer is None or number <= signer.last_request_id)
            )
            self._gate.end(lambda: self._own(error, sent=False))
            if signer is not None:
                signer.end(lambda: self._own(error, sent=False))
        if code is not None and self._transport is not None:
            self._transport.close(code, "" if code == CloseCode.NORMAL else str(self._error)[:100], timeout)


class _ClosedHere(ConnectionClosed):
    """The user closed the connection, which is no error to the iteration."""


class connect:  # noqa: N801 - used like a function, as in `async with connect(...)`
    """Connect to an exchange: ``async with connect(...) as connection`` or ``connection = await connect(...)``.

    Opens the WebSocket, shakes hands (protocol, "Handshake") and returns a :class:`Connection`. Cancelling leaves
    nothing behind.

    Args:
        url: ``wss://host[:port][/path]``; ``ws://`` only to a loopback address unless *insecure*.
        client_id: who we are to the exchange: printable ASCII, short enough for its RSA key.
        private_key: our RSA key, whose public half the exchange knows.
        server_key: the exchange's public key.
        resume_from: the last transaction id that was processed: what comes after it is replayed. 0 = everything,
            -1 = live events alone.
        protocol: ``Protocol.SIGNED`` (each frame carries an RSA signature) or ``Protocol.V5``.
        transport: ``"websockets"``, ``"picows"``, ``"auto"`` (picows where it is installed), or an opener of one's own.
        ssl: a TLS context for ``wss://``; the system's certificates by default.
        open_timeout: seconds for connecting and the handshake together.
        ping_interval: seconds between pings; ``None`` = no pings, and a dead link is not noticed.
        ping_timeout: seconds of silence after which the link is given up; ``None`` = never.
        request_timeout: default deadline of :meth:`Connection.request`, in seconds.
        max_queue: how many events may wait before the socket is no longer read.
        max_message_size: largest frame in bytes, either way; checked before anything is decrypted.
        throttle: called with level, request id and order id of a throttling frame; returns for how many seconds to
            hold sends. A millisecond for each order too many by default.
        on_event: called with each :class:`Event` the moment it arrives, in place of the iteration. What it raises ends
            the connection.
        insecure: allow ``ws://`` to other machines.

    Raises:
        ConfigurationError: an option cannot be used.
        HandshakeError: the exchange refused, or a key does not fit (InvalidKey), or it speaks another version
            (UnsupportedVersion), or it took too long (OpenTimeout).
        ConnectionClosed: nobody answers at the address.
        DecodeError: the exchange's hello is malformed.
    """

    def __init__(self, url: str, **options: Unpack[ConnectArguments]) -> None:
        self._options = ConnectOptions(url=url, **options)
        self._connection: Connection | None = None

    async def _open(self) -> Connection:
        self._connection = connection = Connection(self._options)
        await connection.open()
        return connection

    def __await__(self) -> Generator[Any, None, Connection]:
        return self._open().__await__()

    async def __aenter__(self) -> Connection:
        return await self._open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._connection is not None:
            await self._connection.close()
