"""How latencies are distributed: the round trip of a request, against the bare libraries; and an order on its way."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, closing
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, TypeAlias

import websockets.asyncio.client

import cryptoproto as cp
from cryptoproto.messages import encode

from ..machinery import samples
from ..machinery.curve import Curve, Drawing, Role, Series, distribution
from ..machinery.echo import echo_client
from ..machinery.effort import Effort
from ..machinery.journals import PROCESS
from ..machinery.link import connect_to
from ..machinery.processes import running
from ..machinery.runtime import run

__all__ = ["drawings"]

Trip: TypeAlias = Callable[[], Awaitable[object]]

_TRIPS: Final = 30_000
_ORDERS: Final = 4_000
_BLOCK: Final = 100
_PAIR: Final = "BTC_USD"


def drawings(effort: Effort) -> list[Drawing]:
    """Round trips on asyncio's event loop and on uvloop, and orders until their acknowledgement."""
    return [_round_trips(effort, uvloop=False), _round_trips(effort, uvloop=True), _orders(effort)]


def _round_trips(effort: Effort, *, uvloop: bool) -> Curve:
    loop = "uvloop" if uvloop else "asyncio"
    return Curve(
        f"latency-round-trip-{loop}",
        f"Round trip of a request, client on the event loop of {loop}",
        f"All take turns in blocks of {_BLOCK} requests, one at a time, over loopback sockets to another process. The "
        "bare libraries send a frame of the same size and wait for one of the size of the answer, without encryption "
        "and JSON.",
        "percentile",
        "round trip, µs",
        run(_measure_trips(effort), uvloop=uvloop),
        axis="percentile",
    )


async def _measure_trips(effort: Effort) -> list[Series]:
    server = effort.responder
    request = cp.UserBalanceRequest()
    session, _ = samples.open_sessions(cp.Protocol.V5)
    _, frame = session.request_frame(encode(request))
    async with AsyncExitStack() as stack:
        trips: dict[tuple[str, Role], Trip] = {}
        for protocol in cp.Protocol:
            for transport in ("picows", "websockets"):
                link = connect_to(server.url, server.directory, protocol=protocol, transport=transport)
                connection = await stack.enter_async_context(link)
                trips[f"{protocol.name} over {transport}", "ours"] = partial(connection.request, request)
        bare = await stack.enter_async_context(echo_client(server.echo_url))
        trips["bare picows", "floor"] = partial(bare.request, frame)
        echo = await stack.enter_async_context(websockets.asyncio.client.connect(server.echo_url, compression=None))

        async def through_websockets() -> None:
            await echo.send(frame)
            await echo.recv()

        trips["bare websockets", "floor"] = through_websockets
        taken = await _in_blocks(trips, effort.scaled(_TRIPS))
    return [Series(*named, distribution(times)) for named, times in taken.items()]


async def _in_blocks(trips: dict[tuple[str, Role], Trip], count: int) -> dict[tuple[str, Role], list[float]]:
    """The microseconds of *count* trips of each kind, in blocks that take turns, after a block to warm up."""
    taken: dict[tuple[str, Role], list[float]] = {named: [] for named in trips}
    block = min(_BLOCK, count)
    for turn in range(count // block + 1):
        for named, trip in trips.items():
            for _ in range(block):
                start = time.perf_counter_ns()
                await trip()
                if turn:
                    taken[named].append((time.perf_counter_ns() - start) / 1000)
    return taken


def _orders(effort: Effort) -> Curve:
    with TemporaryDirectory(prefix="cryptoproto-bench-") as name:
        key = cp.PrivateKey.generate()
        key.public_key.save(Path(name) / "client.pub")
        with running(PROCESS, "exchange", f"{name}/client.pub", "-") as exchange:
            series = run(_measure_orders(effort, exchange, key, Path(name)))
    return Curve(
        "latency-order",
        "An order from place() to its acknowledgement",
        "Client to an embedded exchange in another process, over loopback. V5 orders are not signed. An order leaves "
        "only when its row is in the outbox of the store. The floors are measured in the same process, in turns.",
        "percentile",
        "time, µs",
        series,
        axis="percentile",
    )


async def _measure_orders(effort: Effort, exchange: dict[str, str], key: cp.PrivateKey, folder: Path) -> list[Series]:
    server_key = cp.PublicKey.from_pem(exchange["public_key"].encode())
    taken: dict[tuple[str, Role], list[float]] = {}

    async def sign() -> None:
        key.sign(b"." * 200)

    with closing(sqlite3.connect(folder / "bare.db", isolation_level=None)) as database:
        floors: dict[tuple[str, Role], Trip] = {
            ("bare RSA signature", "floor"): sign,
            ("bare SQLite commit", "floor"): _committer(database),
        }
        for protocol in cp.Protocol:
            for store in (cp.MemoryStore(), cp.SqliteStore(folder / f"{protocol.name}.db")):
                client = cp.Client(
                    exchange["url"], client_id="alice", private_key=key, server_key=server_key, protocol=protocol,
                    store=store,
                )  # fmt: skip
                async with client:
                    place = partial(client.place, _PAIR, "buy", amount="0.01", price="1", time_in_force="ioc")
                    trips: dict[tuple[str, Role], Trip] = {(f"{protocol.name}, {type(store).__name__}", "ours"): place}
                    if not taken:
                        trips |= floors
                    taken |= await _in_blocks(trips, effort.scaled(_ORDERS))
    return [Series(*named, distribution(times)) for named, times in taken.items()]


def _committer(database: sqlite3.Connection) -> Trip:
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")
    database.execute("CREATE TABLE rows (number INTEGER PRIMARY KEY, text BLOB)")

    async def commit() -> None:
        database.execute("INSERT INTO rows (text) VALUES (?)", (os.urandom(200),))

    return commit
