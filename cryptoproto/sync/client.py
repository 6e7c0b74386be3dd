"""``Client`` without ``await``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Literal, Self, TypeAlias, TypeVar, Unpack

from .. import client as asynchronous
from ..arguments import redacted
from ..client import StateChange, Store
from ..client.metrics import MetricsSnapshot
from ..client.overrides import FromProfile
from ..connection import Event
from ..connection.options import ConnectArguments, ConnectOptions
from ..exceptions import ConfigurationError, OrderInvalid, OrderNotOpen, ReplaceIncomplete
from ..history import History
from ..instruments import Instrument, OrderLimits
from ..messages import AmountLike, Balance, Message, Outgoing, Side, TimeInForce, Unknown
from ..reconnect import Backoff
from ..reconnect.subscription import Subscription
from .loop_thread import LoopThread
from .orders import Order, OrderDifference, OrderTable
from .prepared import PreparedOrder
from .stream import Stream

__all__ = ["Client", "Report"]

T = TypeVar("T")

Report: TypeAlias = asynchronous.OutcomeReport | OrderDifference | asynchronous.BalanceDifference
"""What :meth:`Client.reports` gives: an outcome that became known late, or a difference found after a resume."""

_CLOSE_TIMEOUT_S = 5.0


class Client(FromProfile):
    """A client that lives as long as the script, with the arguments and methods of :class:`cryptoproto.Client`.

    ::

        with sync.Client(url, client_id="alice", private_key=key, server_key=pub, store="alice.db") as client:
            for event in client.events():
                ...

    In a notebook: ``client = sync.Client(...)``, ``client.start()``, and ``client.close()`` in the last cell.

    ``on_event`` and ``throttle`` are called in the client's thread and must not call its methods.

    Raises:
        ConfigurationError: an option cannot be used.
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
        self._options = ConnectOptions(url=url, **options)  # fail early: the asynchronous client is made later
        self._make: Callable[[], asynchronous.Client] = lambda: asynchronous.Client(
            url,
            store=store,
            resend=resend,
            order_rate=order_rate,
            backoff=backoff,
            instruments=instruments,
            limits=limits,
            cancel_on_exit=cancel_on_exit,
            order_ids=order_ids,
            keep_cancels_ready=keep_cancels_ready,
            **options,
        )
        self._thread = LoopThread("client")
        self._started: asynchronous.Client | None = None

    # Starting and closing

    def start(self) -> None:
        """Connect; ``with`` calls it. Raises as :meth:`cryptoproto.Client.start`, after which the client is closed."""
        self._thread.start()
        try:
            self._started = client = self._thread.call(self._make)
            self._thread.run(client.start)
        except BaseException:
            self.close(0)
            raise

    def close(self, timeout: float = _CLOSE_TIMEOUT_S) -> None:
        """Close the connection and end all tasks and the thread. Idempotent.

        Calls that wait in other threads end with the error that :meth:`cryptoproto.Client.close` describes, or with
        ConnectionClosed. Iterations end.

        Args:
            timeout: seconds for closing the connection; the thread may take a few more to end.
        """
        client = self._started
        self._thread.close(None if client is None else lambda: client.close(timeout), timeout)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        client = getattr(self, "_started", None)
        if client is not None:
            self._thread.abandon(client.close, _CLOSE_TIMEOUT_S)

    # Orders

    def place(
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
        """Place an order and return it once the exchange has accepted it; see :meth:`cryptoproto.Client.place`.

        Ctrl-C interrupts the wait, not the order: if it was sent, it is in :attr:`orders`.
        """
        client = self._client()
        order = self._thread.run(
            lambda: client.place(
                trade_pair, side, amount=amount, price=price, time_in_force=time_in_force, ttl=ttl,
                client_order_id=client_order_id, timeout=timeout, wait=wait, resend=resend,
            )
        )  # fmt: skip
        return Order(self._thread, order)

    def prepare(
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
        """Make an order ready to be sent; see :meth:`cryptoproto.Client.prepare`."""
        client = self._client()
        prepared = self._thread.run(
            lambda: client.prepare(
                trade_pair, side, amount=amount, price=price, time_in_force=time_in_force, ttl=ttl,
                client_order_id=client_order_id,
            )
        )  # fmt: skip
        return PreparedOrder(self._thread, prepared)

    def replace(
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
        """Cancel an order and place a new one with other terms; see :meth:`cryptoproto.Client.replace`.

        Ctrl-C interrupts the wait: what was not sent is not sent any more.
        """
        client = self._client()
        if not isinstance(order, Order):
            raise OrderInvalid(f"{order!r:.40} must be an Order; client.orders.get() finds one by its order id")
        try:
            new = self._thread.run(
                lambda: client.replace(
                    order._order, price=price, amount=amount, ttl=ttl, client_order_id=client_order_id,
                    timeout=timeout, wait=wait, pipelined=pipelined,
                )
            )  # fmt: skip
        except OrderNotOpen as error:
            error.order = order
            raise
        except ReplaceIncomplete as error:
            error.order = order
            if error.replacement is not None:
                error.replacement = Order(self._thread, error.replacement)
            raise
        return Order(self._thread, new)

    def cancel(
        self,
        order: Order | int | None = None,
        *,
        order_id: int | None = None,
        client_order_id: int | None = None,
        timeout: float = 10.0,
        wait: bool = True,
    ) -> bool:
        """Cancel an order; see :meth:`cryptoproto.Client.cancel`."""
        client = self._client()
        what = order._order if isinstance(order, Order) else order
        return self._thread.run(
            lambda: client.cancel(what, order_id=order_id, client_order_id=client_order_id, timeout=timeout, wait=wait)
        )

    def cancel_all(self, *, timeout: float = 10.0, wait: bool = True) -> None:
        """Cancel every open order; see :meth:`cryptoproto.Client.cancel_all`."""
        client = self._client()
        self._thread.run(lambda: client.cancel_all(timeout=timeout, wait=wait))

    # Requests

    def request(self, message: Outgoing, *, timeout: float | None = None, wait: bool = True) -> Message | Unknown:
        """Send an RPC request and return its response; see :meth:`cryptoproto.Client.request`."""
        client = self._client()
        return self._thread.run(lambda: client.request(message, timeout=timeout, wait=wait))

    def balances(self, *, timeout: float | None = None, wait: bool = True) -> dict[str, Balance]:
        """Ask the exchange for all balances, by currency; see :meth:`cryptoproto.Client.balances`."""
        client = self._client()
        return self._thread.run(lambda: client.balances(timeout=timeout, wait=wait))

    def open_orders(self, *, timeout: float | None = None, wait: bool = True) -> list[Order]:
        """Ask the exchange, then return the open orders; see :meth:`cryptoproto.Client.open_orders`."""
        client = self._client()
        orders = self._thread.run(lambda: client.open_orders(timeout=timeout, wait=wait))
        return [Order(self._thread, order) for order in orders]

    # What is known without asking; after close(), what was known then

    @property
    def client_id(self) -> str:
        """The client id at the exchange."""
        return self._options.client_id

    @property
    def orders(self) -> OrderTable:
        """All orders that are not closed and the latest closed ones, as of the last event."""
        client = self._client()
        return OrderTable(self._thread, lambda: client.orders)

    @property
    def instruments(self) -> Mapping[str, Instrument]:
        """The rules that were given to the client, by pair."""
        return self._now(lambda: self._client().instruments)

    @property
    def left_open(self) -> list[Order]:
        """After closing with ``cancel_on_exit=True``: the orders that are or may be still open. Otherwise empty."""
        return [] if self._started is None else [Order(self._thread, order) for order in self._started.left_open]

    @property
    def received_position(self) -> int:
        """The last transaction that :attr:`orders` and :attr:`known_balances` include; -1 before the first."""
        return self._now(lambda: self._client().received_position)

    @property
    def known_balances(self) -> dict[str, Balance]:
        """The balances as of the last event, without asking the exchange."""
        client = self._client()
        return self._now(lambda: client.known_balances)

    @property
    def state(self) -> StateChange:
        """The current state of the client."""
        return self._client().state

    @property
    def position(self) -> int | None:
        """The last transaction that was handled; the next process resumes after it."""
        client = self._client()
        return self._now(lambda: client.position)

    @property
    def history(self) -> History:
        """Own trades, orders and balances over time; see :attr:`cryptoproto.Client.history`.

        What is received later is in it after 50 ms at most, or when it is taken from here again.
        """
        client = self._client()
        return self._now(lambda: client.history)

    def metrics(self) -> MetricsSnapshot:
        """The current counters, gauges and latency histograms."""
        return self._now(self._client().metrics)

    def reconnect_now(self) -> None:
        """End a pause between attempts to connect; see :meth:`cryptoproto.Client.reconnect_now`."""
        self._thread.call(self._client().reconnect_now)

    # Streams

    def events(self, *, timeout: float | None = None) -> Stream[Event]:
        """The transactions after the stored position, in order; see :meth:`cryptoproto.Client.events`.

        Args:
            timeout: end the iteration after so many seconds without an event, with the last event counted as handled;
                ``None`` = wait for ever.
        """
        return Stream(self._thread, self._client().events, "events", timeout=timeout)

    def states(self, *, timeout: float | None = None) -> Stream[StateChange]:
        """The current state and every later one; *timeout* as for :meth:`events`."""
        return Stream(self._thread, self._client().states, "states", timeout=timeout, release=_unsubscribe)

    def reports(self, *, timeout: float | None = None) -> Stream[Report]:
        """Late outcomes, and differences found after a resume, from now on; *timeout* as for :meth:`events`."""
        client = self._client()
        return Stream(
            self._thread,
            lambda: _Reports(self._thread, client.reports()),
            "reports",
            timeout=timeout,
            release=_unsubscribe,
        )

    def __repr__(self) -> str:
        options, client = self._options, self._started
        where = f"<sync.Client {options.client_id} at {redacted(options.url)}"
        if client is None:
            return f"{where}, not started>"
        return f"{where}, {client.state.state.value}, open orders: {len(self.orders.open)}>"

    def _client(self) -> asynchronous.Client:
        if self._started is None:
            raise ConfigurationError("the client was not started: use `with`, or call start()")
        return self._started

    def _now(self, function: Callable[[], T]) -> T:
        return self._thread.call(function) if self._thread.is_running else function()


class _Reports:
    """The reports of a client, with the orders of this package in them."""

    def __init__(self, thread: LoopThread, source: asynchronous.ReportStream) -> None:
        self._thread = thread
        self._source = source

    def close(self) -> None:
        """Stop reading."""
        self._source.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Report:
        report = await anext(self._source)
        if isinstance(report, asynchronous.OrderDifference):
            return OrderDifference(Order(self._thread, report.order), report.what, report.here, report.there)
        return report


def _unsubscribe(source: object) -> None:
    if isinstance(source, Subscription | _Reports):
        source.close()
