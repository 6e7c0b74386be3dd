"""This package's exchange and client as peers of the conformance scripts: in memory and on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import pytest

import cryptoproto as cp
from cryptoproto.conformance import (
    Arrivals,
    ClientDriver,
    ClientUnderTest,
    ExchangeUnderTest,
    Result,
    Script,
    run_script,
)
from cryptoproto.conformance.control import read_report
from cryptoproto.conformance.seen import Seen
from cryptoproto.exchange import Exchange
from cryptoproto.transport import Listener, ListenerFactory, MemoryLink, OpenOptions, Transport, memory_pair
from tests.support.leaks import loop_reports
from tests.support.virtual_time import VirtualLoop

__all__ = ["MemoryNetwork", "Operator", "OwnClient", "run_on_own_peer", "without_threads"]

BALANCES = {"USD": "1000000", "BTC": "100"}
START_NS = 1_700_000_000_123_456_000
TOO_LONG_S = 2_000.0  # of virtual time
_TURNS = 10


class MemoryNetwork:
    """Ports in memory: what listens on them is a factory of listeners."""

    def __init__(self) -> None:
        self._ports: dict[int, ListenerFactory] = {}
        self._next = 1000
        self.links: list[MemoryLink] = []

    async def serve(
        self, make_listener: ListenerFactory, host: str, port: int, max_message_bytes: int = 2**20, **options: Any
    ) -> _Server:
        """As :func:`cryptoproto.transport.serve`."""
        self._next += 1
        port = port or self._next
        self._ports[port] = lambda: _Limited(make_listener(), max_message_bytes)
        return _Server(self._ports, host, port)

    async def open(self, url: str, listener: Listener, options: OpenOptions) -> Transport:
        """As a :class:`~cryptoproto.transport.TransportOpener`."""
        make = self._ports.get(urlsplit(url).port or 0)
        if make is None:
            raise ConnectionRefusedError(f"nobody listens at {url}")
        pair = memory_pair(listener, make())
        self.links += pair
        return pair[0]


class _Limited:
    """Closes with 1009 when a message is too large, as the transports over sockets do."""

    def __init__(self, listener: Listener, limit: int) -> None:
        self._limit = limit
        self._transport: Transport | None = None
        self._listener = listener
        self.on_text = listener.on_text
        self.on_heard = listener.on_heard
        self.on_closed = listener.on_closed

    def on_open(self, transport: Transport) -> None:
        self._transport = transport
        self._listener.on_open(transport)

    def on_message(self, data: bytes, more: bool = False) -> None:
        if len(data) > self._limit and self._transport is not None:
            self._transport.close(1009, "too large", 1.0)
        else:
            self._listener.on_message(data, more)


class _Server:
    def __init__(self, ports: dict[int, ListenerFactory], host: str, port: int) -> None:
        self.sockets = [self]
        self._ports = ports
        self._address = (host, port)

    def getsockname(self) -> tuple[str, int]:
        return self._address

    def close(self) -> None:
        self._ports.pop(self._address[1], None)


class _Inline:
    """An executor without threads."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def submit(self, work: Any, *args: Any) -> None:
        work(*args)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        pass


