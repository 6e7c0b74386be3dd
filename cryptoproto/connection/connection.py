"""One live connection: what a user calls, over the link that :mod:`.pump` keeps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any, Final, Literal, Self, overload

from ..arguments import redacted
from ..exceptions import ConfigurationError, CryptoprotoError, DecodeError
from ..messages import Message, Outgoing, Unknown, decode, encode, loads
from ..wire import CloseCode, Protocol
from .batches import EventBatches
from .closing import CLOSE_TIMEOUT_S, ClosedHere, own
from .event import Event
from .options import ConnectOptions
from .prepared_message import PreparedMessage
from .pump import Pump

__all__ = ["Connection"]

_FRAME_OVERHEAD: Final = 64  # head, fill, padding and IV, rounded up; a signature comes on top


class Connection:
    """One live connection to an exchange; made by :func:`~cryptoproto.connect`.

    Iterate over it to receive the events in order::

        async for event in connection:
            ...

    The iteration stops after :meth:`close`, and raises if something else ended the connection. Either way nothing is
    lost: the exchange replays everything after the transaction id that the next connection resumes from.
    :meth:`batches` delivers the same events in lists, which takes less time under load.

    Use a connection only from the event loop that it was made in.
    """

    def __init__(self, options: ConnectOptions, *, on_events: Callable[[list[Event]], None] | None = None) -> None:
        self._options = options
        self._loop = asyncio.get_running_loop()
        self._pump = pump = Pump(options, on_events)
        self._session = pump.session
        self._queue = pump.queue
        self._gate = pump.gate
        self._request_timeout = options.request_timeout
        room = options.max_message_size - _FRAME_OVERHEAD
        self._max_payload = room - options.private_key.bits // 8 if options.protocol is Protocol.SIGNED else room

    # State

    @property
    def last_sequence(self) -> int:
        """The last sequence that the exchange had received from this client at the time of the handshake."""
        return self._session.last_sequence

    @property
    def protocol(self) -> Protocol:
        """The form of the protocol in use."""
        return self._options.protocol

    @property
    def hold(self) -> float:
        """For how many seconds throttling still holds messages; 0.0 if it does not."""
        return self._gate.remaining

    @property
    def received_position(self) -> int:
        """The highest transaction id received; before the first event, ``resume_from``."""
        return self._session.last_transaction_id

    @property
    def in_flight(self) -> int:
        """How many requests wait for their response."""
        return len(self._pump.calls)

    @property
    def queued(self) -> int:
        """How many events wait for the iteration."""
        return len(self._queue)

    @property
    def is_open(self) -> bool:
        """Whether messages and requests can be sent."""
        return self._pump.error is None

    @property
    def error(self) -> CryptoprotoError | None:
        """What ended the connection; ``None`` while it is open, and after :meth:`close`."""
        error = self._pump.error
        return None if isinstance(error, ClosedHere) else error

    # Sending

    async def send(self, message: Outgoing, *, urgent: bool = False) -> int:
        """Send a client message and return its sequence, once the frame has been handed to the network.

        Waits while throttling holds messages, while the frame is signed, and while the network accepts no more data.
        What becomes of the message is reported by events (protocol, "Messages").

        If cancelled while throttling holds the message, it is not sent and uses no sequence. If cancelled later, it is
        sent all the same.

        Args:
            message: a typed message, a mapping with ``@type``, or JSON bytes.
            urgent: send before messages that throttling holds and that are not urgent; for cancellations.

        Raises:
            OrderInvalid: the message can never be valid: an amount with nine decimals, an order id that is a string.
            ConfigurationError: the message cannot be written as JSON, or is larger than ``max_message_size``.
            ServerError, ConnectionClosed, DecodeError: the connection has ended, before or during the call; ``.sent``
                says whether the message was sent.
        """
        payload = encode(message)
        if not self.is_free_for(payload):
            await self.wait_turn(urgent=urgent)
        return await self.send_encoded(payload)

    async def prepare(self, message: Outgoing) -> PreparedMessage:
        """Encode a client message and sign it for the next sequence; :meth:`PreparedMessage.send` sends it.

        Returns once it is signed, and at once with ``Protocol.V5``, which has no signatures. Messages that are being
        sent are signed first. If cancelled, nothing is left prepared.

        Raises:
            OrderInvalid, ConfigurationError: the message cannot be sent; see :meth:`send`.
            ServerError, ConnectionClosed, DecodeError: the connection has ended, before or during the call.
        """
        payload = encode(message)
        self.is_free_for(payload)  # raises if it can never be sent
        prepared = PreparedMessage(self, self._pump.signer, payload)
        try:
            await prepared.wait_ready()
        except BaseException:  # a cancelled call, above all: nobody else could discard it
            prepared.discard()
            raise
        return prepared

    # The three steps of send(), for callers that must store a message with its sequence before it is sent.

    def is_free_for(self, payload: bytes) -> bool:
        """Whether *payload* may be sent now; if not, call :meth:`wait_turn` first.

        Raises:
            ConfigurationError: it is larger than ``max_message_size``.
            ServerError, ConnectionClosed, DecodeError: the connection has ended.
        """
        if len(payload) > self._max_payload:
            raise self._too_large(payload)
        pump = self._pump
        if pump.error is not None or pump.transport is None:
            pump.live()
        return self._gate.clear

    async def wait_turn(self, *, urgent: bool = False) -> None:
        """Wait while throttling holds messages. If cancelled, the turn passes to the next caller.

        Raises:
            ServerError, ConnectionClosed, DecodeError: the connection has ended.
        """
        await self._gate.wait(urgent=urgent)
        self._pump.live()

    @property
    def next_sequence(self) -> int:
        """The sequence of the next message."""
        return self._session.next_sequence

    async def send_encoded(self, payload: bytes) -> int:
        """Send *payload* with :attr:`next_sequence`; see :meth:`send`. Nothing is awaited before it is queued."""
        pump = self._pump
        transport = pump.transport
        if transport is None:
            transport = pump.live()
        if self._gate.is_used:
            self._gate.sent()
        signer = pump.signer
        if signer is None:
            sequence, frame = self._session.message_frame(payload)
            transport.send(frame)
        elif (ready := signer.send_ready(payload)) is not None:
            sequence = ready
        else:
            draft = self._session.draft_message(payload)
            sequence = draft.number
            await signer.put_and_wait(draft)
        if not transport.writable:
            await pump.drain(transport)
            if pump.error is not None:
                raise own(pump.error, sent=True)
        return sequence

    # Messages that a caller keeps signed, across connections.

    def keep_signed(self, payload: bytes, *, spare: bool = False, soon: bool = True) -> None:
        """Sign the message with this JSON for the next sequence, and again for each next one, until :meth:`release`.

        Args:
            payload: the JSON.
            spare: sign it after the messages that are not spare.
            soon: whether to begin; otherwise :meth:`sign_now` follows.
        """
        if self._pump.signer is not None:
            self._pump.signer.keep_signed(payload, spare=spare, soon=soon)

    def sign_now(self, payload: bytes) -> None:
        """Sign a message that is kept signed in the event loop, which is faster than in a thread if it is alone."""
        if self._pump.signer is not None:
            self._pump.signer.sign_now(payload)

    def release(self, payload: bytes, *, spare: bool = False) -> None:
        """Take one :meth:`keep_signed` back."""
        if self._pump.signer is not None:
            self._pump.signer.release(payload, spare=spare)

    def is_signed(self, payload: bytes) -> bool:
        """Whether the message can be sent without waiting for a signature."""
        return self._pump.signer is None or self._pump.signer.is_signed(payload)

    async def wait_signed(self, payload: bytes) -> None:
        """Wait until a message that is kept signed can be sent without waiting for a signature.

        Raises:
            ServerError, ConnectionClosed, DecodeError: the connection has ended.
        """
        if self._pump.signer is not None:
            await self._pump.signer.wait_signed(payload)

    # Requests

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
        """Send an RPC request and return its response. Many can be in flight at once (protocol, "RPC").

        If cancelled, a response that arrives later is dropped.

        Args:
            message: a typed request, a mapping with ``@type``, or JSON bytes.
            timeout: seconds until RequestTimeout; the connection's ``request_timeout`` by default.
            raw: return the response as a dict, including fields that the typed message does not have.

        Raises:
            RequestTimeout: no response came in time. The connection stays open.
            ConfigurationError: the message cannot be written as JSON, or is larger than ``max_message_size``.
            ServerError, ConnectionClosed, DecodeError: the connection has ended, before or during the call; ``.sent``
                says whether the request was sent.
        """
        pump = self._pump
        deadline = self._loop.time() + (self._request_timeout if timeout is None else timeout)
        transport = pump.live()
        if not transport.writable:
            transport = await pump.drain_until(deadline)
        payload = encode(message)
        if len(payload) > self._max_payload:
            raise self._too_large(payload)
        number, call = pump.start_call(transport, payload, deadline, None)
        try:
            response = await call
        except BaseException:
            pump.forget_call(number)
            raise
        try:
            return loads(response) if raw else decode(response)
        except DecodeError as error:
            pump.fail(error, CloseCode.PROTOCOL_ERROR)
            raise own(error, sent=True) from None

    async def request_at(
        self, message: Outgoing, at: Callable[[Message | Unknown], None], *, timeout: float | None = None
    ) -> None:
        """As :meth:`request`, but call *at* with the response the moment it arrives.

        That is after ``on_event`` was called for every event before it, and before any event after it, so the response
        can be compared with the state that the events led to. If *at* raises, the connection is closed.
        """
        pump = self._pump
        deadline = self._loop.time() + (self._request_timeout if timeout is None else timeout)
        transport = pump.live()
        if not transport.writable:
            transport = await pump.drain_until(deadline)
        payload = encode(message)
        if len(payload) > self._max_payload:
            raise self._too_large(payload)
        number, call = pump.start_call(transport, payload, deadline, lambda response: at(decode(response)))
        try:
            await call
        finally:
            pump.forget_call(number)

    # Events

    def pause_events(self) -> None:
        """Stop reading from the socket until :meth:`resume_events` or the next request; for users of ``on_event``."""
        self._pump.pause_reading()

    def resume_events(self) -> None:
        """Read from the socket again."""
        self._pump.resume_reading()

    def __aiter__(self) -> AsyncIterator[Event]:
        self._check_iteration()
        return self

    async def __anext__(self) -> Event:
        """The next event. Cancelling loses nothing."""
        queue = self._queue
        if not queue.front and not await queue.wait():
            raise StopAsyncIteration
        event = queue.front.pop()
        if self._pump.paused and queue.low:
            self._pump.resume_reading()
        return event

    def batches(self) -> AsyncIterator[list[Event]]:
        """The events in lists: each has what one read of the socket has brought, at least one event.

        Under load this takes less time than iterating over single events. Everything else is the same: the order,
        back-pressure, the errors at the end, and cancelling loses nothing. One task at a time iterates, over events or
        batches; if it goes from events to batches, the first batch is the rest of the read.

        Raises:
            ConfigurationError: events go to ``on_event``; or, from the iteration, another task iterates.
        """
        self._check_iteration()
        return EventBatches(self._pump)

    # Opening and closing

    async def open(self) -> None:
        """Connect and complete the handshake; called by :func:`~cryptoproto.connect`, which says what it raises."""
        await self._pump.open()

    def give_up(self, error: CryptoprotoError) -> None:
        """End the connection with *error*, without waiting for it. Nothing more is received."""
        self._pump.fail(error, CloseCode.NORMAL)

    async def close(self, timeout: float = CLOSE_TIMEOUT_S) -> None:
        """Close the connection, within *timeout* seconds even if the exchange does not answer. Idempotent.

        Requests in flight and messages that throttling holds end with :class:`ConnectionClosed`. Events that were
        received can still be iterated over. Cancelling does not stop the closing.
        """
        await self._pump.close(timeout)

    async def wait_closed(self) -> None:
        """Wait until the connection has ended, for whatever reason; :attr:`error` has it."""
        await self._pump.wait_gone()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        state = "open" if self._pump.error is None else "closed"
        return f"<Connection {self._options.client_id} to {redacted(self._options.url)}, {state}>"

    def _check_iteration(self) -> None:
        if self._options.on_event is not None:
            raise ConfigurationError("events go to on_event; connect without it to iterate over them")

    def _too_large(self, payload: bytes) -> ConfigurationError:
        return ConfigurationError(
            f"a message of {len(payload)} bytes does not fit into max_message_size={self._options.max_message_size}"
        )
