"""The client that stays connected: events once and in order, and orders whose outcome is known, over many links."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Literal, Self, Unpack

from ..arguments import redacted
from ..connection import ConnectArguments, ConnectOptions
from ..history import History
from ..instruments import Instrument, OrderLimits
from ..messages import AmountLike, Balance, Message, Outgoing, Side, TimeInForce, Unknown
from ..reconnect import Backoff, Subscription
from .account import Account, Order, OrderTable
from .cancel_on_exit import CancelOnExit
from .event_stream import EventDelivery, EventStream
from .gauges import gauges
from .lifecycle import CLOSE_TIMEOUT_S, Lifecycle
from .link import Link
from .metrics import Metrics, MetricsSnapshot
from .order_calls import OrderCalls
from .order_checks import OrderChecks
from .order_entry import OrderEntry
from .overrides import FromProfile
from .placing import Placing, PreparedOrder
from .questions import Questions
from .ready_messages import ReadyMessages
from .reconnector import Reconnector
from .replace import Replacer
from .reports import Reports, ReportStream
from .states import StateChange
from .store import Store, open_store

__all__ = ["Client"]


class Client(FromProfile):
    """A client that stays connected for as long as the bot runs.

    ::

        async with cp.Client(url, client_id="alice", private_key=key, server_key=pub, store="alice.db") as client:
            order = await client.place("BTC_USD", cp.Side.BUY, amount="1", price="15000")
            await order.wait_closed()

    It reconnects when a connection ends, and resumes after the last transaction that was handled. ``async with``
    returns when the first attempt to connect has ended, even if a retry follows; it raises if a retry cannot succeed.

    Args:
        url: the exchange's address. All other options of :func:`~cryptoproto.connect` are accepted as well.
        store: keeps the position and the messages without an outcome: a file name for a
            :class:`~cryptoproto.SqliteStore`, a custom store, or ``None`` for memory.
        resend: ``"never"``, or ``"once"``: a message that the exchange has not received because the connection was
            lost is sent again within its deadline. Each order can override this.
        order_rate: orders and cancels per second, ``None`` = no limit. Choose a little less than the exchange allows.
        backoff: how long to wait between attempts to connect.
        instruments: the rules of pairs, for checks before sending: a list, or a mapping by pair that is read anew for
            each order. Orders for other pairs are not checked; ``OrderLimits(pairs=...)`` refuses them.
        limits: pre-trade limits.
        cancel_on_exit: :meth:`close` and the end of ``async with`` cancel all open orders of the client id.
        order_ids: returns the client order id of the next order; by default ids that are unique across processes.
        keep_cancels_ready: for how many open orders, the newest ones, a cancel is kept signed, so that it need not wait
            for its signature. Each message that is sent then costs as many signatures, made in the background.

    Raises:
        ConfigurationError: an option or the store cannot be used, or no event loop is running.
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
        instruments: Iterable[Instrument] | Mapping[str, Instrument] | None = None,
        limits: OrderLimits | None = None,
        cancel_on_exit: bool = False,
        order_ids: Callable[[], int] | None = None,
        keep_cancels_ready: int = 0,
        **options: Unpack[ConnectArguments],
    ) -> None:
        self._options = chosen = ConnectOptions(url=url, **options)
        self._metrics = Metrics()
        self._store = open_store(store)
        self._account = Account()
        self._checks = OrderChecks.of(instruments, limits, self._account.orders)
        self._link = Link()
        self._reports = Reports(self._store)
        orders = self._account.orders
        self._ready = ReadyMessages(orders, keep_cancels=keep_cancels_ready)
        self._order_entry = entry = OrderEntry(
            self._link, self._account, self._store, self._reports, self._metrics, self._ready, order_rate
        )
        self._calls = OrderCalls(self._link, orders, entry, resend=resend == "once", order_ids=order_ids)
        self._placing = Placing(self._link, orders, entry, self._calls, self._checks, self._ready)
        self._replacer = Replacer(self._link, orders, entry, self._calls, self._checks)
        self._questions = Questions(self._link, self._account, self._metrics, chosen.request_timeout, entry.reserved)
        on_event, delays = chosen.on_event, self._metrics.receive_to_dispatch
        self._events = EventDelivery(self._link, self._account, entry, self._store, delays, on_event, chosen.max_queue)
        self._reconnector = Reconnector(chosen, self._link, self._events, entry, self._metrics, backoff or Backoff())
        self._cancel_on_exit = CancelOnExit(orders, entry, self._calls, self._reconnector, enabled=cancel_on_exit)
        self._lifecycle = Lifecycle(
            chosen, self._store, self._reports, entry, self._events, self._reconnector, self._cancel_on_exit
        )

    # Start and end

    async def start(self) -> None:
        """Connect; what ``async with`` does. Returns when the first attempt has ended.

        Raises:
            HandshakeError, ConcurrentConnection: a retry cannot succeed; the client is closed.
            IdentityInUse: ``exclusive=True``, and another process of this machine uses the client id.
            ConfigurationError, StoreError: the store cannot be used, or a row of it cannot be read.
        """
        await self._lifecycle.start()

    async def close(self, timeout: float = CLOSE_TIMEOUT_S) -> None:
        """End the connection and every task, within *timeout* seconds; then close the store. Idempotent.

        Calls that wait for an outcome end with ClientClosed or OutcomeUnknown. The next client takes up what is in the
        outbox of a :class:`~cryptoproto.SqliteStore`.

        With ``cancel_on_exit=True`` no more orders are sent, and all open ones are cancelled first, also those of
        earlier processes with this client id. If there is no connection, the client tries to get one within *timeout*.
        What could not be cancelled is logged as a warning and in :attr:`left_open`; it raises nothing.
        """
        await self._lifecycle.close(timeout)

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
        side: Side | str,
        *,
        amount: AmountLike,
        price: AmountLike,
        time_in_force: TimeInForce | str = TimeInForce.GTC,
        ttl: int = 0,
        client_order_id: int | None = None,
        timeout: float = 10.0,
        wait: bool = True,
        resend: Literal["never", "once"] | None = None,
    ) -> Order:
        """Place an order and return it once the exchange has accepted it.

        Cancelling stops the wait, not the order: if it was sent, it is in :attr:`orders`, and :meth:`reports` reports
        its outcome.

        Args:
            trade_pair: ``"BTC_USD"``.
            side: buy or sell, as :class:`~cryptoproto.Side` or a string.
            amount: how much of the base currency.
            price: the limit, in the quote currency.
            time_in_force: what happens to the part that is not filled immediately, as
                :class:`~cryptoproto.TimeInForce` or a string.
            ttl: seconds until the rest is cancelled, in whole minutes; 0 = never.
            client_order_id: your own number for the order, not used before. Generated by default.
            timeout: seconds for sending the order and waiting for the answer. If the connection is up when they have
                passed, one request of at most 5 seconds finds out whether the answer is still to come.
            wait: wait for a connection if there is none; if false, raise RequestNotSent at once.
            resend: overrides the client's ``resend`` for this order.

        Raises:
            OrderInvalid: the order can never be valid, or ``instruments`` or ``limits`` do not allow it; nothing was
                sent.
            InsufficientFundsError, ServerError: the exchange refused it.
            RequestNotSent: the exchange has not received it and will not.
            ClientClosed: the client is closed for good; a retry cannot succeed.
            OutcomeUnknown: no answer came before the deadline. The client reconnects if it has to, and reports the
                outcome with :meth:`reports` and in :attr:`orders` once it is known.
        """
        return await self._placing.place(
            trade_pair, side, amount=amount, price=price, time_in_force=time_in_force, ttl=ttl,
            client_order_id=client_order_id, timeout=timeout, wait=wait, resend=resend,
        )  # fmt: skip

    async def prepare(
        self,
        trade_pair: str,
        side: Side | str,
        *,
        amount: AmountLike,
        price: AmountLike,
        time_in_force: TimeInForce | str = TimeInForce.GTC,
        ttl: int = 0,
        client_order_id: int | None = None,
    ) -> PreparedOrder:
        """Make an order ready to be sent, so that :meth:`PreparedOrder.place` need not wait for a signature.

        Returns once it is signed for the next sequence, or at once if there is no connection or the protocol has no
        signatures. Nothing is sent or stored. If cancelled, nothing is left prepared.

        The arguments are those of :meth:`place`; a *ttl* counts from when the exchange receives the order.

        Raises:
            OrderInvalid: as :meth:`place`. The order is checked again when it is placed.
            DuplicateClientOrderId: the client order id was used before.
            ClientClosed: the client is closed for good.
        """
        return await self._placing.prepare(
            trade_pair, side, amount=amount, price=price, time_in_force=time_in_force, ttl=ttl,
            client_order_id=client_order_id,
        )  # fmt: skip

    async def replace(
        self,
        order: Order,
        *,
        price: AmountLike | None = None,
        amount: AmountLike | None = None,
        ttl: int | None = None,
        client_order_id: int | None = None,
        timeout: float = 10.0,
        wait: bool = True,
        pipelined: bool = False,
    ) -> Order:
        """Cancel an order and place a new one with other terms; returns the new order once it is accepted.

        This takes two round trips: the new order is sent when the exchange has cancelled the old one, so the two are
        never both open. Cancelling stops the wait; what was not sent is not sent any more.

        Args:
            order: an open order of this client.
            price: the new limit; the old one by default.
            amount: of the new order, without what the old one has filled (FIX would include it). By default exactly
                what was left when the old order was cancelled; with *pipelined*, what is left now.
            ttl: as for :meth:`place`, counted from now; that of the old order by default.
            client_order_id: of the new order. Generated by default.
            timeout: seconds for both together, as for :meth:`place`.
            wait: as for :meth:`place`.
            pipelined: send both at once, in one round trip. **The risk:** if the old order is filled before it can be
                cancelled, the new one is placed nevertheless and returned, and you may trade more than you wanted.

        Raises:
            OrderInvalid: the new order can never be valid, or the old one is not of this client; nothing was sent.
            OrderFilled, OrderNotOpen: the old order was filled, or had ended otherwise; nothing was placed.
            ReplaceIncomplete: the old order is cancelled, and the new one was not accepted, or is not known to be;
                ``__cause__`` says why.
            OutcomeUnknown: whether the old order was cancelled is not known yet, and nothing was placed; with
                *pipelined*, it may have been placed.
            RequestNotSent, ServerError, OrderRejected: nothing was cancelled or placed.
        """
        return await self._replacer.replace(
            order, price=price, amount=amount, ttl=ttl, client_order_id=client_order_id,
            timeout=timeout, wait=wait, pipelined=pipelined,
        )  # fmt: skip

    async def cancel(
        self,
        order: Order | int | None = None,
        *,
        order_id: int | None = None,
        client_order_id: int | None = None,
        timeout: float = 10.0,
        wait: bool = True,
    ) -> bool:
        """Cancel the rest of an order, given as an :class:`~cryptoproto.Order`, by its order id or client order id.

        Returns true once it is cancelled, and false if it was filled or cancelled before, or there is no such order.

        Raises:
            OrderInvalid: an id is not an int, or not exactly one order was given.
            OrderRejected: the exchange has not accepted the order.
            RequestNotSent, OutcomeUnknown, ServerError: as for :meth:`place`.
        """
        return await self._calls.cancel(order, order_id, client_order_id, timeout, wait)

    async def cancel_all(self, *, timeout: float = 10.0, wait: bool = True) -> None:
        """Cancel every open order; returns when the exchange has done so.

        Raises:
            RequestNotSent, OutcomeUnknown, ServerError: as for :meth:`place`.
        """
        await self._calls.cancel_all(timeout, wait)

    # Questions

    async def request(self, message: Outgoing, *, timeout: float | None = None, wait: bool = True) -> Message | Unknown:
        """Send an RPC request and return its response; see :meth:`Connection.request <cryptoproto.Connection.request>`.

        Raises:
            RequestNotSent: there was no connection within the deadline, or at once with *wait* false.
            RequestTimeout: there was no response within the deadline.
            ConnectionClosed: the connection was lost before the response.
        """
        return await self._questions.request(message, timeout, wait)

    async def balances(self, *, timeout: float | None = None, wait: bool = True) -> dict[str, Balance]:
        """Ask the exchange for all balances, by currency; raises as :meth:`request`."""
        return await self._questions.balances(timeout, wait)

    async def open_orders(self, *, timeout: float | None = None, wait: bool = True) -> list[Order]:
        """The open orders, after every event about them has been received; raises as :meth:`request`."""
        return await self._questions.open_orders(timeout, wait)

    @property
    def client_id(self) -> str:
        """The client id at the exchange."""
        return self._options.client_id

    @property
    def orders(self) -> OrderTable:
        """Every open order, and the latest closed ones; kept up to date by events."""
        return self._account.orders

    @property
    def instruments(self) -> Mapping[str, Instrument]:
        """The rules that were given to the client, by pair."""
        return {} if self._checks is None else self._checks.instruments

    @property
    def left_open(self) -> list[Order]:
        """After closing with ``cancel_on_exit=True``: the orders that are or may be still open. Otherwise empty."""
        return self._cancel_on_exit.left_open

    @property
    def known_balances(self) -> dict[str, Balance]:
        """The balances as of the last event, without a request."""
        return self._account.balances.all()

    @property
    def received_position(self) -> int:
        """The last transaction that :attr:`orders` and :attr:`known_balances` include; -1 before the first."""
        return self._account.position

    @property
    def state(self) -> StateChange:
        """The state that the client is in."""
        return self._link.state

    @property
    def position(self) -> int | None:
        """The last transaction that was handled; the next process resumes after it."""
        return self._events.position

    @property
    def history(self) -> History:
        """Own trades, orders and balances over time; what was received so far is included.

        Raises:
            ConfigurationError: the store keeps no history; pass ``store=SqliteStore(path, history=True)``.
            StoreError: what was received could not be written.
        """
        return self._events.history

    def metrics(self) -> MetricsSnapshot:
        """Counters, gauges and latency histograms as they are now."""
        self._events.settle()
        return self._metrics.snapshot(
            counters={"events": self._account.heard, "broadcasts": self._account.broadcasts},
            gauges=gauges(self._link, self._account.orders, self._events, self._order_entry),
        )

    # Streams

    def events(self) -> EventStream:
        """Every transaction after the stored position, once and in order, and broadcasts in between.

        The position moves when the next event is requested. If a loop is left, the next ``events()`` delivers its last
        event again, because it may not have been handled. A second task that iterates gets a ConfigurationError.
        :meth:`close` ends the iteration; if anything else closes the client, the iteration raises it.
        """
        return self._events.stream()

    def reconnect_now(self) -> None:
        """End a wait between attempts to connect: try now. Without effect in any other state."""
        self._reconnector.reconnect_now()

    def states(self) -> Subscription[StateChange]:
        """The state now, and every change after it; any number of readers."""
        return self._link.states.subscribe()

    def reports(self) -> ReportStream:
        """Late outcomes, and differences found after a resume; any number of readers.

        What nobody has read yet waits for the first reader. The store keeps late outcomes until a reader asks for more.
        """
        return self._reports.subscribe()

    def __repr__(self) -> str:
        state, url, count = self.state.state.value, redacted(self._options.url), len(self._account.orders.open)
        return f"<Client {self.client_id} to {url}: {state}, position {self.position}, {count} open orders>"
