"""A process that owns the exchange session, or stands by to take it over."""

from __future__ import annotations

import asyncio
import logging
import os
import ssl as ssl_module
from types import TracebackType
from typing import Final, Self, Unpack

import nats.errors
import nats.js.errors
from nats.js import JetStreamContext
from nats.js.api import StreamConfig
from nats.js.kv import KeyValue

from ..client import Client, MetricsSnapshot
from ..client.store import Store
from ..connection import ConnectArguments, ConnectOptions
from ..exceptions import (
    ConcurrentConnection,
    ConfigurationError,
    CryptoprotoError,
    GatewayError,
    OwnershipLost,
)
from ..market_data import MarketData, OrderBook
from ..reconnect import Backoff
from .lease import Lease, check_length
from .lease_keeper import LeaseKeeper, Member
from .names import GATEWAY, PREFIX, Names, inbox_of
from .nats_connection import NatsConnection, cannot_start, close_nats, open_nats
from .owner.feed_publisher import FeedPublisher
from .owner.ownership import Ownership
from .settings import GatewaySettings
from .streams import ensure_bucket, ensure_stream

__all__ = ["Gateway"]

logger: logging.Logger = logging.getLogger("cryptoproto.gateway")

_TAKEN_OVER_PAUSE_S: Final = 30.0
"""How long to stand back after another connection with the client id has taken over: two owners must not fight."""


