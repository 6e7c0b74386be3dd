"""The client that stays connected: events once and in order, and orders whose outcome is known, over many links."""

from __future__ import annotations

import asyncio
import os
import time
from types import TracebackType
from typing import Literal, Self, Unpack

import msgspec

from ..connection.closing import own
from ..connection.connection import Connection
from ..connection.options import ConnectArguments, ConnectOptions, default_throttle
from ..exceptions import ConfigurationError, CryptoprotoError, OrderRejected
from ..messages import (
    AmountLike,
    Balance,
    CancelAllOrders,
    CancelOrder,
    Message,
    Outgoing,
    Unknown,
    UserBalanceRequest,
    UserBalanceResponse,
    UserOrdersRequest,
    encode,
)
from ..reconnect.backoff import Backoff
from ..reconnect.subscription import Subscription
from .account.account import Account
from .account.order import Order, Side, TimeInForce, place_message
from .account.order_table import OrderTable
from .delivery import Delivery
from .metrics import Metrics, MetricsSnapshot
from .order_entry import Desk, Report
from .order_ids import ClientOrderIds
from .outcomes import Kind, OrderNotOpen, Pending, never_sent
from .progress import Progress
from .reconnector import Keeper
from .states import StateChange
from .store import open_store
from .store.interface import Store
from .stream import EventStream

__all__ = ["Client"]


