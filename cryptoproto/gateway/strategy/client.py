"""A client whose exchange session belongs to a gateway: it has the methods of :class:`Client` that bots use."""

from __future__ import annotations

import asyncio
import os
import ssl as ssl_module
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import nullcontext
from types import TracebackType
from typing import Final, Self

import msgspec

from ...client import Order, OrderTable, StateChange, Store
from ...client.event_stream import EventDelivery
from ...client.metrics import Metrics
from ...client.order_calls import OrderCalls
from ...client.order_checks import OrderChecks
from ...client.readers import EventStream
from ...client.replace import Replacer
from ...client.reports import Reports, ReportStream
from ...client.states import State
from ...client.store import open_store
from ...connection import Event
from ...exceptions import ConnectionClosed, CryptoprotoError
from ...instruments import Instrument, OrderLimits
from ...messages import (
    AmountLike,
    Balance,
    Message,
    Outgoing,
    Side,
    TimeInForce,
    Unknown,
    UserBalanceRequest,
    UserBalanceResponse,
    decode,
)
from ...messages import encode as encode_message
from ...reconnect import Subscription
from ..calls import Ask, encode
from ..names import PREFIX, Names, check_strategy, inbox_of
from ..nats_connection import NatsConnection, close_nats, open_nats
from ..strategy_ids import strategy_ids, strategy_number
from .account import StrategyAccount
from .catch_up import CatchUp
from .commands import Commands
from .event_reader import EventReader
from .link import GatewayLink

__all__ = ["GatewayClient"]

_AT_ONCE: Final = 100
"""How many cancels of a cancel_all() are on their way at the same time."""
_MAX_QUEUE: Final = 65_536


