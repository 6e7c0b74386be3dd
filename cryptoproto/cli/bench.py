"""``bench``: how long requests and orders take, on this machine or at any exchange."""

from __future__ import annotations

import asyncio
import itertools
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.progress import Progress

from ..arguments import redacted
from ..connection import Connection, connect
from ..exceptions import ConfigurationError, InsufficientFundsError
from ..keys import PrivateKey, PublicKey
from ..messages import InsufficientFunds, OrderPlaced, PlaceBuyIoCOrder, UserBalanceRequest
from ..transport import TransportKind
from ..wire import Protocol
from .exit_codes import ExitCode
from .histogram import LogAxis
from .options import (
    ClientId,
    Insecure,
    Json,
    KeyFile,
    ProfileName,
    ServerKeyFile,
    TakeOver,
    TransportOverride,
    Url,
    connecting,
    connection_settings,
)
from .output import console, note, print_json, table
from .running import run

__all__ = ["bench"]

_IN_FLIGHT = 100


def bench(
    count: Annotated[
        int, typer.Option(min=1, metavar="<count>", help="How many measurements of each kind to make.")
    ] = 1000,
    url: Url = None,
    client_id: ClientId = None,
    key: KeyFile = None,
    server_key: ServerKeyFile = None,
    profile: ProfileName = None,
    pair: Annotated[str, typer.Option(help="Trade pair of the orders.")] = "BTC_USD",
    transport: TransportOverride = None,
    insecure: Insecure = False,
    take_over: TakeOver = False,
    json: Json = False,
) -> None:
    """Measure latencies: request round trips, and orders until they are acknowledged.

    Without --url and --profile, a local exchange is started in another process. With one of them, the orders are real:
    immediate-or-cancel buy orders of 0.00000001 at a price of 1. Without --profile, the client id is bench and the key
    files are bench.pem and exchange.pub, unless other options say otherwise.

    Example: [bold]cryptoproto bench --count 5000[/]
    """
    if not profile:
        client_id, key, server_key = client_id or "bench", key or Path("bench.pem"), server_key or Path("exchange.pub")
    where = redacted(url) if url else f"the exchange of profile {profile}" if profile else None
    if where and not json:
        note(f"Measuring at {where}: the orders are real.")

    async def main() -> int:
        rows: list[dict[str, object]] = []
        measured: list[list[float]] = []
        with Progress(console=console, transient=True, disable=json or not console.is_terminal) as progress:
            task = progress.add_task("measuring", total=len(Protocol) * 3 * count)
            for protocol in Protocol:
                link = (
                    connecting(
                        connection_settings(
                            url,
                            client_id,
                            key,
                            server_key,
                            profile=profile,
                            protocol=protocol.value,
                            transport=transport,
                            insecure=insecure,
                        ),
                        take_over=take_over,
                    )
                    if url or profile
                    else None
                )
                async with _link(link, protocol, transport) as connection:
                    for name, seconds in (
                        ("request, one at a time", await _requests(connection, count)),
                        (f"request, {_IN_FLIGHT} in flight", await _many_requests(connection, count)),
                        ("order until acknowledged", await _orders(connection, count, pair)),
                    ):
                        progress.advance(task, count)
                        rows.append(_row(f"{protocol.name} {name}", seconds))
                        measured.append(seconds)
        if json:
            print_json(rows)
            return ExitCode.SUCCESS
        _show(rows, measured, count)
        return ExitCode.SUCCESS

    run(main())


def _show(rows: list[dict[str, object]], measured: list[list[float]], count: int) -> None:
    columns = ("p50", "p90", "p99", "max")
    shown = table(f"Milliseconds over {count} each", "what", *columns, "distribution", right=columns)
    axis = LogAxis.of([second for seconds in measured for second in seconds])
    for row, seconds in zip(rows, measured, strict=True):
        shown.add_row(str(row["what"]), *(f"{row[column]:.3f}" for column in columns), axis.histogram(seconds))
    console.print(shown)
    console.print(
        "The distributions have the same axis, which is logarithmic: "
        f"from {axis.low * 1000:.3g} to {axis.high * 1000:.3g} ms."
    )


def _row(what: str, seconds: Sequence[float]) -> dict[str, object]:
    ordered = sorted(seconds)
    picks = {
        name: round(ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000, 4)
        for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0))
    }
    return {"what": what, **picks}


@asynccontextmanager
async def _link(link: connect | None, protocol: Protocol, transport: TransportKind | None) -> AsyncIterator[Connection]:
    if link is not None:
        async with link as connection:
            yield connection
        return
    with tempfile.TemporaryDirectory() as folder:
        key = PrivateKey.generate()
        own = Path(folder, "bench.pem")
        key.public_key.save(own.with_suffix(".pub"))
        arguments = (
            "exchange", "--json", "--port", "0", "--market-data-port", "0", "--key", f"{folder}/exchange.pem",
            "--client", f"bench={own.with_suffix('.pub')}", "--balance", "bench:USD=1000000",
        )  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "cryptoproto",
            *arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            line = await process.stdout.readline() if process.stdout is not None else b""
            if not line:
                raise ConfigurationError("the local exchange did not start; try `cryptoproto exchange`")
            announced = orjson.loads(line)
            async with connect(
                announced["url"],
                client_id="bench",
                private_key=key,
                server_key=PublicKey.load(announced["public_key"]),
                protocol=protocol,
                transport=transport or "auto",
            ) as connection:
                yield connection
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


async def _timed_request(connection: Connection) -> float:
    started = time.perf_counter()
    await connection.request(UserBalanceRequest())
    return time.perf_counter() - started


async def _requests(connection: Connection, count: int) -> list[float]:
    return [await _timed_request(connection) for _ in range(count)]


async def _many_requests(connection: Connection, count: int) -> list[float]:
    seconds: list[float] = []
    left = itertools.repeat(None, count)

    async def worker() -> None:
        for _ in left:
            seconds.append(await _timed_request(connection))  # noqa: PERF401 - the workers share the list

    await asyncio.gather(*(worker() for _ in range(min(_IN_FLIGHT, count))))
    return seconds


async def _orders(connection: Connection, count: int, pair: str) -> list[float]:
    seconds: list[float] = []
    first = time.time_ns() // 1000
    for number in range(first, first + count):
        started = time.perf_counter()
        await connection.send(PlaceBuyIoCOrder(pair, "0.00000001", "1", number))
        while True:
            answer = (await anext(connection)).message
            if isinstance(answer, InsufficientFunds):
                raise InsufficientFundsError(answer.currency, answer.order_id)
            if isinstance(answer, OrderPlaced) and answer.client_order_id == number:
                break
        seconds.append(time.perf_counter() - started)
    return seconds
