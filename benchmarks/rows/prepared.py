"""What it costs to send an order with ``Protocol.SIGNED``, prepared and not, against ``V5`` and the signature alone.

An order is a ``send()`` over a loopback socket to another process, from the call to its end: the frame has then been
handed to the network. Orders of all kinds and bare signatures take turns; each round gives their medians.

Orders that need no signature are measured in CPU time of their thread: the other process, woken by the frame, often
takes over the core in the middle of the call, to verify the signature.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeAlias

import cryptoproto as cp

from ..machinery.effort import Effort
from ..machinery.link import connect_to
from ..machinery.measure import Pair
from ..machinery.processes import Responder
from ..machinery.report import Row
from ..machinery.runtime import run

__all__ = ["ROUNDS", "rows"]

ROUNDS: Final = 9

_ORDER: Final = cp.PlaceBuyLimitOrder(trade_pair="BTC_USD", amount="0.01", price="15000", client_order_id=7)
_BURST: Final = 100
_QUEUED: Final = 200
_SIGNED_BYTES: Final = bytes(150)

_Burst: TypeAlias = dict[str, float]
"""The milliseconds of a burst, and how many cores the process kept busy meanwhile."""


def rows(effort: Effort) -> list[Row]:
    """Single orders, a burst, and how long the event loop is held up by a longer one."""
    server = effort.responder
    threads = max(2, os.cpu_count() or 1)
    singles = run(_singles(effort, server), uvloop=server.uvloop)
    bursts = run(_bursts(effort, server, threads), uvloop=server.uvloop)
    stall = run(_stall(effort, server, threads), uvloop=server.uvloop)
    signed, prepared, plain, rsa, rsa_cpu = (singles[kind] for kind in ("signed", "prepared", "v5", "rsa", "rsa_cpu"))
    ahead = "CPU of sending a prepared signed order, against"
    alone = "time to send a signed order that is not prepared, against the bare RSA signature"
    together = f"{_BURST} signed orders at once with {threads} threads, against bare signatures in as many threads"
    cores = f"cores that such a burst keeps busy (CPU by clock), against bare signatures in {threads} threads"
    held_up = f"CPU time of the longest turn of the event loop while {_QUEUED} signed orders are queued"
    return [
        _row("prepared", f"{ahead} the bare RSA signature", prepared, rsa_cpu, at_most=0.25),
        _row("prepared-v5", f"{ahead} one of V5", prepared, plain, at_most=3.0),
        _row("prepared-not", alone, signed, rsa, at_most=1.25),
        Row.from_pairs("prepared-not-burst", together, [_pair(each, "ms") for each in bursts], unit="ms"),
        Row.from_pairs(
            "prepared-not-burst-cores", cores, [_pair(each, "cores") for each in bursts], unit="cores", at_least=0.9
        ),
        Row.absolute("prepared-not-stall", held_up, stall, unit="ms", below=1.0),
    ]


def _signed_link(server: Responder, threads: int) -> cp.connect:
    return connect_to(server.url, server.directory, protocol=cp.Protocol.SIGNED, signer_threads=threads)


def _row(name: str, title: str, ours: list[float], other: list[float], *, at_most: float) -> Row:
    return Row.from_pairs(name, title, list(zip(ours, other, strict=True)), unit="us", at_most=at_most)


async def _singles(effort: Effort, server: Responder) -> dict[str, list[float]]:
    """The medians of each round, by kind."""
    count = effort.scaled(200)
    medians: dict[str, list[float]] = {}
    async with (
        _signed_link(server, 2) as signed,
        connect_to(server.url, server.directory) as plain,
    ):
        key = cp.PrivateKey.load(server.directory / "client.pem")

        async def sign() -> None:
            key.sign(_SIGNED_BYTES)

        for number in range(effort.rounds + 1):
            taken: dict[str, list[float]] = {kind: [] for kind in ("prepared", "v5", "rsa", "rsa_cpu", "signed")}
            for turn in range(count):
                prepared = await signed.prepare(_ORDER)
                taken["rsa_cpu"].append(await _cpu_microseconds(sign))  # meanwhile the thread comes to rest
                both = [("prepared", prepared.send), ("v5", lambda: plain.send(_ORDER))]
                for kind, call in both[:: 1 if turn % 2 else -1]:
                    taken[kind].append(await _cpu_microseconds(call))
                taken["rsa"].append(await _microseconds(sign))
                taken["signed"].append(await _microseconds(lambda: signed.send(_ORDER)))
            if number:  # the first warmed up
                for kind, each in taken.items():
                    medians.setdefault(kind, []).append(statistics.median(each))
    return medians


async def _microseconds(call: Callable[[], Awaitable[Any]]) -> float:
    start = time.perf_counter_ns()
    await call()
    return (time.perf_counter_ns() - start) / 1000


async def _cpu_microseconds(call: Callable[[], Awaitable[Any]]) -> float:
    start = time.thread_time_ns()
    await call()
    return (time.thread_time_ns() - start) / 1000


async def _bursts(effort: Effort, server: Responder, threads: int) -> list[tuple[_Burst, _Burst]]:
    """Bursts of orders, and of as many bare signatures."""
    rounds: list[tuple[_Burst, _Burst]] = []
    key = cp.PrivateKey.load(server.directory / "client.pem")
    with ThreadPoolExecutor(threads) as pool:

        async def bare() -> None:
            work = [pool.submit(_sign, key, _BURST // threads) for _ in range(threads)]
            await asyncio.gather(*map(asyncio.wrap_future, work))

        async with _signed_link(server, threads) as connection:

            async def orders() -> None:
                await _burst(connection, _BURST // threads * threads)

            for number in range(effort.rounds + 1):
                taken: dict[bool, list[_Burst]] = {True: [], False: []}
                for turn in range(6):
                    is_ours = bool((turn + number) % 2)
                    taken[is_ours].append(await _timed_burst(orders if is_ours else bare))
                rounds.append((_median(taken[True]), _median(taken[False])))
    return rounds[1:]  # the first warmed up


async def _timed_burst(burst: Callable[[], Awaitable[None]]) -> _Burst:
    cpu, clock = time.process_time_ns(), time.perf_counter_ns()
    await burst()
    took = time.perf_counter_ns() - clock
    return {"ms": took / 1e6, "cores": (time.process_time_ns() - cpu) / took}


def _median(bursts: list[_Burst]) -> _Burst:
    return {name: statistics.median(each[name] for each in bursts) for name in bursts[0]}


def _pair(turns: tuple[_Burst, _Burst], name: str) -> Pair:
    return turns[0][name], turns[1][name]


def _sign(key: cp.PrivateKey, count: int) -> None:
    for _ in range(count):
        key.sign(_SIGNED_BYTES)


async def _burst(connection: cp.Connection, count: int) -> None:
    await asyncio.gather(*(connection.send(_ORDER) for _ in range(count)))


async def _stall(effort: Effort, server: Responder, threads: int) -> float:
    """The median of the longest turns of all rounds, in milliseconds.

    Other programs on the same cores hold an idle loop up for longer, so the CPU time of its thread is measured.
    """
    longest: list[float] = []
    async with _signed_link(server, threads) as connection:
        for _ in range(effort.rounds + 1):
            orders = asyncio.ensure_future(_burst(connection, _QUEUED))
            await asyncio.sleep(0)  # the burst is made in this turn
            then, turns = time.thread_time(), [0.0]
            while not orders.done():
                await asyncio.sleep(0)
                now = time.thread_time()
                turns.append(now - then)
                then = now
            longest.append(1000 * max(turns))
    return statistics.median(longest[1:])