class GatewayClient:
    """Trades through a :class:`~cryptoproto.gateway.Gateway`. A bot for :class:`~cryptoproto.Client` runs on it.

    ::

        async with GatewayClient("nats://127.0.0.1:4222", client_id="alice", strategy="mm1") as client:
            order = await client.place("BTC_USD", "buy", amount="1", price="15000")

    Nothing is queued: if no gateway owns the session, a command is refused at once with RequestNotSent, unless
    ``wait=True``. When the owner changes, each command without a reply gets its true outcome from the next one.

    Args:
        nats_url: the address of a NATS server, or of several, separated by commas.
        client_id: at the exchange.
        strategy: the name of this strategy; its orders are its own, and others do not see them by default.
        store: keeps the position and the commands without an outcome, as for :class:`~cryptoproto.Client`.
        resume_from: if there is no stored position: 0 = from the start of what the gateway keeps, -1 = live only.
        sees_all: whether :attr:`orders` and :meth:`events` include the orders of all strategies.
        instruments: the rules of pairs, as for :class:`~cryptoproto.Client`.
        limits: pre-trade limits of this process, as for :class:`~cryptoproto.Client`.
        max_queue: how many events may wait.
        prefix: the first token of all NATS subjects.
        request_timeout: seconds for a request that is given no timeout.
        nkey_seed: the file with the nkey seed of this strategy, if NATS asks for one.
        tls: for NATS servers with certificates that the system does not trust.

    Raises:
        ConfigurationError: an option or the store cannot be used.
        GatewayError: NATS cannot be used (from ``async with``).
        HistoryTruncated: the gateway does not keep the events since the stored position any more.
        HistoryRewound: the exchange has forgotten history, usually because it was restored from a backup.
    """

    def __init__(
        self,
        nats_url: str,
        *,
        client_id: str,
        strategy: str,
        store: str | os.PathLike[str] | Store | None = None,
        resume_from: int = 0,
        sees_all: bool = False,
        instruments: Iterable[Instrument] | Mapping[str, Instrument] | None = None,
        limits: OrderLimits | None = None,
        max_queue: int = _MAX_QUEUE,
        prefix: str = PREFIX,
        request_timeout: float = 10.0,
        nkey_seed: str | os.PathLike[str] | None = None,
        tls: ssl_module.SSLContext | None = None,
    ) -> None:
        self._nats_url = nats_url
        self._client_id = client_id
        self._strategy = check_strategy(strategy)
        self._names = names = Names(client_id, prefix)
        self._request_timeout = request_timeout
        self._nkey_seed = nkey_seed
        self._tls = tls
        self._store = open_store(store)
        self._tables = StrategyAccount(sees_all=sees_all)
        self._checks = OrderChecks.of(instruments, limits, self._tables.account.orders)
        self._reports = Reports(self._store)
        self._metrics = Metrics()
        self._nc = NatsConnection()
        self._link = GatewayLink(self._nc, names, strategy)
        self._commands = Commands(self._link, self._tables.account, self._store, self._reports)
        self._reader = EventReader(self._nc, names.events_stream, self._link.open_events, self._receive)
        self._events = EventDelivery(
            self._reader, self._tables, self._commands, self._store, self._metrics.receive_to_dispatch, None, max_queue
        )
        self._callers: tuple[OrderCalls, Replacer] | None = None
        self._catch_up = CatchUp(
            self._link, self._reader, self._tables, self._commands, self._reports, self._store, self._events,
            live_only=resume_from < 0,
        )  # fmt: skip

    # Start and end

    async def start(self) -> None:
        """Connect to NATS and find the owner; what ``async with`` does. Returns when the first attempt has ended."""
        self._store.open(self._client_id, f"{self._names.prefix} {self._strategy}")
        self._store.watch(self._events.handling)
        try:
            self._commands.restore()
            self._reports.restore()
            await open_nats(
                self._nc, self._nats_url, f"cryptoproto strategy {self._strategy}", inbox=inbox_of(self._strategy),
                nkey_seed=self._nkey_seed, tls=self._tls,
            )  # fmt: skip
        except CryptoprotoError:
            self._store.close()
            raise
        await self._link.start()
        self._catch_up.start()
        try:
            while self._link.state.state in (State.CONNECTING, State.RESUMING):
                await self._link.states.changed()
        except asyncio.CancelledError:
            await self.close()
            raise
        if self._link.state.state is State.CLOSED:
            await self.close()
            raise self._link.state.error or self._link.closed()

    async def close(self) -> None:
        """End every task and close the store. Idempotent. The gateway and the strategy's orders stay."""
        await self._catch_up.close()
        await self._link.close()
        self._commands.close()
        self._tables.account.orders.end(ConnectionClosed(None, "the client is closed"))
        self._reports.end()
        self._events.end()
        await self._reader.close()
        await close_nats(self._nc)
        self._store.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def _receive(self, event: Event) -> None:
        if self._tables.concerns(event):
            self._events.receive([event])

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
        wait: bool = False,
        command_id: str | None = None,
    ) -> Order:
        """Place an order and return it once the exchange has accepted it; see :meth:`cryptoproto.Client.place`.

        With a *command_id*, a later call with the same id, also of a later process, returns the order that this one
        placed, and places nothing. A *client_order_id* has to carry the number of this strategy. Both are generated by
        default. If no gateway owns the session, RequestNotSent is raised at once, or with *wait* at the deadline.
        """
        calls, _ = await self._numbered(timeout, wait=wait)
        order, submission = calls.draft(
            trade_pair,
            side,
            amount=amount,
            price=price,
            time_in_force=time_in_force,
            ttl=ttl,
            client_order_id=client_order_id,
            timeout=timeout,
            resend=None,
        )
        with nullcontext() if self._checks is None else self._checks.admit(order):
            await self._commands.submit(submission, wait=wait, command=command_id)
        return submission.order or order

    async def replace(
        self,
        order: Order,
        *,
        price: AmountLike | None = None,
        amount: AmountLike | None = None,
        ttl: int | None = None,
        client_order_id: int | None = None,
        timeout: float = 10.0,
        wait: bool = False,
        pipelined: bool = False,
    ) -> Order:
        """Cancel an order and place a new one with other terms; see :meth:`cryptoproto.Client.replace`."""
        _, replacer = await self._numbered(timeout, wait=wait)
        return await replacer.replace(
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
        wait: bool = False,
    ) -> bool:
        """Cancel the rest of an order of this strategy; see :meth:`cryptoproto.Client.cancel`."""
        calls, _ = await self._numbered(timeout, wait=wait)
        return await calls.cancel(order, order_id, client_order_id, timeout, wait)

    async def cancel_all(self, *, timeout: float = 10.0, wait: bool = False) -> None:
        """Cancel every open order of this strategy, and of no other one; see :meth:`cryptoproto.Client.cancel_all`."""
        await self._link.live_by(time.monotonic() + timeout, wait=wait)
        slots = asyncio.Semaphore(_AT_ONCE)

        async def cancel(order: Order) -> None:
            async with slots:
                await self.cancel(order, timeout=timeout, wait=wait)

        # One by one: the protocol's own message would cancel the orders of other strategies, too.
        own = [order for order in self.orders.open if strategy_number(order.client_order_id) == self._link.number]
        for result in await asyncio.gather(*map(cancel, own), return_exceptions=True):
            if isinstance(result, BaseException):
                raise result

    async def _numbered(self, timeout: float, *, wait: bool) -> tuple[OrderCalls, Replacer]:
        """What makes messages of calls; it needs the number of this strategy, which only an owner knows."""
        if self._callers is None:
            await self._link.live_by(time.monotonic() + timeout, wait=wait)
            ids = strategy_ids(self._link.number)
            calls = OrderCalls(self._link, self.orders, self._commands, resend=False, order_ids=ids.next)
            self._callers = calls, Replacer(self._link, self.orders, self._commands, calls, self._checks)
        return self._callers

    # Questions

    async def request(
        self, message: Outgoing, *, timeout: float | None = None, wait: bool = False
    ) -> Message | Unknown:
        """Send an RPC request to the exchange and return its response; see :meth:`cryptoproto.Client.request`."""
        deadline = time.monotonic() + (self._request_timeout if timeout is None else timeout)
        fence = await self._link.live_by(deadline, wait=wait)
        call = Ask(fence, self._link.owners_time(deadline), msgspec.Raw(encode_message(message)))
        reply = await self._link.call(encode(call), fence, deadline)
        if (error := reply.outcome.restored()) is not None:
            raise error
        return decode(bytes(reply.result))

    async def balances(self, *, timeout: float | None = None, wait: bool = False) -> dict[str, Balance]:
        """Ask the exchange for all balances of the client id, by currency; raises as :meth:`request`."""
        response = await self.request(UserBalanceRequest(), timeout=timeout, wait=wait)
        return response.balances if isinstance(response, UserBalanceResponse) else {}

    async def open_orders(self, *, timeout: float | None = None, wait: bool = False) -> list[Order]:
        """The open orders, after the owner's tables were compared with these; raises as :meth:`request`."""
        deadline = time.monotonic() + (self._request_timeout if timeout is None else timeout)
        fence = await self._link.live_by(deadline, wait=wait)
        await self._catch_up.catch_up(fence)
        return self.orders.open

    @property
    def orders(self) -> OrderTable:
        """The orders of this strategy, as events report them; of all strategies with ``sees_all=True``."""
        return self._tables.account.orders

    @property
    def instruments(self) -> Mapping[str, Instrument]:
        """The rules that were given to the client, by pair."""
        return {} if self._checks is None else self._checks.instruments

    @property
    def known_balances(self) -> dict[str, Balance]:
        """The balances of the client id as of the last event, without a request."""
        return self._tables.account.balances.all()

    @property
    def state(self) -> StateChange:
        """The state that the client is in."""
        return self._link.state

    @property
    def position(self) -> int | None:
        """The last transaction that was handled; the next process resumes after it."""
        return self._events.position

    @property
    def number(self) -> int:
        """The number of this strategy, which its client order ids contain; 0 until an owner was found."""
        return self._link.number

    # Streams

    def events(self) -> EventStream:
        """Every event after the stored position that concerns this strategy; see :meth:`cryptoproto.Client.events`."""
        return self._events.stream()

    def batches(self) -> AsyncIterator[list[Event]]:
        """The events of :meth:`events` in lists, with the batch as the unit; see :meth:`cryptoproto.Client.batches`.

        Each event comes from the gateway alone, so a list seldom has more than one.
        """
        return self._events.batches()

    def states(self) -> Subscription[StateChange]:
        """The state now, and every change after it; any number of readers."""
        return self._link.states.subscribe()

    def reports(self) -> ReportStream:
        """Late outcomes, and differences found after a resume; see :meth:`cryptoproto.Client.reports`."""
        return self._reports.subscribe()

    def reconnect_now(self) -> None:
        """Look for the owner now."""
        self._link.states.notify()

    def __repr__(self) -> str:
        return (
            f"<GatewayClient {self._client_id}/{self._strategy}: {self.state.state.value}, position {self.position}, "
            f"{len(self.orders.open)} open orders>"
        )
