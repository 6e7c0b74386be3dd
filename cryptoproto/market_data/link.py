"""One connection to a market-data socket, from opening to close."""

from __future__ import annotations

import asyncio
import ssl as ssl_module
from collections.abc import Callable

import msgspec

from ..arguments import check_url, redacted
from ..exceptions import (
    ConfigurationError,
    CryptoprotoError,
    DecodeError,
    HeartbeatTimeout,
    UnsupportedVersion,
)
from ..messages import (
    AnonymousTrade,
    OrderBookAgg,
    TradesDisabledOnPairs,
    TradesEnabledOnPairs,
    TradingRules,
    Unknown,
    decode,
    loads,
)
from ..transport import Closed, Heartbeat, OpenOptions, Transport, TransportKind, TransportOpener, open_within, opener
from ..wire import MAX_FRAME_BYTES, CloseCode, connection_closed, read_market_frame, read_market_hello
from ..wire.market import MARKET_DATA_VERSION
from .update_queue import MarketUpdate

__all__ = ["FeedLink", "FeedOptions", "typed_update"]

_CLOSE_TIMEOUT = 1.0


class FeedOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to open a connection; :class:`~cryptoproto.MarketData` describes the fields."""

    url: str
    transport: TransportKind | TransportOpener = "auto"
    ssl: ssl_module.SSLContext | None = None
    open_timeout: float = 10.0
    ping_interval: float | None = 4.0
    ping_timeout: float | None = 10.0
    max_queue: int = 10_000
    max_message_size: int = MAX_FRAME_BYTES
    insecure: bool = False

    def __post_init__(self) -> None:
        check_url(self.url, insecure=self.insecure)
        opener(self.transport)
        for name in ("open_timeout", "ping_interval", "ping_timeout", "max_queue", "max_message_size"):
            number = getattr(self, name)
            if number is None and name.startswith("ping"):
                continue
            if isinstance(number, bool) or not isinstance(number, int | float) or not number > 0:
                raise ConfigurationError(f"{name}={number!r} must be a number greater than zero")


class FeedLink:
    """One connection: checks the version in the first frame, decodes all others, and detects a dead peer.

    Args:
        options: how to open it.
        on_live: called once the version is known to be supported.
        on_update: called with each update; a DecodeError that it raises ends the connection.
        on_ended: called once with the reason if the connection fails or cannot be opened; not after :meth:`close`.
    """

    def __init__(
        self,
        options: FeedOptions,
        *,
        on_live: Callable[[], None],
        on_update: Callable[[MarketUpdate], None],
        on_ended: Callable[[Exception], None],
    ) -> None:
        self._loop = loop = asyncio.get_running_loop()
        self._options = options
        self._shown_url = redacted(options.url)
        self._on_live = on_live
        self._on_update = on_update
        self._on_ended = on_ended
        self._transport: Transport | None = None
        self._greeted = False
        self._settled: asyncio.Future[None] = loop.create_future()  # greeted, or over
        self._gone: asyncio.Future[None] = loop.create_future()
        self._over = False
        self._cut: asyncio.TimerHandle | None = None
        self._heartbeat = Heartbeat(
            loop,
            interval=options.ping_interval or 1e9,
            timeout=options.ping_timeout,
            ping=self._ping,
            deaf=lambda: False,  # reading is never paused
            on_silence=self._on_silence,
        )

    async def run(self) -> None:
        """Open the connection and return when it has ended; *on_ended* receives the reason. Cancelling aborts it."""
        options = self._options
        open_options = OpenOptions(
            ssl=options.ssl, max_message_bytes=options.max_message_size, timeout=options.open_timeout
        )
        try:
            open_transport = opener(options.transport)
            await open_within(
                open_transport,
                options.url,
                self,
                open_options,
                self._settled,
                "send its first frame",
                "is it the market data address of the exchange?",
            )
        except CryptoprotoError as error:
            self._fail(error)
        except BaseException:  # cancelled, or a custom opener raised something
            self._abort()
            raise
        await self.wait_gone()

    def close(self, timeout: float) -> None:
        """Close the connection, and abort it if the peer has not answered within *timeout* seconds. Idempotent."""
        self._stop()
        transport = self._transport
        if transport is not None and not self._gone.done():
            transport.close(CloseCode.NORMAL, "", timeout)
            # It may be closing already, with a longer timeout.
            if self._cut is None:
                self._cut = self._loop.call_later(timeout, transport.abort)

    async def wait_gone(self) -> None:
        """Wait until the connection is gone, if it was ever opened."""
        if self._transport is not None:
            await asyncio.shield(self._gone)

    # Called by the transport

    def on_open(self, transport: Transport) -> None:
        """See :class:`~cryptoproto.transport.Listener`."""
        self._transport = transport
        if self._over:
            transport.abort()

    def on_message(self, data: bytes, more: bool = False) -> None:
        """See :class:`~cryptoproto.transport.Listener`."""
        if self._over:
            return
        self._heartbeat.heard = True
        try:
            if self._greeted:
                self._on_update(typed_update(read_market_frame(data)))
            else:
                self._greet(read_market_hello(data))
        except (UnsupportedVersion, DecodeError) as error:
            self._fail(error, CloseCode.PROTOCOL_ERROR)

    def on_text(self, text: str) -> None:
        """See :class:`~cryptoproto.transport.Listener`."""
        self._fail(DecodeError("received a text message; frames are binary"), CloseCode.PROTOCOL_ERROR)

    def on_heard(self) -> None:
        """See :class:`~cryptoproto.transport.Listener`."""
        self._heartbeat.heard = True

    def on_closed(self, closed: Closed) -> None:
        """See :class:`~cryptoproto.transport.Listener`."""
        if self._cut is not None:
            self._cut.cancel()
        if not self._gone.done():
            self._gone.set_result(None)
        if closed.fault is not None:
            self._fail(DecodeError(closed.fault))
        else:
            self._fail(connection_closed(closed.code, closed.reason))

    # Internals

    def _greet(self, version: int) -> None:
        if version != MARKET_DATA_VERSION:
            raise UnsupportedVersion(
                f"{self._shown_url} speaks version {version} of market data; this client supports {MARKET_DATA_VERSION}"
            )
        self._greeted = True
        self._settle()
        if self._options.ping_interval is not None:
            self._heartbeat.start()
        self._on_live()

    def _ping(self) -> None:
        if self._transport is not None:  # pragma: no branch - the heartbeat starts after the connection is open
            self._transport.ping()

    def _on_silence(self) -> None:
        reason = f"nothing was received from the feed for {self._options.ping_timeout:g} s"
        self._fail(HeartbeatTimeout(None, reason), CloseCode.GOING_AWAY)

    def _fail(self, error: Exception, code: CloseCode | None = None) -> None:
        """End the connection: close it with *code*, or abort it without one. Only the first error is reported."""
        if not self._over:
            self._stop()
            self._on_ended(error)
        if self._transport is not None and not self._gone.done():
            if code is None:
                self._transport.abort()
            else:
                self._transport.close(code, str(error)[:100], _CLOSE_TIMEOUT)

    def _abort(self) -> None:
        self._stop()
        if self._transport is not None:
            self._transport.abort()

    def _stop(self) -> None:
        self._over = True
        self._heartbeat.stop()
        self._settle()

    def _settle(self) -> None:
        if not self._settled.done():
            self._settled.set_result(None)


def typed_update(payload: bytes) -> MarketUpdate:
    """The update in *payload*; ``Unknown`` if the message does not belong on this socket."""
    message = decode(payload)
    match message:
        case AnonymousTrade():
            # A JSON string can hold NaN and infinities.
            if not (message.price.is_finite() and message.amount.is_finite()):
                raise DecodeError(f"impossible trade of {message.amount} at {message.price}")
            return message
        case OrderBookAgg() | TradesEnabledOnPairs() | TradesDisabledOnPairs() | TradingRules() | Unknown():
            return message
        case _:
            return Unknown(type=type(message).__name__, payload=loads(payload))