class Gateway:
    """Shares one exchange session with many strategies over NATS JetStream. Any number may run for a client id.

    ::

        async with Gateway("nats://127.0.0.1:4222", url=url, client_id="alice", private_key=key, server_key=pub):
            await asyncio.Event().wait()

    One of them owns the session; the others stand by, and one of these follows when the owner is gone for the length of
    the lease, or at once if it is closed in good order.

    Args:
        nats_url: the address of a NATS server with JetStream, or of several, separated by commas.
        url: the exchange's address. All other options of :func:`~cryptoproto.connect` are accepted as well.
        lease_s: for how long an owner may be silent before a standby takes over; the same for all gateways.
        replicas: on how many NATS servers the streams are kept, when they are created.
        keep_events_s: for how long events are kept for strategies; ``None`` = forever.
        keep_events: how many of them at least; ``None`` = all.
        order_rate: orders and cancels per second of all strategies together, ``None`` = no limit.
        backoff: how long to wait between attempts to connect to the exchange.
        market_data_url: the exchange's market data, for strategies and for price bands; ``None`` = none.
        publish_market_data: whether strategies get it from here; if not, from a :class:`GatewayFeed`.
        prefix: the first token of all NATS subjects.
        nkey_seed: the file with the nkey seed of this gateway, if NATS asks for one.
        nats_tls: for NATS servers with certificates that the system does not trust.

    Raises:
        ConfigurationError: an option cannot be used.
        GatewayError: NATS cannot be used (from ``async with``).
    """

    def __init__(
        self,
        nats_url: str,
        *,
        url: str,
        lease_s: float = 2.0,
        replicas: int = 1,
        keep_events_s: float | None = None,
        keep_events: int | None = None,
        order_rate: float | None = None,
        backoff: Backoff | None = None,
        market_data_url: str | None = None,
        publish_market_data: bool = True,
        prefix: str = PREFIX,
        nkey_seed: str | os.PathLike[str] | None = None,
        nats_tls: ssl_module.SSLContext | None = None,
        **options: Unpack[ConnectArguments],
    ) -> None:
        check_length(lease_s)
        if "on_event" in options:
            raise ConfigurationError("a gateway passes events on to strategies; leave on_event out")
        self._settings = GatewaySettings(
            nats_url=nats_url,
            url=url,
            lease_s=lease_s,
            replicas=replicas,
            keep_events_s=keep_events_s,
            keep_events=keep_events,
            order_rate=order_rate,
            backoff=backoff,
            market_data_url=market_data_url,
            publish_market_data=publish_market_data,
            nkey_seed=nkey_seed,
            nats_tls=nats_tls,
        )
        self._options = options
        self._client_id = ConnectOptions(url=url, **options).client_id
        self._names = Names(self._client_id, prefix)
        self._member = Member.this_process()
        self._feed: MarketData | None = None
        self._nc: NatsConnection | None = None
        self._keeper: LeaseKeeper | None = None
        self._ownership: Ownership | None = None
        self._takeovers = 0
        self._task: asyncio.Task[None] | None = None
        self._feeding: asyncio.Task[None] | None = None
        self._session: asyncio.Future[None] | None = None  # of the last ownership
        self._changed = asyncio.Event()

    # What it is

    @property
    def is_owner(self) -> bool:
        """Whether this process owns the exchange session at this moment."""
        return self._keeper is not None and self._keeper.holds

    @property
    def fence(self) -> int:
        """The number of this ownership, which grows with each takeover; 0 for a standby."""
        return 0 if self._keeper is None else self._keeper.fence

    @property
    def client(self) -> Client | None:
        """The session with the exchange, if this process is the owner."""
        return None if self._ownership is None else self._ownership.client

    def metrics(self) -> MetricsSnapshot:
        """What this process counts and measures; an owner's include those of its session with the exchange.

        Serve them with :func:`cryptoproto.client.prometheus.serve_metrics`.
        """
        client, status = self.client, None if self._ownership is None else self._ownership.status()
        snapshot = MetricsSnapshot({}, {}, {}) if client is None else client.metrics()
        gauges = {**snapshot.gauges, "is_owner": float(self.is_owner), "fence": float(self.fence)}
        counters = {**snapshot.counters, "takeovers": self._takeovers}
        if status is not None:
            gauges |= {"event_stream_position": float(status.position), "event_stream_lag": float(status.lag)}
            counters["events_published"] = status.published
        return MetricsSnapshot(counters, gauges, snapshot.histograms)

    async def wait_owner(self) -> None:
        """Wait until this process is the owner and its session with the exchange was opened.

        Raises:
            CryptoprotoError: the gateway has ended.
        """
        while self.client is None or not self.is_owner:
            if self._task is not None and self._task.done():
                await self.wait_closed()
                raise GatewayError("the gateway is closed")
            self._changed.clear()
            await self._changed.wait()

    async def wait_lost(self) -> None:
        """Wait until this process does not own the session any more."""
        if self._keeper is not None:
            await self._keeper.wait_lost()

    async def wait_closed(self) -> None:
        """Wait until the gateway has ended.

        Raises:
            HistoryRewound: the exchange has forgotten history; it says what to do.
            CryptoprotoError: why it has ended, unless it was closed.
        """
        if self._task is not None:
            await asyncio.wait([self._task])
            if not self._task.cancelled():
                self._task.result()

    # Start and end

    async def start(self) -> None:
        """Connect to NATS and stand by, or own; what ``async with`` does.

        Raises:
            GatewayError: NATS cannot be used.
        """
        self._nc = nc = NatsConnection()
        await open_nats(
            nc,
            self._settings.nats_url,
            f"cryptoproto gateway {self._client_id}",
            inbox=inbox_of(GATEWAY),
            nkey_seed=self._settings.nkey_seed,
            tls=self._settings.nats_tls,
        )
        try:
            js = nc.jetstream(timeout=5)
            await self._ensure_streams(js)
            leases = await ensure_bucket(js, self._names.leases, self._settings.replicas)
            strategies = await ensure_bucket(js, self._names.strategies, self._settings.replicas)
        except (nats.errors.Error, TimeoutError) as error:
            await close_nats(nc)
            raise cannot_start(self._settings.nats_url, "gateway", error) from error
        except GatewayError:
            await close_nats(nc)
            raise
        lease = Lease(self._member.id, self._settings.lease_s, self._member.name)
        self._keeper = keeper = LeaseKeeper(leases, self._names.lease, lease, self._settings.lease_s)
        await keeper.follow_writes(nc, self._names.written(self._names.lease))
        self._task = asyncio.ensure_future(self._run(nc, js, strategies, keeper))
        if self._settings.market_data_url is not None:
            insecure = self._options.get("insecure", False)
            self._feed = MarketData(self._settings.market_data_url, insecure=insecure)
            publisher = FeedPublisher(nc, self._names, self._feed, lambda: self.fence)
            feeding = publisher.run() if self._settings.publish_market_data else _follow(self._feed)
            self._feeding = asyncio.ensure_future(feeding)

    async def close(self, timeout: float = 5.0) -> None:
        """Close the session with the exchange, give the lease up, and leave NATS. A standby follows at once."""
        if self._feeding is not None:
            self._feeding.cancel()
            await asyncio.wait([self._feeding])
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._session is not None and not self._session.done():
            await asyncio.wait([self._session])  # the session ends before the lease
        if self._keeper is not None:
            await self._keeper.release(timeout)
        if self._nc is not None:
            await close_nats(self._nc)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def _ensure_streams(self, js: JetStreamContext) -> None:
        await ensure_stream(
            js,
            StreamConfig(
                name=self._names.events_stream,
                subjects=[self._names.events],
                num_replicas=self._settings.replicas,
                max_msgs=self._settings.keep_events if self._settings.keep_events is not None else -1,
            ),
        )
        replicas = self._settings.replicas
        await ensure_stream(
            js, StreamConfig(name=self._names.log_stream, subjects=[self._names.log], num_replicas=replicas)
        )

    def _book(self, trade_pair: str) -> OrderBook | None:
        """The book that the price bands of strategies are checked against."""
        return None if self._feed is None else self._feed.book(trade_pair)

    # Owner or standby

    async def _run(self, nc: NatsConnection, js: JetStreamContext, strategies: KeyValue, keeper: LeaseKeeper) -> None:
        """Stand by and own in turn, until something ends the gateway for good."""
        try:
            while True:
                keeping = asyncio.ensure_future(keeper.run())
                try:
                    await self._take_turns(nc, js, strategies, keeper, keeping)
                finally:
                    keeping.cancel()
                    await asyncio.wait([keeping])
                # No other gateway has taken the session over: leave it, and the lease, to others for a while.
                await keeper.release(self._settings.lease_s)
                await asyncio.sleep(_TAKEN_OVER_PAUSE_S)
        except Exception:  # whatever it was, a standby must not have to wait; wait_closed() raises it
            logger.exception("the gateway of %s has ended", self._client_id)
            await keeper.release(self._settings.lease_s)
            raise
        finally:
            self._changed.set()

    async def _take_turns(
        self,
        nc: NatsConnection,
        js: JetStreamContext,
        strategies: KeyValue,
        keeper: LeaseKeeper,
        keeping: asyncio.Future[None],
    ) -> None:
        """Stand by and own in turn, until somebody who is no gateway takes the exchange session over."""
        while True:
            await _first_of(keeping, asyncio.ensure_future(keeper.wait_held()))
            self._takeovers += 1
            logger.info("%s owns the session of %s with fence %d", self._member.name, self._client_id, keeper.fence)
            try:
                await self._own(nc, js, strategies, keeper, keeping)
            except ConcurrentConnection as error:
                if keeper.holds:
                    logger.warning("%s; standing back for %g s", error, _TAKEN_OVER_PAUSE_S)
                    return
            except (GatewayError, nats.errors.Error, TimeoutError) as error:
                if keeping.done():
                    raise
                logger.warning("not the owner any more: %s", str(error) or "NATS did not answer")
            finally:
                self._ownership = None
            keeper.give_up()

    async def _own(
        self,
        nc: NatsConnection,
        js: JetStreamContext,
        strategies: KeyValue,
        keeper: LeaseKeeper,
        keeping: asyncio.Future[None],
    ) -> None:
        """Own the session until the lease or the session ends."""

        def open_client(store: Store) -> Client:
            return Client(
                self._settings.url,
                store=store,
                order_rate=self._settings.order_rate,
                backoff=self._settings.backoff,
                **self._options,
            )

        fence = keeper.fence
        self._ownership = ownership = Ownership(
            nc,
            js,
            self._names,
            strategies,
            fence,
            self._member.id,
            lambda: keeper.fence == fence,  # not a later ownership of this process
            self._settings.lease_s / 3,
            open_client,
            self._book,
            self._settings.keep_events_s,
        )
        self._session = session = asyncio.ensure_future(ownership.run(self._changed.set))
        await _first_of(keeping, session, asyncio.ensure_future(keeper.wait_lost(fence)))
        raise OwnershipLost("handed over" if session.done() and not session.cancelled() else "the lease has ended")


async def _follow(feed: MarketData) -> None:
    """Keep the books of *feed* up to date, for price bands."""
    try:
        async with feed:
            async for _ in feed:
                pass
    except CryptoprotoError:
        logger.exception("there is no market data from here on: orders with a price band are refused")


async def _first_of(*tasks: asyncio.Future[None]) -> None:
    """Wait until one of *tasks* has ended, and raise its error; the others but the first one are cancelled."""
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks[1:]:
            task.cancel()
        await asyncio.wait(tasks[1:])
    for task in tasks:
        if task.done() and not task.cancelled():
            task.result()
