"""The two addresses that the exchange listens on: for clients, and for readers of market data."""

from __future__ import annotations

import asyncio
import ssl as ssl_module
from collections.abc import Sequence
from typing import Final

from ..arguments import check_tls
from ..exceptions import ConfigurationError
from ..transport import ListenerFactory, TransportKind, serve
from ..transport.bind_error import bind_error

__all__ = ["LOOPBACK_OF_WILDCARD", "Endpoints"]

_LAST_PORT: Final = 65_535
# Nobody can connect to these; they mean all addresses of the machine.
LOOPBACK_OF_WILDCARD: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104


class Endpoints:
    """Listening sockets on one host.

    Args:
        host: the address to listen on.
        port: the port for clients, 0 = any free one.
        market_data_port: the port for market data, 0 = any free one.
        ssl: a TLS context; the addresses are then ``wss://``.
        transport: the kind of WebSocket.
        max_message_size: largest frame in bytes.

    Attributes:
        is_listening: whether connections are accepted.

    Raises:
        ConfigurationError: a port or the TLS context cannot be used.
    """

    def __init__(
        self,
        host: str,
        port: int,
        market_data_port: int,
        ssl: ssl_module.SSLContext | None,
        transport: TransportKind,
        max_message_size: int,
    ) -> None:
        _check_ports(port, market_data_port)
        check_tls(ssl, wanted=True)
        self.is_listening: bool = False
        self._host = host
        self._ports = [port, market_data_port]
        self._ssl = ssl
        self._transport: TransportKind = transport
        self._max_message_size = max_message_size
        self._servers: list[asyncio.Server] = []

    @property
    def url(self) -> str:
        """The address for clients; one of loopback, if the exchange listens on all addresses."""
        return self._url(0)

    @property
    def market_data_url(self) -> str:
        """The address for market data, chosen in the same way."""
        return self._url(1)

    def _url(self, which: int) -> str:
        if not self._ports[which]:
            raise ConfigurationError("the exchange has no address before it is started; use `async with`")
        host = LOOPBACK_OF_WILDCARD.get(self._host, self._host)
        host = f"[{host}]" if ":" in host else host
        return f"{'ws' if self._ssl is None else 'wss'}://{host}:{self._ports[which]}"

    async def listen(self, clients: ListenerFactory, market_data: ListenerFactory) -> None:
        """Accept connections; a free port that was chosen is kept for the next time.

        Args:
            clients: makes the listener of a client's connection.
            market_data: makes the listener of a reader's connection.

        Raises:
            ConfigurationError: an address cannot be listened on. Then neither is.
        """
        factories: Sequence[ListenerFactory] = (clients, market_data)
        for which, factory in enumerate(factories):
            try:
                server = await serve(
                    factory,
                    self._host,
                    self._ports[which],
                    kind=self._transport,
                    ssl=self._ssl,
                    max_message_bytes=self._max_message_size,
                )
            except OSError as error:
                self.stop()
                raise ConfigurationError(bind_error(error, self._host, self._ports[which])) from error
            self._servers.append(server)
            self.is_listening = True
            self._ports[which] = server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        """Accept no more connections."""
        self.is_listening = False
        servers, self._servers = self._servers, []
        for server in servers:
            server.close()


def _check_ports(port: object, market_data_port: object) -> None:
    for name, number in (("port", port), ("market_data_port", market_data_port)):
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= _LAST_PORT:
            raise ConfigurationError(f"{name}={number!r} must be a port, 0 to {_LAST_PORT}, 0 for any free one")
    if port and port == market_data_port:
        raise ConfigurationError(f"port and market_data_port are both {port}; they are two sockets")
