"""The exchange: the engine behind real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl as ssl_module
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from types import TracebackType
from typing import Self

from ..arguments import check_plain_function
from ..exceptions import ConfigurationError, JournalError
from ..instruments import Instrument, by_pair
from ..keys import PrivateKey, PublicKey
from ..messages import AmountLike, Message, OrderBookAgg, UserBalanceResponse, UserOrdersResponse, encode
from ..transport import TransportKind
from ..wire import MAX_FRAME_BYTES, CloseCode
from .commands import Deposit, DisablePairs, EnablePairs, Expire, LimitOpenOrders, Observed, SetInstruments, Withdraw
from .endpoints import Endpoints
from .engine import Engine
from .expiry_timer import ExpiryTimer
from .feed import MarketFeed
from .handshakes import Handshakes
from .journal import open_journal
from .ledger import ClientRecord, Ledger
from .link import ClientLink
from .link_table import LinkTable
from .market_source import MarketSource, SourceObserver
from .opening import open_exchange
from .options import LinkOptions, most_open_orders, traded_instruments
from .venue import Venue

__all__ = ["Exchange"]

_SHOWN_CLIENTS = 5


class Exchange:
    """An exchange to develop and test against.

    ::

        async with Exchange() as exchange:
            exchange.register("alice", key.public_key, balances={"USD": "1000000"})
            async with cp.connect(exchange.url, client_id="alice", private_key=key,
                                  server_key=exchange.public_key) as connection:
                ...

    It listens from ``async with`` (or :meth:`start`) until its end (or :meth:`close`), for clients of both protocols
    and for readers of market data. Clients, orders, balances and histories live as long as the object, also over
    restarts; with a journal, they stay in its file. The constructor reads an existing journal, which may take a few
    seconds.

    Args:
        path: the file of a durable journal; it is created if it does not exist. ``None``: everything is in memory.
        host: the address to listen on.
        port: the port for clients, 0 = any free one.
        market_data_port: the port of the market-data socket, 0 = any free one.
        rate_limit: messages and requests a second that a client may send, ``None`` = any number. Beyond it, the client
            is throttled, and then disconnected with code 4009.
        private_key: the exchange's RSA key; if not given, that of the journal, or else a new one.
        trade_pairs: the pairs to trade, ``"BTC_USD"``; if not given, those of the journal, or else DEFAULT_PAIRS.
        maker_fee: the fraction that is deducted from what a resting order receives; if not given, that of the journal,
            or else 0.
        taker_fee: the same for an order that is filled at once.
        clock: Unix time in nanoseconds, for orders and events; if not given, that of *feed*, or else of this machine.
        ssl: a TLS context; the addresses are then ``wss://``.
        transport: ``"websockets"``, ``"picows"`` or ``"auto"``.
        ping_interval: seconds between pings.
        ping_timeout: seconds of silence after which a client or reader is disconnected.
        stall_timeout: seconds after which a client is disconnected that does not read what is sent to it.
        max_message_size: largest frame in bytes.
        book_interval: seconds between two publications of a changed book.
        max_open_orders: open orders that a client may have; if not given, that of the journal, or else 1,000, or as
            many as fit into a message of *max_message_size*.
        instruments: the rules of pairs, which orders have to satisfy; if not given, those of the journal, or else none
            but the protocol's. Open orders stay if the rules change.
        handshake_rate: handshakes a second from one address, ten times that at once, ``None`` = any; beyond: code 1013.
        feed: a :class:`~cryptoproto.Replay`: clients trade with its volume, by the rules of ``docs/recording.md``.

    Raises:
        ConfigurationError: an option cannot be used, or contradicts the journal; or the journal is in use, or is not a
            journal.
        JournalError: the journal is damaged.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        market_data_port: int = 0,
        rate_limit: float | None = None,
        *,
        private_key: PrivateKey | None = None,
        trade_pairs: Sequence[str] | None = None,
        maker_fee: Decimal | None = None,
        taker_fee: Decimal | None = None,
        clock: Callable[[], int] | None = None,
        ssl: ssl_module.SSLContext | None = None,
        transport: TransportKind = "auto",
        ping_interval: float = 4.0,
        ping_timeout: float = 10.0,
        stall_timeout: float = 60.0,
        max_message_size: int = MAX_FRAME_BYTES,
        book_interval: float = 0.02,
        max_open_orders: int | None = None,
        instruments: Iterable[Instrument] | Mapping[str, Instrument] | None = None,
        handshake_rate: float | None = 50.0,
        feed: MarketSource | None = None,
    ) -> None:
        if clock is None:
            clock = time.time_ns if feed is None else feed.time_ns
        check_plain_function("clock", clock)
        pings = {"ping_interval": ping_interval, "ping_timeout": ping_timeout}
        self.options: LinkOptions = LinkOptions(rate_limit, stall_timeout, max_message_size, **pings)
        self.handshakes: Handshakes = Handshakes(handshake_rate)
        self.links: LinkTable = LinkTable()
        self._endpoints = Endpoints(host, port, market_data_port, ssl, transport, max_message_size)
        self._feed = MarketFeed(lambda: self.venue, book_interval, **pings)
        self._expiry = ExpiryTimer(self.expire_orders)
        most = most_open_orders(max_open_orders, max_message_size)
        given = None if instruments is None else tuple(by_pair(instruments).values())
        self._clock = clock
        opened = open_exchange(
            path, feed=feed, private_key=private_key, trade_pairs=trade_pairs, maker_fee=maker_fee,
            taker_fee=taker_fee, instruments=given or (),
        )  # fmt: skip
        self.private_key: PrivateKey = opened.private_key
        self._journal = opened.journal
        self.venue: Venue = self._make_venue(opened.engine, opened.ledger)
        self._limit_open_orders(max_open_orders, most)
        if given is not None:
            self.set_instruments(given)
        self._market = SourceObserver(feed, self._on_market)
        self._over = asyncio.Event()
        self._end: asyncio.Task[None] | None = None

    def _make_venue(self, engine: Engine, ledger: Ledger) -> Venue:
        return Venue(engine, ledger, self._clock, on_private=self._on_private, on_public=self._on_public)

    def _limit_open_orders(self, wanted: int | None, most: int) -> None:
        kept = self.venue.engine.max_open_orders
        limit = min(wanted or kept, most)
        if limit != kept:
            self.venue.operate(LimitOpenOrders(limit, self.venue.now_us()))

    def __repr__(self) -> str:
        address = self.url if self._endpoints.is_listening else "not listening"
        ids = self.client_ids
        names = ", ".join(ids[:_SHOWN_CLIENTS]) + (", …" if len(ids) > _SHOWN_CLIENTS else "")
        clients = f"{len(ids)} clients ({names}), {len(self.connected_clients)} connected" if ids else "no clients"
        return f"<Exchange {address}, {clients}, {f'journal {self.path}' if self.path else 'in memory'}>"

    @property
    def path(self) -> str | None:
        """The journal's file; ``None`` if everything is kept in memory."""
        return None if self._journal is None else self._journal.path

    # Addresses

    @property
    def url(self) -> str:
        """The address for clients; one of loopback, if the exchange listens on all addresses of its machine."""
        return self._endpoints.url

    @property
    def market_data_url(self) -> str:
        """The address of the market-data socket."""
        return self._endpoints.market_data_url

    @property
    def public_key(self) -> PublicKey:
        """The key that clients need as ``server_key``."""
        return self.private_key.public_key

    @property
    def rate_limit(self) -> float | None:
        """Messages and requests a second that a client may send; ``None`` = any number."""
        return self.options.rate_limit

    # Start and close

    async def start(self) -> None:
        """Listen. After :meth:`close`, this opens the journal again first.

        Raises:
            ConfigurationError: an address cannot be listened on, or the journal is in use.
            JournalError: the journal is damaged, or could not be written before; :meth:`close` the exchange first.
        """
        if self._journal is not None:
            if self._journal.closed:
                self._journal = open_journal(self._journal.path, private_key=self.private_key)
                self.venue = self._make_venue(self._journal.engine, self._journal)
            self._journal.start(self._on_journal_failure)
        self.handshakes.start()
        self._over.clear()
        self._end = None
        self.links.admit()
        try:
            await self._endpoints.listen(lambda: ClientLink(self), self._feed.make_listener)
        except ConfigurationError:
            self.handshakes.stop()
            if self._journal is not None:
                await self._journal.stop()
            raise
        self._set_expiry()

    async def close(self, code: int = CloseCode.GOING_AWAY, reason: str = "the exchange closes") -> None:
        """Disconnect everybody, stop listening, and close the journal. Idempotent.

        Args:
            code: the WebSocket close code; 1012 tells clients that the exchange will be back.
            reason: the text beside it.
        """
        if self._end is not None:
            await asyncio.shield(self._end)
        self._market.close()
        await self._stop(code, reason)
        if self._journal is not None:
            self._journal.close()
        self._over.set()

    async def wait_closed(self) -> None:
        """Wait for the end: :meth:`close`, or a journal that cannot be written.

        Raises:
            JournalError: the journal cannot be written, and everybody has been disconnected with code 1011.
        """
        await self._over.wait()
        if self._journal is not None and self._journal.failure is not None:
            raise self._journal.failure

    async def flush(self) -> None:
        """Wait until everything so far is durable; without a journal, return at once.

        Raises:
            JournalError: the journal cannot be written.
        """
        if self._journal is not None:
            await self._journal.flush()

    async def restart(self) -> None:
        """An orderly restart: disconnect everybody with code 1012, and listen on the same ports again."""
        await self._stop(CloseCode.SERVER_RESTART, "server restart")
        await self.start()

    async def _stop(self, code: int, reason: str) -> None:
        self._expiry.stop()
        self.links.turn_away(code, reason)
        self._endpoints.stop()
        if self._journal is not None:
            with contextlib.suppress(JournalError):  # everything that is durable was sent
                await self._journal.flush()
        self.links.close_all(code, reason)
        await asyncio.gather(self.links.wait_closed(), self._feed.close(code, reason))
        self.handshakes.stop()
        if self._journal is not None:
            await self._journal.stop()

    def _on_journal_failure(self, error: JournalError) -> None:
        """Disconnect everybody: nothing may be sent that is not in the journal."""
        self.links.close_all(CloseCode.INTERNAL_ERROR, "the exchange cannot write its journal")
        if self._end is None:
            self._end = asyncio.get_running_loop().create_task(self._end_failed())

    async def _end_failed(self) -> None:
        await self._stop(CloseCode.INTERNAL_ERROR, "the exchange cannot write its journal")
        self._over.set()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    # For the operator

    def register(self, client_id: str, public_key: PublicKey, balances: Mapping[str, AmountLike] | None = None) -> None:
        """Open an account. Registering a known client with the same key changes nothing.

        Raises:
            ConfigurationError: the client has another key, or a balance is negative, a float, or not a number.
        """
        self.venue.register(client_id, public_key, balances or {})

    def deposit(self, client_id: str, currency: str, amount: AmountLike, *, to_address: str = "") -> None:
        """Add money to a client's account; the client receives ``DepositTransactionAccepted`` and ``SetBalance``.

        Raises:
            ConfigurationError: the client is unknown, or the amount is out of range.
        """
        self.venue.operate(Deposit(client_id, currency, amount, to_address, [], self.venue.now_us()))

    def withdraw(self, client_id: str, currency: str, amount: AmountLike, *, to_address: str = "") -> None:
        """Take money from a client's account; the client receives ``WithdrawalTransactionAccepted`` and ``SetBalance``.

        Raises:
            ConfigurationError: the client is unknown, or the amount exceeds the available balance.
        """
        self.venue.operate(Withdraw(client_id, currency, amount, to_address, [], self.venue.now_us()))

    def disable_pairs(self, trade_pairs: Iterable[str]) -> None:
        """Refuse orders for these pairs, and broadcast it."""
        self.venue.operate(DisablePairs(list(trade_pairs), self.venue.now_us()))

    def enable_pairs(self, trade_pairs: Iterable[str]) -> None:
        """Accept orders for these pairs again, and broadcast it."""
        self.venue.operate(EnablePairs(list(trade_pairs), self.venue.now_us()))

    def set_instruments(self, instruments: Iterable[Instrument] | Mapping[str, Instrument]) -> None:
        """Replace the rules of all pairs, and publish them on the market-data socket. Open orders stay as they are.

        Raises:
            ConfigurationError: an instrument is given twice, or its pair is not traded here.
        """
        wanted = traded_instruments(instruments, self.venue.engine.trade_pairs)
        if wanted != self.instruments:
            rules = [instrument.to_rules() for instrument in wanted]
            self.venue.operate(SetInstruments(rules, self.venue.now_us()))

    def expire_orders(self) -> None:
        """Cancel the orders whose ttl has passed. A timer does it, unless the clock is simulated."""
        self.venue.operate(Expire(self.venue.now_us()))
        self._set_expiry()

    def disconnect(self, client_id: str, code: int = CloseCode.GOING_AWAY, reason: str = "") -> None:
        """End a client's connection, if it has one, with any close code."""
        link = self.links.by_client.get(client_id)
        if link is not None:
            link.close(code, reason)

    # State

    @property
    def client_ids(self) -> tuple[str, ...]:
        """The ids of all clients, in order of registration."""
        return self.venue.engine.client_ids

    @property
    def connected_clients(self) -> tuple[str, ...]:
        """The ids of the clients that are connected."""
        return tuple(self.links.by_client)

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """The rules of the pairs that have any, in order of the pairs."""
        return self.venue.engine.instruments

    def balances(self, client_id: str) -> UserBalanceResponse:
        """The balances of a client."""
        return self.venue.engine.balances(client_id)

    def open_orders(self, client_id: str) -> UserOrdersResponse:
        """The open orders of a client."""
        return self.venue.engine.open_orders(client_id)

    def book(self, trade_pair: str) -> OrderBookAgg:
        """The aggregated book of a pair."""
        return self.venue.engine.aggregated_book(trade_pair)

    def totals(self) -> dict[str, Decimal]:
        """The total of each currency, fees included; only registrations, deposits and withdrawals change it."""
        return self.venue.engine.totals()

    # For links, see Host

    def monotonic(self) -> float:
        """Seconds of the event loop's clock."""
        return asyncio.get_running_loop().time()

    def _on_private(self, record: ClientRecord) -> None:
        self.links.published(record.client_id, grouped=self._journal is not None)
        if self._endpoints.is_listening:
            self._feed.books_changed()
            if self._expiry.handle is None:
                self._expiry.set(self.venue)

    def _on_market(self, update: Observed) -> None:
        self.venue.observe(update)
        if self._endpoints.is_listening:
            self._feed.books_changed()

    def _on_public(self, message: Message, broadcast: bool) -> None:
        self._feed.publish(message, together=self.links.more_expected or self._journal is not None)
        if broadcast:
            self.links.broadcast(encode(message))

    def _set_expiry(self) -> None:
        if self._endpoints.is_listening:
            self._expiry.set(self.venue)
