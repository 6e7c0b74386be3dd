"""A process that publishes market data for strategies, or stands by to do so: instead of the owner of the session."""

from __future__ import annotations

import asyncio
import os
import ssl as ssl_module
from types import TracebackType
from typing import Self

import nats.errors

from ..exceptions import GatewayError
from ..market_data import MarketData
from .lease import Lease, check_length
from .lease_keeper import LeaseKeeper, Member
from .names import GATEWAY, PREFIX, Names, inbox_of
from .nats_connection import NatsConnection, cannot_start, close_nats, open_nats
from .owner.feed_publisher import FeedPublisher
from .streams import ensure_bucket

__all__ = ["GatewayFeed"]


class GatewayFeed:
    """Publishes an exchange's market data for the strategies of a client id. Any number may run; one publishes.

    ::

        async with GatewayFeed("nats://127.0.0.1:4222", market_data_url=url, client_id="alice"):
            await asyncio.Event().wait()

    Use it if the market data should not take processor time from the owner of the session. The gateways then have
    ``publish_market_data=False``. Who publishes is decided as for :class:`Gateway`, by a lease of its own.

    Args:
        nats_url: the address of a NATS server with JetStream, or of several, separated by commas.
        market_data_url: the exchange's market data.
        client_id: of the gateway.
        lease_s: for how long a publisher may be silent before a standby takes over; the same for all.
        replicas: on how many NATS servers the lease is kept, when its bucket is created.
        insecure: allow ``ws://`` to other machines.
        prefix: the first token of all NATS subjects.
        nkey_seed: the file with the nkey seed of the gateways, if NATS asks for one.
        nats_tls: for NATS servers with certificates that the system does not trust.

    Raises:
        ConfigurationError: an option cannot be used.
        GatewayError: NATS cannot be used (from ``async with``).
    """

    def __init__(
        self,
        nats_url: str,
        *,
        market_data_url: str,
        client_id: str,
        lease_s: float = 2.0,
        replicas: int = 1,
        insecure: bool = False,
        prefix: str = PREFIX,
        nkey_seed: str | os.PathLike[str] | None = None,
        nats_tls: ssl_module.SSLContext | None = None,
    ) -> None:
        check_length(lease_s)
        self._nats_url = nats_url
        self._names = Names(client_id, prefix)
        self._lease_s = lease_s
        self._replicas = replicas
        self._nkey_seed = nkey_seed
        self._nats_tls = nats_tls
        self._feed = MarketData(market_data_url, insecure=insecure)
        self._nc = NatsConnection()
        self._keeper: LeaseKeeper | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def is_publishing(self) -> bool:
        """Whether this process is the one that publishes."""
        return self._keeper is not None and self._keeper.holds

    @property
    def fence(self) -> int:
        """The number of this publisher, which grows with each takeover; 0 for a standby."""
        return 0 if self._keeper is None else self._keeper.fence

    async def wait_publishing(self) -> None:
        """Wait until this process is the one that publishes.

        Raises:
            GatewayError: the feed has ended, or was not started.
        """
        if self._keeper is None:
            raise GatewayError("the feed is closed")
        waiting = asyncio.ensure_future(self._keeper.wait_held())
        await asyncio.wait((waiting, *self._tasks), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if not self.is_publishing:
            await self.wait_closed()
            raise GatewayError("the feed is closed")

    async def wait_lost(self) -> None:
        """Wait until this process does not publish any more."""
        if self._keeper is not None:
            await self._keeper.wait_lost()

    async def wait_closed(self) -> None:
        """Wait until the feed has ended.

        Raises:
            GatewayError: why it has ended, unless it was closed.
        """
        if self._tasks:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in self._tasks:
                if task.done() and not task.cancelled():
                    task.result()

    async def start(self) -> None:
        """Connect to NATS, read the market data, and publish it or stand by; what ``async with`` does.

        Raises:
            GatewayError: NATS cannot be used.
        """
        await open_nats(
            self._nc,
            self._nats_url,
            f"cryptoproto feed {self._names.client_id}",
            inbox=inbox_of(GATEWAY),
            nkey_seed=self._nkey_seed,
            tls=self._nats_tls,
        )
        try:
            bucket = await ensure_bucket(self._nc.jetstream(timeout=5), self._names.leases, self._replicas)
        except (nats.errors.Error, TimeoutError) as error:
            await close_nats(self._nc)
            raise cannot_start(self._nats_url, "feed", error) from error
        member = Member.this_process()
        lease = Lease(member.id, self._lease_s, member.name)
        self._keeper = LeaseKeeper(bucket, self._names.market_lease, lease, self._lease_s)
        await self._keeper.follow_writes(self._nc, self._names.written(self._names.market_lease))
        publisher = FeedPublisher(self._nc, self._names, self._feed, lambda: self.fence)
        self._tasks = [asyncio.ensure_future(self._keeper.run()), asyncio.ensure_future(publisher.run())]

    async def close(self, timeout: float = 5.0) -> None:
        """Stop publishing, give the lease up, and leave NATS. A standby follows at once. Idempotent."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._keeper is not None:
            await self._keeper.release(timeout)
        await close_nats(self._nc)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()
