"""What a request costs the license manager, against the cryptography and the commit that each request needs.

Every round measures each row once, one after the other, so that a machine that slows down slows all of them.
"""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from nacl.public import Box, PrivateKey, PublicKey
from nacl.signing import SigningKey

from cryptoproto.licensing import Deployment, KeyPair, Keyring, LicenseManager, LicenseRequest, preview_request
from cryptoproto.licensing.request.codec import decode
from cryptoproto.licensing.request.layout import LICENSE_REQUEST
from cryptoproto.licensing.request.structure import check_structure
from cryptoproto.licensing.sealing.sealing import seal_request

from ..machinery.effort import Effort
from ..machinery.measure import seconds
from ..machinery.report import Row
from ..machinery.runtime import run

__all__ = ["ROUNDS", "rows"]

ROUNDS: Final = 5

_IN_FLIGHT = 32
_TITLES = {
    "licensing": "a request that the manager handles alone, against crypto and commit",
    "licensing-batch": f"a request of {_IN_FLIGHT} that share a commit, against the same",
    "licensing-http": "a request over HTTP, 1 in flight, against the same",
    "licensing-http-batch": f"a request over HTTP, {_IN_FLIGHT} in flight, against the same",
    "licensing-structure": "the check of a request's structure, against the same",
    "licensing-read": "check a request and read all its fields, against the same",
}


def rows(effort: Effort) -> list[Row]:
    """Microseconds of a request in each way, and its ratio to one opening, signing, sealing and commit."""
    with tempfile.TemporaryDirectory(prefix="cryptoproto-bench-") as folder:
        workload = _Workload(Path(folder), effort.scaled(300))
        try:
            workload.measure()  # the first round warms up and is not counted
            rounds = [workload.measure() for _ in range(effort.rounds)]
        finally:
            workload.close()
    return [
        Row.from_pairs(name, title, [(costs[name], floor) for costs, floor in rounds], unit="us")
        for name, title in _TITLES.items()
    ]


class _Workload:
    """Requests that the manager has not seen, and the bare operations on bytes of the same size."""

    def __init__(self, folder: Path, count: int) -> None:
        self.count = count
        self.keys = KeyPair.generate()
        self.ring = Keyring.generate(time.time_ns())
        self.pinned = self.ring.active(time.time_ns())[0].public
        self.manager = LicenseManager(folder / "licenses.db", self.ring, requests_per_second=1e9)
        self.manager.administration.add_agreement(self.keys.public_key, "*", licenses=1)
        self.preview = preview_request("bench-gateway", ["A1"], deployment=Deployment(package_version="1.0"))
        self.message = self.preview.encode()
        self.database = sqlite3.connect(folder / "bare.db", isolation_level=None)
        self.database.execute("PRAGMA journal_mode = WAL")
        self.database.execute("PRAGMA synchronous = FULL")
        self.database.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, value BLOB)")
        self.own, self.other, self.signer = PrivateKey.generate(), PrivateKey.generate(), SigningKey.generate()
        self.box = bytes(Box(self.own, self.other.public_key).encrypt(self.message))
        self.row = 0

    def measure(self) -> tuple[dict[str, float], float]:
        """Microseconds of a request by row, and of the floor."""
        gc.collect()
        floor = seconds(self.crypto) + seconds(self.commits)
        took = {"licensing-structure": seconds(self.structure), "licensing-read": seconds(self.reading)}
        bodies = self.bodies()
        took["licensing"] = seconds(lambda: self.one_by_one(bodies))
        more = self.bodies()
        took["licensing-batch"] = seconds(lambda: self.batches(more))
        took["licensing-http"] = self.over_http(self.bodies(), 1)
        took["licensing-http-batch"] = self.over_http(self.bodies(), _IN_FLIGHT)
        return {name: each / self.count * 1e6 for name, each in took.items()}, floor / self.count * 1e6

    def close(self) -> None:
        self.manager.close()
        self.database.close()

    def bodies(self) -> list[bytes]:
        bodies = []
        for _ in range(self.count):
            self.row += 1
            nonce = self.row.to_bytes(16, "big")
            request = LicenseRequest({**self.preview.fields, "request_time_utc": time.time_ns(), "nonce": nonce})
            bodies.append(seal_request(request.encode(), self.keys, self.pinned))
        return bodies

    def crypto(self) -> None:
        """Open, sign and seal, with one Diffie-Hellman exchange for both boxes, as the manager does."""
        public = bytes(self.own.public_key)
        for _ in range(self.count):
            box = Box(self.other, PublicKey(public))
            box.decrypt(self.box)
            box.encrypt(self.signer.sign(self.message[:300]))

    def commits(self) -> None:
        """Transactions of one small row each, durable when they return."""
        for _ in range(self.count):
            self.row += 1
            self.database.execute("BEGIN IMMEDIATE")
            self.database.execute("INSERT INTO t VALUES (?, ?)", (self.row, b"x" * 200))
            self.database.execute("COMMIT")

    def structure(self) -> None:
        for _ in range(self.count):
            check_structure(self.message, LICENSE_REQUEST)

    def reading(self) -> None:
        for _ in range(self.count):
            decode(LICENSE_REQUEST, self.message)

    def one_by_one(self, bodies: list[bytes]) -> None:
        for body in bodies:
            _expect_ok(self.manager.handle(body).status)

    def batches(self, bodies: list[bytes]) -> None:
        for start in range(0, len(bodies), _IN_FLIGHT):
            for reply in self.manager.handle_batch(bodies[start : start + _IN_FLIGHT]):
                _expect_ok(reply.status)

    def over_http(self, bodies: list[bytes], in_flight: int) -> float:
        """Seconds for all *bodies* over *in_flight* connections, with the least client that there can be."""

        async def send() -> float:
            async with self.manager.serving() as server:
                port = int(server.url.rsplit(":", 1)[1])
                waiting = iter(bodies)
                connections = [await asyncio.open_connection("127.0.0.1", port) for _ in range(in_flight)]
                start = time.perf_counter()
                await asyncio.gather(*(_post_all(waiting, *connection) for connection in connections))
                seconds = time.perf_counter() - start
                for _, writer in connections:
                    writer.close()
                    await writer.wait_closed()
                return seconds

        return run(send())


async def _post_all(bodies: Iterator[bytes], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    for body in bodies:
        writer.write(b"POST /v1/license HTTP/1.1\r\nHost: lm\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        _expect_ok(int(head.split(b" ", 2)[1]))
        length = head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0]
        await reader.readexactly(int(length))


def _expect_ok(status: int) -> None:
    if status != 200:
        raise RuntimeError(f"the manager answered with status {status}; the figures would mean nothing")
