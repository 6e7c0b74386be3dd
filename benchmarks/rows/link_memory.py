"""How much memory of an exchange a link at rest holds: real sockets, with the exchange in a process of its own."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import cryptoproto as cp
from cryptoproto.transport import TransportKind

from ..machinery.effort import Effort
from ..machinery.file_handles import allow_many_files
from ..machinery.processes import ROOT, command, environment
from ..machinery.report import Row
from ..machinery.runtime import run

__all__ = ["ROUNDS", "rows"]

ROUNDS: Final = 1

_PROCESS: Final = "benchmarks.machinery.link_process"
_WARM_UP: Final = 50  # the first links of a process also load code and fill caches
_AT_ONCE: Final = 25


def rows(effort: Effort) -> list[Row]:
    """The growth of the exchange's resident memory for each link, with either library."""
    allow_many_files()
    count = effort.scaled(1_000)
    kinds: list[tuple[str, TransportKind]] = [("link-memory", "picows"), ("link-memory-websockets", "websockets")]
    with TemporaryDirectory(prefix="cryptoproto-bench-") as folder:
        return [
            Row.absolute(
                name,
                f"resident memory of an exchange for each of {count:,} links at rest, {kind}",
                run(_kib_each(Path(folder), kind, count)),
                unit="KiB",
                below=64.0,
            )
            for name, kind in kinds
        ]


async def _kib_each(folder: Path, kind: TransportKind, count: int) -> float:
    key = cp.PrivateKey.generate()
    public = folder / f"{kind}.pub"
    key.public_key.save(public)
    process = await asyncio.create_subprocess_exec(
        *command(_PROCESS, str(public), str(count + _WARM_UP), kind),
        cwd=ROOT,
        env=environment(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    stdin, stdout = process.stdin, process.stdout
    exchange = json.loads(await stdout.readline())
    links: list[cp.Connection] = []

    async def ask() -> dict[str, Any]:
        stdin.write(b"memory\n")
        told: dict[str, Any] = json.loads(await stdout.readline())
        if told["connected"] != len(links):
            raise RuntimeError(f"{told['connected']} of {len(links)} links are open")
        return told

    try:
        await _open(links, exchange, key, _WARM_UP)
        before = await ask()
        await _open(links, exchange, key, count)
        return float((await ask())["kib"] - before["kib"]) / count
    finally:
        await asyncio.gather(*(link.close() for link in links))
        stdin.close()
        await process.wait()


async def _open(links: list[cp.Connection], exchange: dict[str, str], key: cp.PrivateKey, count: int) -> None:
    server_key = cp.PublicKey.from_pem(exchange["public_key"].encode())
    last = len(links) + count
    while len(links) < last:
        links += await asyncio.gather(
            *(
                cp.connect(
                    exchange["url"],
                    client_id=f"client-{number}",
                    private_key=key,
                    server_key=server_key,
                    protocol=cp.Protocol.V5,
                    open_timeout=60.0,
                )
                for number in range(len(links), min(last, len(links) + _AT_ONCE))
            )
        )
        # A connection is open before the exchange has read its proof; the answer comes after that.
        await links[-1].request(cp.UserBalanceRequest(), timeout=60.0)