class Client:
    """A client that lives as long as the bot.

    ::

        async with cp.Client(url, client_id="alice", private_key=key, server_key=pub, store="alice.db") as client:
            order = await client.place("BTC_USD", cp.Side.BUY, amount="1", price="15000")
            await order.wait_closed()

    It connects, connects again when the link ends, and resumes from the transaction after the last one that was
    handled. ``async with`` returns when the first attempt to connect has ended: well, or with a retry to come; it
    raises where trying again would be in vain.

    Args:
        url: as for :func:`~cryptoproto.connect`, and so are all further options that it has.
        store: where the position and the messages without an outcome are kept: a file name for a
            :class:`~cryptoproto.SqliteStore`, a store of one's own, ``None`` for memory.
        resend: ``"never"``, or ``"once"``: what the exchange has not received because the link was lost is sent again
            within its deadline. Can be chosen for each order as well.
        order_rate: orders and cancels a second; ``None`` = no pacing. Choose a little less than the exchange's limit.
        backoff: how long to wait between attempts to connect.

    Raises:
        ConfigurationError: an option or the store cannot be used.
        HandshakeError: a key or version does not fit (from ``async with``).
    """

    def __init__(
        self,
        url: str,
        *,
        store: str | os.PathLike[str] | Store | None = None,
        resend: Literal["never", "once"] = "never",
        order_rate: float | None = None,
        backoff: Backoff | None = None,
        **options: Unpack[ConnectArguments],
    ) -> None:
        self._options = ConnectOptions(url=url, **options)
        self._resend = resend == "once"
        self._metrics = Metrics()
        self._store = open_store(store)
        self._account = Account()
        self._desk = Desk(self._account, self._store, self._metrics, order_rate)
        self._keeper = Keeper(self._connect, self._resume, self._on_down, self._on_stop, backoff or Backoff())
        self._progress = Progress(self._store, self._metrics.receive_to_dispatch, asyncio.get_running_loop())
        self._delivery = Delivery(
            self._account,
            self._desk,
            self._progress,
            self._options.on_event,
            self._options.max_queue,
            lambda: self._keeper.connection,
            self._on_failure,
        )
        self._resumed_from = 0
        self._ids = ClientOrderIds()

    # Its life

    async def start(self) -> None:
        """Connect; what ``async with`` does. Returns when the first attempt has ended.

        Raises:
            HandshakeError, ConcurrentConnection: trying again would be in vain; the client is closed.
            ConfigurationError: the store cannot be used.
        """
        self._store.open(self._options.client_id, self._options.server_key.fingerprint)
        self._delivery.applied = self._store.position
        self._store.watch(self._progress.handling)
        try:
            self._desk.restore()
        except CryptoprotoError:
            self._store.close()
            raise
        self._keeper.start()
        try:
            await self._keeper.settled()
        except asyncio.CancelledError:
            await self.close(0)
            raise
        if self._keeper.error is not None:
            await self.close()
            raise self._keeper.error

    async def close(self, timeout: float = 5.0) -> None:
        """End the connection and every task, within *timeout* seconds; then close the store. Idempotent.

        What waits for an outcome ends with RequestNotSent or OutcomeUnknown; what is in the outbox of a
        :class:`~cryptoproto.SqliteStore` is taken up by the next client.
        """
        await self._keeper.close(timeout)
        self._desk.close()
        self._delivery.end()
        self._store.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    # Orders

    async def place(
        self,
        trade_pair: str,
        side: Side,
        *,
        amount: AmountLike,
        price: AmountLike,
        time_in_force: TimeInForce = TimeInForce.GTC,
        ttl: int = 0,
        client_order_id: int | None = None,
        timeout: float = 10.0,
        wait: bool = True,
        resend: Literal["never", "once"] | None = None,
    ) -> Order:
        """Place an order and return it once the exchange has accepted it.

        Cancelling stops the wait, not the order: if it was sent, it is known to :attr:`orders` and its outcome is
        reported by :meth:`reports`.

        Args:
            trade_pair: ``"BTC_USD"``.
            side: buy or sell.
            amount: how much of the base currency.
            price: the limit, in the quote currency.
            time_in_force: what becomes of the part that is not filled at once.
            ttl: seconds until what is left is cancelled, in whole minutes; 0 = for ever.
            client_order_id: one's own number, never used before; made where it is not given.
            timeout: seconds for which it makes sense to send it, and to wait without a connection.
            wait: while there is no connection, wait for one; false = RequestNotSent at once.
            resend: as for the client, for this order.

        Raises:
            InsufficientFundsError, ServerError: the exchange refused it.
            RequestNotSent: the exchange has not received it and will not.
            OutcomeUnknown: the connection was lost, and the deadline passed before there was another. The outcome is
                reported by :meth:`reports` and by the order in :attr:`orders` once it is known.
            ConfigurationError: an amount or price cannot be used.
        """
        number = self._ids.next() if client_order_id is None else client_order_id
        message = place_message(
            trade_pair, side, amount=amount, price=price, time_in_force=time_in_force, ttl=ttl, client_order_id=number
        )
        order = Order.of(message)
        self._account.orders.add(order)
        pending = self._pending(Kind.PLACE, message, timeout, resend)
        pending.client_order_id = number
        await self._desk.submit(self._keeper, pending, wait=wait)
        return order

    async def cancel(self, order: Order | int, *, timeout: float = 10.0, wait: bool = True) -> bool:
        """Cancel what is left of an order, given itself or by its order id; true once it is cancelled.

        False where there is nothing to cancel: it was filled or cancelled before, or there is no such order.

        Raises:
            RequestNotSent, OutcomeUnknown, ServerError: as for :meth:`place`.
        """
        order_id = order.order_id if isinstance(order, Order) else order
        if order_id is None:
            raise OrderRejected(f"{order!r} has no order id: the exchange has not accepted it")
        pending = self._pending(Kind.CANCEL, CancelOrder(order_id), timeout, None)
        pending.order_id = order_id
        try:
            await self._desk.submit(self._keeper, pending, wait=wait)
        except OrderNotOpen:
            return False
        return True

    async def cancel_all(self, *, timeout: float = 10.0, wait: bool = True) -> None:
        """Cancel every open order; returns when the exchange has done so.

        Raises:
            RequestNotSent, OutcomeUnknown, ServerError: as for :meth:`place`.
        """
        await self._desk.submit(
            self._keeper, self._pending(Kind.CANCEL_ALL, CancelAllOrders(), timeout, None), wait=wait
        )

    def _pending(self, kind: Kind, message: Message, timeout: float, resend: str | None) -> Pending:
        return Pending(
            kind,
            encode(message),
            deadline=asyncio.get_running_loop().time() + timeout,
            resend=self._resend if resend is None else resend == "once",
        )

    # Questions

    async def request(self, message: Outgoing, *, timeout: float | None = None, wait: bool = True) -> Message | Unknown:
        """Send an RPC request and return its response; see :meth:`Connection.request <cryptoproto.Connection.request>`.

        Raises:
            RequestNotSent: there was no connection within the deadline, or at once with *wait* false.
            RequestTimeout: there was no response within the deadline.
            ConnectionClosed: the connection was lost before the response.
        """
        seconds = self._options.request_timeout if timeout is None else timeout
        deadline = asyncio.get_running_loop().time() + seconds
        try:
            async with asyncio.timeout_at(deadline):
                connection = await self._keeper.live(wait=wait)
        except TimeoutError:
            raise never_sent("there was no connection within the deadline") from None
        self._metrics.count("requests")
        started = time.perf_counter_ns()
        left = max(deadline - asyncio.get_running_loop().time(), 0.0)
        response = await connection.request(message, timeout=left)
        self._metrics.request_round_trip.record(time.perf_counter_ns() - started)
        return response

    async def balances(self, *, timeout: float | None = None, wait: bool = True) -> dict[str, Balance]:
        """Ask the exchange for all balances, by currency; raises as :meth:`request`."""
        response = await self.request(UserBalanceRequest(), timeout=timeout, wait=wait)
        return response.balances if isinstance(response, UserBalanceResponse) else {}

    async def open_orders(self, *, timeout: float | None = None, wait: bool = True) -> list[Order]:
        """The open orders, when all that the exchange has to tell of them was heard; raises as :meth:`request`."""
        await self.request(UserOrdersRequest(), timeout=timeout, wait=wait)
        return self._account.orders.open_orders()

    @property
    def orders(self) -> OrderTable:
        """Every order that is not at its end, and the latest of those that are; kept up to date by events."""
        return self._account.orders

    @property
    def known_balances(self) -> dict[str, Balance]:
        """The balances as events tell them, without asking."""
        return self._account.balances.all()

    @property
    def state(self) -> StateChange:
        """The state that the client is in."""
        return self._keeper.state

    @property
    def position(self) -> int | None:
        """The last transaction that was handled; the next process begins behind it."""
        return self._progress.reached

    def metrics(self) -> MetricsSnapshot:
        """Counters, gauges and latency histograms as they are now."""
        connection = self._keeper.connection
        self._progress.settle()
        self._metrics.counters["events"] = self._account.heard
        self._metrics.counters["broadcasts"] = self._account.broadcasts
        return self._metrics.snapshot(
            {
                "queued_events": float(len(self._delivery.inbox.events)),
                "requests_in_flight": float(connection.in_flight if connection is not None else 0),
                "unanswered_messages": float(len(self._desk.outcomes.unanswered)),
                "pacing_depth": float(self._desk.bucket.depth),
                "pacing_hold_s": self._desk.bucket.hold,
                "throttling_hold_s": connection.hold if connection is not None else 0.0,
                "open_orders": float(len(self._account.orders.open_orders())),
                "connected": float(connection is not None),
            }
        )

    # Streams

    def events(self) -> EventStream:
        """Exactly the transactions after the stored position, in order, and broadcasts in between.

        The position moves when the next event is asked for. A loop that is left gets its last event again from the
        next ``events()``, here or in the next process, because nothing said that it was handled. One loop at a time.
        The iteration ends with :meth:`close`, with what waits in the queue left for the next process, and raises what
        closed the client where it was not you.
        """
        if self._options.on_event is not None:
            raise ConfigurationError("events go to on_event; leave it out to iterate over them")
        return self._delivery.stream()

    def states(self) -> Subscription[StateChange]:
        """The state now, and every change from here on; any number of readers."""
        return self._keeper.states()

    def reports(self) -> Subscription[Report]:
        """Late outcomes, and differences found after a resume, from here on; any number of readers."""
        return self._desk.reports.subscribe()

    # What the keeper asks

    async def _connect(self) -> Connection:
        delivery = self._delivery
        await delivery.room()
        self._resumed_from = self._options.resume_from if delivery.applied is None else delivery.applied
        options = msgspec.structs.replace(
            self._options,
            resume_from=self._resumed_from,
            on_event=delivery.on_event,
            throttle=self._on_throttling,
        )
        connection = Connection(options, on_events=delivery.on_events)
        await connection.open()
        delivery.accept(connection)
        self._metrics.count("connections")
        return connection

    async def _resume(self, connection: Connection) -> int:
        return await self._desk.resume(connection, self._resumed_from)

    async def _on_down(self, error: CryptoprotoError, was_open: bool) -> None:
        if was_open:
            self._metrics.count("disconnections")
            self._desk.down(error)

    def _on_stop(self, error: CryptoprotoError) -> None:
        """It is over without close(): whoever waits for an event or an outcome waits in vain."""
        self._delivery.fail(lambda: own(error, sent=None))
        self._desk.close()

    def _on_failure(self, error: CryptoprotoError) -> None:
        """The user's handler has raised: this ends the client when the connection has ended."""
        self._keeper.error = error

    def _on_throttling(self, level: int, request_id: int, order_id: int) -> float:
        self._metrics.count("throttled")
        return (self._options.throttle or default_throttle)(level, request_id, order_id)
