"""A real nats-server with JetStream, as a process on loopback."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

__all__ = ["NatsServer", "nats_cluster", "nats_server"]

_LOOK_S = 0.005
"""How often to look whether the server listens."""


class NatsServer:
    """A server that keeps its streams in *folder*; it can be killed and started again on the same port.

    Args:
        folder: for its files.
        options: of the program.
        config: its configuration; the address in it does not count.
        scheme: ``"tls"`` if the configuration has a certificate.
        host: the address to listen on.
        before: what to put before the command line.
    """

    def __init__(
        self,
        folder: Path,
        *options: str,
        config: Path | None = None,
        scheme: str = "nats",
        host: str = "127.0.0.1",
        before: Sequence[str] = (),
    ) -> None:
        self._folder = folder
        self._options: tuple[str | Path, ...] = (
            *(("-js", "-sd", folder) if config is None else ("-c", config)),
            *options,
        )
        self._scheme = scheme
        self._host = host
        self._before = before
        self._process: subprocess.Popen[bytes] | None = None
        self.port = -1

    @property
    def url(self) -> str:
        return f"{self._scheme}://{self._host}:{self.port}"

    def start(self) -> None:
        ports = self._folder / "ports"
        ports.mkdir(exist_ok=True)
        for old in ports.iterdir():
            old.unlink()
        log = self._folder / "log"
        program = Path(sys.executable).parent / "nats-server"
        self._process = subprocess.Popen(
            [
                *self._before,
                program,
                "-a",
                self._host,
                "-p",
                str(self.port),
                "--ports_file_dir",
                ports,
                "-l",
                log,
                *self._options,
            ]
        )
        while True:  # the server writes the file when it listens
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_LOOK_S)
                said = log.read_text() if log.exists() else "it has written no log"
                raise RuntimeError(f"nats-server ended: {said}")
            for file in ports.iterdir():
                try:
                    self.port = int(json.loads(file.read_text())["nats"][0].rpartition(":")[2])
                except (ValueError, KeyError):
                    continue
                return

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None


@contextmanager
def nats_server(
    folder: Path,
    config: Path | None = None,
    scheme: str = "nats",
    host: str = "127.0.0.1",
    before: Sequence[str] = (),
) -> Iterator[NatsServer]:
    server = NatsServer(folder, config=config, scheme=scheme, host=host, before=before)
    server.start()
    try:
        yield server
    finally:
        server.kill()


@contextmanager
def nats_cluster(folder: Path, size: int = 3) -> Iterator[list[NatsServer]]:
    """Servers that keep streams together."""
    with ExitStack() as stack:
        holders = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(size)]
        ports = [holder.getsockname()[1] for holder in holders]
    servers = []
    for number, port in enumerate(ports):
        home = folder / f"n{number}"
        home.mkdir()
        routes = ",".join(f"nats://127.0.0.1:{other}" for other in ports if other != port)
        options = (
            "-n",
            f"n{number}",
            "-cluster_name",
            "test",
            "-cluster",
            f"nats://127.0.0.1:{port}",
            "-routes",
            routes,
        )
        servers.append(NatsServer(home, *options))
    try:
        for server in servers:
            server.start()
        yield servers
    finally:
        for server in servers:
            server.kill()
