"""What the journal costs, and what a restart costs: ``python -m benchmarks.journal [--rounds N] [--quick] [--json]``.

Orders a second: this process sends orders (``Protocol.V5``, so that signatures do not hide the rest) to an exchange in
another process over a loopback socket, and is done when the last event has come. With and without a journal in turns,
the ratio of each round, the median of the rounds.

Restart: a journal that was cut off just before its next snapshot, the worst moment, is opened in a fresh process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from cryptoproto.exchange.commands import Command, Register, Submit
from cryptoproto.exchange.journal import SNAPSHOT_EVERY, open_journal
from cryptoproto.messages import encode
from cryptoproto.transport import Closed, OpenOptions, Transport, opener
from cryptoproto.wire import ClientSession, Opened

from .measure import Pair, medians
from .report import Row

__all__ = ["main", "rows"]

_ROOT = Path(__file__).parent.parent
_FUNDS = {"USD": "1000000000", "BTC": "1000000"}
_WARM_UP = 500


def rows(rounds: int = 7, *, quick: bool = False) -> list[Row]:
    """All measurements; with *quick* only to show that they run."""
    with tempfile.TemporaryDirectory(prefix="cryptoproto-bench-", dir=os.environ.get("BENCH_DIR")) as name:
        return [
            *_orders(Path(name), 3 if quick else rounds, 200 if quick else 10_000),
            *_restarts(Path(name), 1 if quick else 3, (1_000, 10_000) if quick else (100_000, 1_000_000)),
        ]


# Orders a second


def _orders(folder: Path, rounds: int, count: int) -> list[Row]:
    key = cp.PrivateKey.generate()
    key.public_key.save(folder / "client.pub")
    pairs: list[Pair] = []
    grown: list[Pair] = []
    for number in range(rounds):
        runs = [
            (str(folder / f"orders-{number}.db"), count),
            ("-", count),
            (str(folder / f"few-{number}.db"), count // 10),
        ]
        turns = runs if number % 2 else runs[::-1]
        speeds = {run: _orders_per_s(folder, key, *run) for run in turns}
        many, in_memory, few = (speeds[run] for run in runs)
        pairs.append((many, in_memory))
        grown.append((many, few))
    ours, floor, ratio = medians(pairs)
    title = "orders accepted a second, journaled, compared with in memory"
    growth = f"how the journaled orders a second change from {count // 10:,} orders to {count:,}"
    return [
        Row("journal-orders", title, "orders/s", ours, floor, ratio, ">= 0.6 x", ratio >= 0.6, pairs),
        Row("journal-orders-growth", growth, "orders/s", *medians(grown), "", None, grown),
    ]


def _orders_per_s(folder: Path, key: cp.PrivateKey, path: str, count: int) -> float:
    with _process("exchange", str(folder / "client.pub"), path) as exchange, asyncio.Runner(debug=False) as runner:
        return runner.run(_send_orders(exchange, key, count))


async def _send_orders(exchange: dict[str, Any], key: cp.PrivateKey, count: int) -> float:
    """Shake hands and warm up; then send the sealed frames as fast as the socket takes them."""
    sender = _Sender(key, cp.PublicKey.from_pem(exchange["public_key"].encode()))
    transport = await opener("auto")(exchange["url"], sender, OpenOptions())
    await sender.opened.wait()
    await sender.exchange(transport, [sender.frame(number) for number in range(_WARM_UP)])
    frames = [sender.frame(_WARM_UP + number) for number in range(count)]
    start = time.perf_counter()
    await sender.exchange(transport, frames)
    seconds = time.perf_counter() - start
    transport.close(1000, "", 2.0)
    return count / seconds


class _Sender:
    """A client that costs next to nothing, so that the exchange is what is measured.

    Its frames are sealed beforehand, and frames that come are counted and not opened: an order that rests in the book
    is answered with two events.
    """

    def __init__(self, key: cp.PrivateKey, server_key: cp.PublicKey) -> None:
        self.opened = asyncio.Event()
        self._session = ClientSession(
            client_id="alice", private_key=key, server_key=server_key, random=os.urandom, protocol=cp.Protocol.V5
        )
        self._awaited = 0
        self._all = asyncio.Event()
        self._transport: Transport | None = None

    def frame(self, number: int) -> bytes:
        return self._session.seal(self._session.draft_message(encode(_order(number))))

    async def exchange(self, transport: Transport, frames: list[bytes]) -> None:
        self._awaited = 2 * len(frames)
        self._all.clear()
        for frame in frames:
            transport.send(frame)
            if not transport.writable:
                await transport.drain()
        await self._all.wait()

    def on_open(self, transport: Transport) -> None:
        self._transport = transport
        transport.send(self._session.hello())

    def on_message(self, data: bytes, more: bool = False) -> None:
        if self.opened.is_set():
            self._awaited -= 1
            if not self._awaited:
                self._all.set()
            return
        opened = self._session.receive(data)
        assert isinstance(opened, Opened)
        assert self._transport is not None
        self._transport.send(opened.proof)
        self.opened.set()

    def on_text(self, text: str) -> None:
        raise SystemExit(text)

    def on_heard(self) -> None:
        pass

    def on_closed(self, closed: Closed) -> None:
        if not self._all.is_set():
            raise SystemExit(f"the exchange ended the connection: {closed}")


def _order(number: int) -> cp.PlaceBuyLimitOrder:
    return cp.PlaceBuyLimitOrder(
        trade_pair="BTC_USD", amount="0.01", price=str(15000 - number % 50), client_order_id=number
    )


async def _serve(key_path: str, path: str) -> None:
    async with Exchange(path=None if path == "-" else path) as exchange:
        exchange.register("alice", cp.PublicKey.load(key_path), balances=_FUNDS)
        _tell({"url": exchange.url, "public_key": exchange.public_key.to_pem().decode()})
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


# Restarts


def _restarts(folder: Path, rounds: int, sizes: tuple[int, int]) -> list[Row]:
    seconds: dict[int, float] = {}
    about: dict[int, dict[str, Any]] = {}
    for events in sizes:
        path = str(folder / f"restart-{events}.db")
        _run("fill", path, str(events))
        measured = [_run("restart", path) for _ in range(rounds)]
        about[events] = measured[0]
        seconds[events] = statistics.median(each["seconds"] for each in measured)
    few, many = sizes
    grown = seconds[many] / seconds[few]
    details = f"{about[many]['events']:,} events, {about[many]['again']:,} commands carried out again"
    return [
        Row(
            "journal-restart",
            f"restart: {details}",
            "s",
            seconds[many],
            None,
            seconds[many],
            "< 10 s",
            seconds[many] < 10,
        ),
        Row(
            "journal-restart-growth",
            f"how the restart grows from {few:,} to {many:,} events",
            "s",
            seconds[many],
            seconds[few],
            grown,
            "",
            None,
        ),
    ]


async def _fill(path: str, events: int) -> None:
    """A journal of that many events, and then as many commands without a snapshot as there can be; then a crash."""
    choice = random.Random(events)
    key = cp.PrivateKey.generate().public_key
    journal = open_journal(path)
    journal.start(lambda error: sys.exit(str(error)))
    engine = journal.engine

    def append(command: Command, client_id: str, **more: Any) -> None:
        journal.append(command, engine.apply(command), client_id=client_id, **more)

    clients = [f"client-{number}" for number in range(20)]
    now_us = time.time_ns() // 1000
    for client in clients:
        append(Register(client, dict(_FUNDS), now_us), client, public_key=key)
    number = 0
    while journal.last_transaction_id < events or journal.since_snapshot < SNAPSHOT_EVERY - 1:
        number += 1
        now_us += 1000
        client = choice.choice(clients)
        append(Submit(client, _random_order(choice, number), now_us), client, sequence=number)
        if number % 500 == 0:
            await journal.flush()
    await journal.flush()
    os.kill(os.getpid(), signal.SIGKILL)


def _random_order(choice: random.Random, number: int) -> Any:
    """Mostly orders that meet others; few stay for long."""
    dice = choice.random()
    if dice < 0.02:
        return cp.CancelAllOrders()
    kind = cp.PlaceBuyLimitOrder if dice < 0.5 else cp.PlaceSellLimitOrder
    return kind(
        trade_pair="BTC_USD",
        amount=f"0.{choice.randint(1, 99):02}",
        price=str(15000 + choice.randint(-20, 20)),
        client_order_id=number,
    )


async def _restart(path: str) -> None:
    start = time.perf_counter()
    exchange = Exchange(path=path)
    await exchange.start()
    seconds = time.perf_counter() - start
    journal = exchange.venue.ledger
    _tell(
        {
            "seconds": seconds,
            "events": getattr(journal, "last_transaction_id", 0),
            "again": getattr(journal, "since_snapshot", 0),
        }
    )
    os.kill(os.getpid(), signal.SIGKILL)  # a clean end would leave a snapshot for the next round


# Processes


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "benchmarks.journal", *arguments]


def _tell(what: dict[str, Any]) -> None:
    print(json.dumps(what), flush=True)


@contextmanager
def _process(*arguments: str) -> Iterator[dict[str, Any]]:
    with subprocess.Popen(_command(*arguments), cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            told: dict[str, Any] = json.loads(process.stdout.readline())
            yield told
        finally:
            process.stdin.close()
            process.wait(60)


def _run(*arguments: str) -> dict[str, Any]:
    """Run a process that kills itself in the end."""
    done = subprocess.run(_command(*arguments), cwd=_ROOT, stdout=subprocess.PIPE, timeout=600, check=False)
    if done.returncode != -signal.SIGKILL:
        raise SystemExit(f"{arguments} ended with {done.returncode}")
    told: dict[str, Any] = json.loads(done.stdout) if done.stdout else {}
    return told


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.journal", description=__doc__)
    parser.add_argument("part", nargs="*", help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="only show that everything runs")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    parts = {"exchange": _serve, "fill": lambda path, events: _fill(path, int(events)), "restart": _restart}
    if options.part:
        name, *arguments = options.part
        with asyncio.Runner(debug=False) as runner:
            runner.run(parts[name](*arguments))  # type: ignore[operator]
        return
    measured = rows(options.rounds, quick=options.quick)
    if options.json:
        print(json.dumps([asdict(row) for row in measured], indent=2))
        return
    for row in measured:
        floor = "" if row.floor is None else f"  against {row.floor:,.2f} {row.unit}"
        unit = row.unit if row.floor is None else "x"
        reached = {True: "reached", False: "NOT REACHED", None: ""}[row.reached]
        print(f"{row.title}\n    {row.ours:,.2f} {row.unit}{floor}: {row.value:.2f} {unit}  {row.target} {reached}")


if __name__ == "__main__":
    main()
