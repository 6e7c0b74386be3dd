"""The license manager's requests per second against the bare cost of what it cannot do without.

Run with ``python -m benchmarks.licensing [rounds]``. Every round measures each line once, one after the other, so
that a machine that slows down slows all of them; the table shows medians, and ratios as medians of the rounds' own.
"""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from nacl.public import Box, PrivateKey, PublicKey
from nacl.signing import SigningKey

from cryptoproto.licensing import Deployment, KeyPair, Keyring, LicenseManager, LicenseRequest, preview_request
from cryptoproto.licensing.request.codec import decode
from cryptoproto.licensing.request.layout import LICENSE_REQUEST
from cryptoproto.licensing.request.structure import check_structure
from cryptoproto.licensing.sealing.sealing import seal_request

COUNT = 300
IN_FLIGHT = 32


class Workload:
    """Requests that the manager has not seen, and the bare operations on bytes of the same size."""

    def __init__(self, folder: Path) -> None:
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

    def bodies(self) -> list[bytes]:
        bodies = []
        for _ in range(COUNT):
            self.row += 1
            changes = {"request_time_utc": time.time_ns(), "nonce": self.row.to_bytes(16, "big")}
            request = LicenseRequest({**self.preview.fields, **changes})
            bodies.append(seal_request(request.encode(), self.keys, self.pinned))
        return bodies

    def crypto(self) -> None:
        """Open, sign, seal, with one Diffie-Hellman for both boxes, as the manager does."""
        public = bytes(self.own.public_key)
        for _ in range(COUNT):
            box = Box(self.other, PublicKey(public))
            box.decrypt(self.box)
            box.encrypt(self.signer.sign(self.message[:300]))

    def commits(self) -> None:
        """A transaction of one small row, on the disk when it returns."""
        for _ in range(COUNT):
            self.row += 1
            self.database.execute("BEGIN IMMEDIATE")
            self.database.execute("INSERT INTO t VALUES (?, ?)", (self.row, b"x" * 200))
            self.database.execute("COMMIT")

    def structure(self) -> None:
        for _ in range(COUNT):
            check_structure(self.message, LICENSE_REQUEST)

    def reading(self) -> None:
        for _ in range(COUNT):
            decode(LICENSE_REQUEST, self.message)

    def one_by_one(self, bodies: list[bytes]) -> None:
        for body in bodies:
            expect(self.manager.handle(body).status)

    def batches(self, bodies: list[bytes]) -> None:
        for start in range(0, len(bodies), IN_FLIGHT):
            for reply in self.manager.handle_batch(bodies[start : start + IN_FLIGHT]):
                expect(reply.status)

    def over_http(self, bodies: list[bytes], in_flight: int) -> float:
        """Seconds for all of them over *in_flight* connections; the client, in this process, is as thin as can be."""

        async def run() -> float:
            async with self.manager.serving() as server:
                port = int(server.url.rsplit(":", 1)[1])
                waiting = iter(bodies)
                connections = [await asyncio.open_connection("127.0.0.1", port) for _ in range(in_flight)]
                start = time.perf_counter()
                await asyncio.gather(*(post_all(waiting, *connection) for connection in connections))
                seconds = time.perf_counter() - start
                for _, writer in connections:
                    writer.close()
                    await writer.wait_closed()
                return seconds

        return asyncio.run(run())


async def post_all(bodies: Iterator[bytes], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    for body in bodies:
        writer.write(b"POST /v1/license HTTP/1.1\r\nHost: lm\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        expect(int(head.split(b" ", 2)[1]))
        length = head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0]
        await reader.readexactly(int(length))


def expect(status: int) -> None:
    if status != 200:
        raise SystemExit(f"the manager answered {status}; the figures would mean nothing")


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(workload: Workload) -> dict[str, float]:
    """Microseconds per operation, of every line once."""
    gc.collect()
    seconds = {
        "crypto alone (open, sign, seal)": timed(workload.crypto),
        "SQLite commit alone": timed(workload.commits),
        "structure check alone": timed(workload.structure),
        "check and read all fields": timed(workload.reading),
    }
    bodies = workload.bodies()
    seconds["manager, one by one"] = timed(lambda: workload.one_by_one(bodies))
    bodies = workload.bodies()
    seconds[f"manager, {IN_FLIGHT} share a commit"] = timed(lambda: workload.batches(bodies))
    seconds["over HTTP, 1 in flight"] = workload.over_http(workload.bodies(), 1)
    seconds[f"over HTTP, {IN_FLIGHT} in flight"] = workload.over_http(workload.bodies(), IN_FLIGHT)
    return {name: value / COUNT * 1e6 for name, value in seconds.items()}


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as folder:
        workload = Workload(Path(folder))
        measure(workload)  # the first round warms up and is not counted
        samples = [measure(workload) for _ in range(rounds)]
        workload.manager.close()
        workload.database.close()
    print(f"{rounds} rounds of {COUNT} requests of {len(workload.message)} bytes, medians")
    print(f"{'':34}{'us each':>10}{'per second':>12}{'x crypto + commit':>20}")
    for name in samples[0]:
        cost = statistics.median(sample[name] for sample in samples)
        floor = statistics.median(
            sample[name] / (sample["crypto alone (open, sign, seal)"] + sample["SQLite commit alone"])
            for sample in samples
        )
        print(f"{name:34}{cost:10.0f}{1e6 / cost:12.0f}{floor:20.2f}")


if __name__ == "__main__":
    main()