@contextmanager
def without_threads(network: MemoryNetwork) -> Iterator[None]:
    """Exchanges listen in *network*, and nothing is done in a thread: virtual time would not wait for it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cryptoproto.exchange.endpoints.serve", network.serve)
        patch.setattr("cryptoproto.exchange.handshakes.Handshakes.start", lambda handshakes: None)
        patch.setattr("cryptoproto.connection.signer.ThreadPoolExecutor", _Inline)
        yield


class Operator:
    """Runs the exchange of this package, and takes the actions that scripts ask of its operator.

    Args:
        keys: of alice, bob and the exchange.
        options: of every exchange.
    """

    def __init__(self, keys: Mapping[str, cp.PrivateKey], **options: Any) -> None:
        self._keys = keys
        self._options = options
        self.exchange = self._make()

    def _make(self, **more: Any) -> Exchange:
        exchange = Exchange(private_key=self._keys["exchange"], handshake_rate=None, **(self._options | more))
        for name in ("alice", "bob"):
            exchange.register(name, self._keys[name].public_key, BALANCES)
        return exchange

    async def do(self, action: Mapping[str, Any]) -> str | None:
        """See :class:`~cryptoproto.conformance.Control`."""
        values = dict(action)
        what = values.pop("do")
        if what == "configure":
            ports = {
                "port": urlsplit(self.exchange.url).port,
                "market_data_port": urlsplit(self.exchange.market_data_url).port,
            }
            await self.exchange.close()
            if "instrument" in values:
                values["instruments"] = [cp.Instrument(**values.pop("instrument"))]
            fees = {name: Decimal(values[name]) for name in ("maker_fee", "taker_fee") if name in values}
            self.exchange = self._make(**ports, **(values | fees))
            await self.exchange.start()
        elif what == "restart":
            await self.exchange.restart()
        elif what in ("disable", "enable"):
            getattr(self.exchange, f"{what}_pairs")(values["trade_pairs"])
        elif what in ("deposit", "withdraw"):
            getattr(self.exchange, what)(values["client"], values["currency"], str(values["amount"]))
        return None

    async def report(self, timeout: float) -> Seen | None:
        raise AssertionError("exchanges do not report")

    def forget_reports(self) -> None:
        pass


class OwnClient:
    """The client of this package, driven in this process."""

    def __init__(self, network: MemoryNetwork, keys: Mapping[str, cp.PrivateKey]) -> None:
        self._reports: asyncio.Queue[Seen] = asyncio.Queue()
        self._driver = ClientDriver(
            lambda report: self._reports.put_nowait(read_report(report)),
            network.open,
            lambda private, public: (keys[private], keys[public].public_key),
        )

    async def do(self, action: Mapping[str, Any]) -> str | None:
        return await self._driver.do(action)

    async def report(self, timeout: float) -> Seen | None:
        try:
            async with asyncio.timeout(timeout):
                return await self._reports.get()
        except TimeoutError:
            return None

    def forget_reports(self) -> None:
        while not self._reports.empty():
            self._reports.get_nowait()


def run_on_own_peer(script: Script, protocol: cp.Protocol, keys: Mapping[str, cp.PrivateKey], **options: Any) -> Result:
    """Run *script* against this package's own client or exchange, in memory and on virtual time."""
    network = MemoryNetwork()

    async def run() -> Result:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(TOO_LONG_S):
            if script.peer == "client":
                return await run_script(script, protocol, await own_client(network, keys), **options)
            operator = Operator(keys, clock=lambda: START_NS + int(loop.time() * 1e9))
            async with operator.exchange as exchange:
                peer = ExchangeUnderTest(
                    exchange.url, exchange.market_data_url, exchange.public_key, keys, network.open, operator,
                    cleans=False,
                )  # fmt: skip
                try:
                    return await run_script(script, protocol, peer, **options)
                finally:
                    await operator.exchange.close()

    async def watched() -> Result:
        with loop_reports() as reports:
            result = await run()
            for _ in range(_TURNS):
                await asyncio.sleep(0)
        assert not reports, (script.name, reports)
        assert asyncio.all_tasks() == {asyncio.current_task()}, script.name
        return result

    with without_threads(network), asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(watched())


async def own_client(network: MemoryNetwork, keys: Mapping[str, cp.PrivateKey]) -> ClientUnderTest:
    arrivals = Arrivals()
    server = await network.serve(arrivals.make_listener, "127.0.0.1", 0)
    url = f"ws://127.0.0.1:{server.getsockname()[1]}"
    connect = {"url": url, "private_key": "alice", "server_key": "exchange"}
    return ClientUnderTest(
        "alice", keys["alice"].public_key, keys["exchange"], arrivals, OwnClient(network, keys), connect
    )
