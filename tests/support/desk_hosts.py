"""Where the gateways of a desk run, and how they are cut off: on loopback behind proxies, or in network namespaces."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, nullcontext
from typing import Protocol

from tests.support.namespaces import Network
from tests.support.nats_server import NatsServer
from tests.support.tcp_proxy import TcpProxy

__all__ = ["Host", "Hosts", "Loopback", "Namespaces"]


class Host:
    """Where one gateway runs.

    Args:
        nats_url: of NATS, as it is seen from there.
        exchange_url: of the exchange, as it is seen from there.
        source: the address that the exchange sees.
        command: what to put before a command line, to run it there.
    """

    def __init__(self, nats_url: str, exchange_url: str, source: str, command: Sequence[str] = ()) -> None:
        self.nats_url = nats_url
        self.exchange_url = exchange_url
        self.source = source
        self.command = command

    def cut(self, how: str, choice: random.Random) -> None:
        """Cut it off in the way *how*."""
        raise NotImplementedError

    def heal(self) -> None:
        """Everything arrives again."""
        raise NotImplementedError


class Hosts(Protocol):
    """Makes hosts.

    Attributes:
        exchange_address: where the exchange listens.
    """

    exchange_address: str

    def around_exchange(self) -> AbstractContextManager[None]:
        """The exchange is started in this block."""

    def gateway(self, number: int, exchange_port: int) -> AbstractAsyncContextManager[Host]:
        """The host of a gateway."""


class _Proxied(Host):
    """A process on loopback."""

    def __init__(self, nats: TcpProxy, exchange: TcpProxy, others: Sequence[str]) -> None:
        nats_url = ",".join([f"nats://127.0.0.1:{nats.port}", *others])
        super().__init__(nats_url, f"ws://127.0.0.1:{exchange.port}", exchange.source)
        self._proxies = {"cut from NATS": nats, "cut from the exchange": exchange}

    def cut(self, how: str, choice: random.Random) -> None:
        proxy = self._proxies[how]
        choice.choice((proxy.stall, proxy.reset))()

    def heal(self) -> None:
        for proxy in self._proxies.values():
            proxy.heal()


class Loopback:
    """Processes of one machine, each behind proxies of its own.

    Args:
        servers: of NATS; with several, a gateway is behind a proxy to one of them, and knows the others.
    """

    def __init__(self, servers: Sequence[NatsServer]) -> None:
        self.exchange_address = "127.0.0.1"
        self._servers = servers

    def around_exchange(self) -> AbstractContextManager[None]:
        return nullcontext()

    @asynccontextmanager
    async def gateway(self, number: int, exchange_port: int) -> AsyncIterator[Host]:
        servers = self._servers
        others = [each.url for each in servers] if len(servers) > 1 else []
        async with (
            TcpProxy.to(servers[number % len(servers)].port) as nats,
            TcpProxy.to(exchange_port, source=f"127.0.0.{number + 2}") as exchange,
        ):
            yield _Proxied(nats, exchange, others)


class _Namespace(Host):
    def __init__(self, network: Network, name: str, nats_url: str, exchange_url: str) -> None:
        super().__init__(nats_url, exchange_url, network.address(name), network.command(name))
        self._network = network
        self._name = name

    def cut(self, how: str, choice: random.Random) -> None:
        assert how == "link down"
        self._network.take_down(self._name)

    def heal(self) -> None:
        self._network.bring_up(self._name)


class Namespaces:
    """Network namespaces: ``exchange``, ``gateway-0`` and ``gateway-1`` of a network."""

    def __init__(self, network: Network, nats_url: str) -> None:
        self.exchange_address = network.address("exchange")
        self._network = network
        self._nats_url = nats_url

    def around_exchange(self) -> AbstractContextManager[None]:
        return self._network.on("exchange")

    @asynccontextmanager
    async def gateway(self, number: int, exchange_port: int) -> AsyncIterator[Host]:
        exchange_url = f"ws://{self.exchange_address}:{exchange_port}"
        yield _Namespace(self._network, f"gateway-{number}", self._nats_url, exchange_url)
