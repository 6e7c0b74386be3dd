"""``Client`` without ``await``."""

from __future__ import annotations

import os
from collections.abc import Callable
from types import TracebackType
from typing import Literal, Self, TypeAlias, TypeVar, Unpack

from .. import client as asynchronous
from ..client import Side, StateChange, Store, TimeInForce
from ..client.metrics import MetricsSnapshot
from ..connection import Event
from ..connection.options import ConnectArguments, ConnectOptions
from ..exceptions import ConfigurationError
from ..messages import AmountLike, Balance, Message, Outgoing, Unknown
from ..reconnect import Backoff
from ..reconnect.subscription import Subscription
from .loop_thread import LoopThread
from .orders import Order, OrderDifference, Orders
from .stream import Stream

__all__ = ["Client", "Report"]

T = TypeVar("T")

Report: TypeAlias = asynchronous.OutcomeReport | OrderDifference | asynchronous.BalanceDifference
"""Late outcomes, and differences found after a resume."""

_CLOSE_TIMEOUT_S = 5.0


class Client:
    """A client that lives as long as the script; see :class:`cryptoproto.Client`, whose arguments and methods it has.

    ::

        with sync.Client(url, client_id="alice", private_key=key, server_key=pub, store="alice.db") as client:
            for event in client.events():
                ...

    In a notebook: ``client = sync.Client(...)``, ``client.start()``, and ``client.close()`` in the last cell.

    ``on_event`` and ``throttle`` are called in the client's own thread, and must not call its methods.

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
        **options: Unpack[ConnectArguments],
    ) -> None:
        ConnectOptions(url=url, **options)  # what cannot be used is said at once
        self._make: Callable[[], asynchronous.Client] = lambda: asynchronous.Client(
            url, store=store, resend=resend, order_rate=order_rate, backoff=backoff, **options
        )
        self._thread = LoopThread("client")
        self._started: asynchronous.Client | None = None

    # Its life

    def start(self) -> None:
        """Connect; what ``with`` does. Raises as :meth:`cryptoproto.Client.start`; the client is closed then."""
        self._thread.start()
        try:
            self._started = client = self._thread.call(self._make)
            self._thread.run(client.start)
        except BaseException:
            self.close(0)
            raise

    def close(self, timeout: float = _CLOSE_TIMEOUT_S) -> None:
        """End the connection, every task and the thread, within *timeout* seconds and a little. Idempotent.

        Whoever waits in another thread gets the error that :meth:`cryptoproto.Client.close` promises, or
        ConnectionClosed; iterations end.
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
        """Place an order and return it once the exchange has accepted it; see :meth:`cryptoproto.Client.place`.

        Ctrl-C stops the wait, not the order: if it was sent, it is known to :attr:`orders`.
        """
        client = self._client()
        order = self._thread.run(
            lambda: client.place(
                trade_pair, side, amount=amount, price=price, time_in_force=time_in_force, ttl=ttl,
                client_order_id=client_order_id, timeout=timeout, wait=wait, resend=resend,
            )
        )  # fmt: skip
        return Order(self._thread, order)

    def cancel(self, order: Order | int, *, timeout: float = 10.0, wait: bool = True) -> bool:
        """Cancel what is left of an order; see :meth:`cryptoproto.Client.cancel`."""
        client = self._client()
        what = order._order if isinstance(order, Order) else order
        return self._thread.run(lambda: client.cancel(what, timeout=timeout, wait=wait))

    def cancel_all(self, *, timeout: float = 10.0, wait: bool = True) -> None:
        """Cancel every open order; see :meth:`cryptoproto.Client.cancel_all`."""
        client = self._client()
        self._thread.run(lambda: client.cancel_all(timeout=timeout, wait=wait))

    # Questions

    def request(self, message: Outgoing, *, timeout: float | None = None, wait: bool = True) -> Message | Unknown:
        """Send an RPC request and return its response; see :meth:`cryptoproto.Client.request`."""
        client = self._client()
        return self._thread.run(lambda: client.request(message, timeout=timeout, wait=wait))

    def balances(self, *, timeout: float | None = None, wait: bool = True) -> dict[str, Balance]:
        """Ask the exchange for all balances, by currency; see :meth:`cryptoproto.Client.balances`."""
        client = self._client()
        return self._thread.run(lambda: client.balances(timeout=timeout, wait=wait))

    def open_orders(self, *, timeout: float | None = None, wait: bool = True) -> list[Order]:
        """The open orders; see :meth:`cryptoproto.Client.open_orders`."""
        client = self._client()
        orders = self._thread.run(lambda: client.open_orders(timeout=timeout, wait=wait))
        return [Order(self._thread, order) for order in orders]

    # What it knows; after close(), what it knew at the end

    @property
    def orders(self) -> Orders:
        """Every order that is not at its end, and the latest of those that are."""
        client = self._client()
        return Orders(self._thread, lambda: client.orders)

    @property
    def known_balances(self) -> dict[str, Balance]:
        """The balances as events tell them, without asking."""
        client = self._client()
        return self._now(lambda: client.known_balances)

    @property
    def state(self) -> StateChange:
        """The state that the client is in."""
        return self._client().state

    @property
    def position(self) -> int | None:
        """The last transaction that was handled; the next process begins behind it."""
        client = self._client()
        return self._now(lambda: client.position)

    def metrics(self) -> MetricsSnapshot:
        """Counters, gauges and latency histograms as they are now."""
        return self._now(self._client().metrics)

    # Streams

    def events(self, *, timeout: float | None = None) -> Stream[Event]:
        """Exactly the transactions after the stored position, in order; see :meth:`cryptoproto.Client.events`.

        Args:
            timeout: end the iteration when nothing came for so many seconds, the last event being handled;
                ``None`` = wait for ever.
        """
        return Stream(self._thread, self._client().events, timeout=timeout)

    def states(self, *, timeout: float | None = None) -> Stream[StateChange]:
        """The state now, and every change from here on; *timeout* as for :meth:`events`."""
        return Stream(self._thread, self._client().states, timeout=timeout, release=_unsubscribe)

    def reports(self, *, timeout: float | None = None) -> Stream[Report]:
        """Late outcomes, and differences found after a resume, from here on; *timeout* as for :meth:`events`."""
        client = self._client()
        return Stream(
            self._thread, lambda: _Reports(self._thread, client.reports()), timeout=timeout, release=_unsubscribe
        )

    def _client(self) -> asynchronous.Client:
        if self._started is None:
            raise ConfigurationError("the client was not started: use `with`, or call start()")
        return self._started

    def _now(self, function: Callable[[], T]) -> T:
        return self._thread.call(function) if self._thread.is_running else function()


class _Reports:
    """A client's reports, with orders that need no ``await``."""

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
