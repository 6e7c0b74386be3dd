"""The processes that a measurement starts: the responder, and clients in fresh processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cryptoproto as cp

from . import samples

__all__ = [
    "EXCHANGE",
    "ROOT",
    "Responder",
    "command",
    "environment",
    "printing",
    "responder",
    "run_client",
    "running",
]

ROOT = Path(__file__).parents[2]
EXCHANGE = "benchmarks.machinery.exchange_process"
_TIMEOUT_S = 600


class Responder:
    """A running responder: its addresses, and the folder with its keys and its client's."""

    def __init__(self, directory: Path, ports: dict[str, int], *, uvloop: bool) -> None:
        self.directory = directory
        self.url = f"ws://127.0.0.1:{ports['exchange']}/"
        self.echo_url = f"ws://127.0.0.1:{ports['echo']}/"
        self.plain_port = ports["plain"]
        self.uvloop = uvloop


@contextmanager
def responder(*, uvloop: bool = False) -> Iterator[Responder]:
    """Run a responder with fresh keys while the block runs."""
    with TemporaryDirectory(prefix="cryptoproto-bench-") as name:
        directory = Path(name)
        key = cp.PrivateKey.generate()
        key.save(directory / "client.pem")
        key.public_key.save(directory / "client.pub")
        server_key = cp.PrivateKey.generate()
        server_key.save(directory / "server.pem")
        server_key.public_key.save(directory / "server.pub")
        (directory / "answer_bytes").write_text(str(response_frame_bytes()))
        arguments = command("benchmarks.machinery.responder", name, *(["uvloop"] if uvloop else []))
        with subprocess.Popen(
            arguments, cwd=ROOT, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            try:
                assert process.stdout is not None
                yield Responder(directory, json.loads(process.stdout.readline()), uvloop=uvloop)
            finally:
                assert process.stdin is not None
                process.stdin.close()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()


@contextmanager
def running(module: str, *arguments: str) -> Iterator[dict[str, Any]]:
    """Run *module* in a process while the block runs, and yield what it printed first.

    The process must end when its standard input is closed.

    Raises:
        RuntimeError: it ended before it printed anything.
    """
    with printing(module, *arguments) as printed:
        first = next(printed, None)
        if first is None:
            raise RuntimeError(f"{module} ended before it was ready; its standard error says why")
        yield first


@contextmanager
def printing(module: str, *arguments: str) -> Iterator[Iterator[dict[str, Any]]]:
    """Run *module* in a process as :func:`running` does, and yield all that it prints, as it comes."""
    with subprocess.Popen(
        command(module, *arguments), cwd=ROOT, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield map(json.loads, process.stdout)
        finally:
            process.stdin.close()
            process.wait(60)


def run_client(
    server: Responder,
    kind: str,
    *numbers: int,
    module: str = "benchmarks.machinery.connection_consumer",
    python: str = sys.executable,
    uvloop: bool = False,
) -> dict[str, Any]:
    """Run *module* in a fresh process and return what it measured.

    Args:
        server: the other end.
        kind: what the module shall do.
        numbers: how many events, how many to warm up, and what else the kind needs.
        module: prints one line of JSON.
        python: the interpreter that runs it.
        uvloop: whether to run it on uvloop; as the responder does, if that does.

    Raises:
        CalledProcessError: it failed; its traceback is on the standard error.
        TimeoutExpired: it did not end within ten minutes.
    """
    arguments = [kind, server.url, str(server.directory), *map(str, numbers)]
    done = subprocess.run(
        [python, "-m", module, *arguments, *(["uvloop"] if uvloop or server.uvloop else [])],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        check=True,
        timeout=_TIMEOUT_S,
    )
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


def response_frame_bytes() -> int:
    """The size of the frame that the responder answers a balance request with."""
    _, server = samples.open_sessions(cp.Protocol.V5)
    return len(server.response(1, samples.BALANCE))


def command(module: str, *arguments: str) -> list[str]:
    """The command line that runs *module* with this interpreter."""
    return [sys.executable, "-m", module, *arguments]


def environment() -> dict[str, str]:
    """The environment without what would turn on debug modes."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONASYNCIODEBUG", "PYTHONDEVMODE")}
