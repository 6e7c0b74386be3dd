"""The market data that a gateway publishes, read as a :class:`~cryptoproto.MarketData`."""

from __future__ import annotations

import asyncio
import os
import ssl as ssl_module
from collections.abc import Iterable
from typing import Final

from ...arguments import redacted
from ...exceptions import ConnectError, GatewayError
from ...market_data import MarketData
from ...reconnect import Backoff
from ...transport import Listener, OpenOptions, Transport
from ..names import PREFIX, Names, check_strategy, inbox_of
from ..nats_connection import NatsConnection, close_nats, open_nats
from .feed_link import FeedOpener

__all__ = ["GatewayMarketData"]

_SILENCE_S: Final = 4.0
_CLOSE_TIMEOUT: Final = 5.0


class GatewayMarketData(MarketData):
    """The books and trades of an exchange, from a gateway instead of the exchange itself.

    ::

        async with GatewayMarketData("nats://127.0.0.1:4222", client_id="alice", strategy="mm1") as feed:
            book = await feed.wait_book("BTC_USD")

    Everything works as with :class:`~cryptoproto.MarketData`. A new reader gets the latest book of each pair at once.
    Messages are numbered: if some are missing, the book is asked for again, and :attr:`gaps` counts it. When another
    gateway becomes the owner, the feed connects anew.

    Args:
        nats_url: the address of a NATS server, or of several, separated by commas.
        client_id: of the gateway.
        strategy: who reads.
        pairs: the pairs to keep; ``None`` = all.
        max_queue: how many trades and broadcasts may be queued for the iteration.
        backoff: how long to wait between attempts.
        prefix: the first token of all NATS subjects.
        nkey_seed: the file with the nkey seed of the strategy, if NATS asks for one.
        tls: for NATS servers with certificates that the system does not trust.

    Raises:
        ConfigurationError: an option cannot be used.
    """

    def __init__(
        self,
        nats_url: str,
        *,
        client_id: str,
        strategy: str,
        pairs: Iterable[str] | None = None,
        max_queue: int = 10_000,
        backoff: Backoff | None = None,
        prefix: str = PREFIX,
        nkey_seed: str | os.PathLike[str] | None = None,
        tls: ssl_module.SSLContext | None = None,
    ) -> None:
        names = Names(client_id, prefix)
        kept = None if pairs is None else frozenset([pairs] if isinstance(pairs, str) else pairs)
        super().__init__(
            f"ws://localhost/{names.root}",  # names it for reconnecting; nothing connects to it
            transport=self._open,
            pairs=pairs,
            max_queue=max_queue,
            ping_interval=_SILENCE_S / 4,
            ping_timeout=_SILENCE_S,
            backoff=backoff or Backoff(0.1, 2.0),
        )
        self._shown_url: str = f"{redacted(nats_url)} {client_id}"
        self._nats_url = nats_url
        self._strategy = check_strategy(strategy)
        self._nkey_seed = nkey_seed
        self._nats_tls = tls
        self._nc = NatsConnection()
        self._opener = FeedOpener(self._nc, names, strategy, kept)

    @property
    def gaps(self) -> int:
        """How often messages were missing. Books are whole again after each; trades may have been missed."""
        return self._opener.gaps

    async def close(self, timeout: float = _CLOSE_TIMEOUT) -> None:
        """Close the feed and the connection to NATS; see :meth:`MarketData.close <cryptoproto.MarketData.close>`."""
        await super().close(timeout)
        async with asyncio.timeout(timeout):
            await close_nats(self._nc)

    async def _open(self, url: str, listener: Listener, options: OpenOptions) -> Transport:
        if not self._nc.is_connected and not self._nc.is_reconnecting:
            try:
                await open_nats(
                    self._nc,
                    self._nats_url,
                    f"cryptoproto market data {self._strategy}",
                    inbox=inbox_of(self._strategy),
                    nkey_seed=self._nkey_seed,
                    tls=self._nats_tls,
                )
            except GatewayError as error:
                raise ConnectError(None, str(error)) from error
        return await self._opener(url, listener, options)
