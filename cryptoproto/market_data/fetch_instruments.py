"""The rules of all pairs, learned from an exchange."""

from __future__ import annotations

import asyncio
import ssl as ssl_module

from ..arguments import redacted
from ..exceptions import ConfigurationError, RequestTimeout
from ..instruments import Instrument
from ..messages import TradingRules
from ..transport import TransportKind, TransportOpener
from .feed import MarketData

__all__ = ["fetch_instruments"]


async def fetch_instruments(
    url: str,
    *,
    timeout: float = 10.0,
    transport: TransportKind | TransportOpener = "auto",
    ssl: ssl_module.SSLContext | None = None,
    insecure: bool = False,
) -> tuple[Instrument, ...]:
    """The rules of all pairs of an exchange, from its market-data socket. Cancelling closes the connection.

    ::

        instruments = await cp.fetch_instruments("wss://marketdata.example.com")
        client = cp.Client(url, client_id="alice", private_key=key, server_key=pub, instruments=instruments)

    The exchange of this package publishes its rules. Others may not, because the protocol has no such message; then
    describe the pairs with :class:`~cryptoproto.Instrument`.

    Args:
        url: the address of the market-data socket.
        timeout: seconds for everything together.
        transport: as for :class:`~cryptoproto.MarketData`.
        ssl: a TLS context for ``wss://``; the system's certificates by default.
        insecure: allow ``ws://`` to other machines.

    Raises:
        ConfigurationError: an option cannot be used, or the exchange does not publish its rules.
        RequestTimeout: there was no connection, or nothing was received, within *timeout* seconds.
        UnsupportedVersion: the exchange speaks an unsupported version of market data.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    async with MarketData(url, transport=transport, ssl=ssl, insecure=insecure, open_timeout=timeout) as feed:
        await feed.wait_connected(timeout=timeout)
        try:
            async with asyncio.timeout_at(deadline):
                first = await anext(feed)
        except TimeoutError:
            raise RequestTimeout(
                f"{redacted(url)} is connected and has sent nothing within {timeout:g} s; if the exchange does not "
                f"publish its rules, describe the pairs with Instrument(...)"
            ) from None
        if not isinstance(first, TradingRules):
            raise ConfigurationError(
                f"{redacted(url)} does not publish the rules of its pairs: its first message is "
                f"{type(first).__name__}; describe the pairs with Instrument(...)"
            )
        return tuple(feed.instruments.values())
