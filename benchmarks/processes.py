"""The processes beside the one that reports: the responder, and clients that begin in a fresh one."""

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

__all__ = ["Responder", "responder", "run_client"]

_ROOT = Path(__file__).parent.parent
_TIMEOUT_S = 600


class Responder:
    """A running responder: where it listens, and the keys in *directory* that go with it."""

    def __init__(self, directory: Path, ports: dict[str, int], *, uvloop: bool) -> None:
        self.directory = directory
        self.url = f"ws://127.0.0.1:{ports['exchange']}/"
        self.echo_url = f"ws://127.0.0.1:{ports['echo']}/"
        self.uvloop = uvloop


@contextmanager
def responder(*, uvloop: bool = False) -> Iterator[Responder]:
    """Start a responder with fresh keys; it ends with the block."""
    with TemporaryDirectory(prefix="cryptoproto-bench-") as name:
        directory = Path(name)
        key = cp.PrivateKey.generate()
        key.save(directory / "client.pem")
        key.public_key.save(directory / "client.pub")
        server_key = cp.PrivateKey.generate()
        server_key.save(directory / "server.pem")
        server_key.public_key.save(directory / "server.pub")
        (directory / "answer_bytes").write_text(str(response_frame_bytes()))
        command = _command("benchmarks.responder", name, *(["uvloop"] if uvloop else []))
        with subprocess.Popen(
            command, cwd=_ROOT, env=_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
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


def run_client(
    server: Responder, kind: str, count: int, warm_up: int, *, module: str = "benchmarks.consumer"
) -> dict[str, Any]:
    """Run *module* in a fresh process and return what it measured."""
    arguments = [kind, server.url, str(server.directory), str(count), str(warm_up)]
    done = subprocess.run(
        _command(module, *arguments, *(["uvloop"] if server.uvloop else [])),
        cwd=_ROOT,
        env=_environment(),
        stdout=subprocess.PIPE,
        check=True,
        timeout=_TIMEOUT_S,
    )
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


def response_frame_bytes() -> int:
    """How large the frame is with which the responder answers."""
    _, server = samples.open_sessions(cp.Protocol.V5)
    return len(server.response(1, samples.BALANCE))


def _command(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONASYNCIODEBUG", "PYTHONDEVMODE")}
