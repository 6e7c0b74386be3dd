"""A NATS server, an exchange and gateways as processes, for the gateway's rows."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import cryptoproto as cp

from .processes import EXCHANGE, printing, running

__all__ = ["PROCESS", "Desk", "processor_seconds"]

PROCESS: Final = "benchmarks.machinery.desk_process"


class Desk:
    """The addresses, and a folder with the keys of alice, whose session is shared, and bob."""

    def __init__(self, folder: Path, nats_url: str, url: str, stack: ExitStack) -> None:
        self.folder = folder
        self.nats_url = nats_url
        self.url = url
        self._stack = stack

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[Desk]:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="cryptoproto-bench-")))
            for client_id in ("alice", "bob"):
                key = cp.PrivateKey.generate()
                key.save(folder / f"{client_id}.pem")
                key.public_key.save(folder / f"{client_id}.pub")
            nats = stack.enter_context(running(PROCESS, "nats"))
            exchange = stack.enter_context(running(EXCHANGE, str(folder)))
            yield cls(folder, nats["url"], exchange["url"], stack)

    def gateway(self) -> int:
        """Start a gateway; returns its process id."""
        arguments = ("gateway", str(self.folder), self.nats_url, self.url)
        pid: int = self._stack.enter_context(running(PROCESS, *arguments))["pid"]
        return pid

    def place_orders(self, count: int) -> None:
        """Place *count* orders as alice, over a separate connection."""
        with running(PROCESS, "orders", self.url, str(self.folder), str(count)):
            pass

    @contextmanager
    def strategies(self, count: int) -> Iterator[None]:
        """Have *count* strategies in a process of their own, which only listen, while the block runs."""
        with running(PROCESS, "strategies", self.nats_url, str(count)):
            yield

    @contextmanager
    def readers(self, count: int, events: int) -> Iterator[list[Iterator[dict[str, int]]]]:
        """Have *count* strategies, each in its own process, read *events*; each tells when it has the last one."""
        with ExitStack() as stack:
            arguments = [("reader", self.nats_url, f"reader-{number}", str(events)) for number in range(count)]
            readers = [stack.enter_context(printing(PROCESS, *each)) for each in arguments]
            for each in readers:
                next(each)
            yield readers

    def identity(self, client_id: str) -> dict[str, Any]:
        """The options of a client."""
        return {
            "client_id": client_id,
            "private_key": cp.PrivateKey.load(self.folder / f"{client_id}.pem"),
            "server_key": cp.PublicKey.load(self.folder / "exchange.pub"),
        }


def processor_seconds(pid: int) -> float:
    """The processor time that a process has used so far, on Linux.

    /proc counts in hundredths of a second, which are too long for a short run. The number of the clock of a process is
    made as clock_getcpuclockid(3) of the C library does.
    """
    return time.clock_gettime((~pid << 3) | 2)
