"""The command line, run from tests.

:func:`run` runs a command in this process, which takes milliseconds. :func:`start` starts a real process, which takes
half a second: use it for what only a process shows, such as signals, kills and the exit code of a server.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final
from unittest import mock

from typer.main import get_command
from typer.testing import CliRunner

from cryptoproto import cli
from cryptoproto.cli import app as cli_app

_ROOT: Final = Path(__file__).parents[2]
_TERMINAL: Final = {"COLUMNS": "100", "NO_COLOR": "1"}
_TIMEOUT_S: Final = 60.0
"""How long a process may take to end or to write its first line; far more than any of them needs."""


@dataclass(frozen=True)
class Result:
    """What a command left: its exit code, and what it wrote to standard output and standard error."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[Any]:
        """The JSON value on each line of the output."""
        return [json.loads(line) for line in self.out.splitlines()]


def run(
    *arguments: str | Path,
    cwd: Path | None = None,
    env: Mapping[str, str | None] | None = None,
    stdin: str | bytes = b"",
) -> Result:
    """Run ``cryptoproto *arguments`` to its end in this process.

    Variables named ``CRYPTOPROTO_*`` reach the command only from *env*, never from the environment of the tests.
    Commands run their own event loop, so call this from a test that is not a coroutine;
    :class:`cryptoproto.sync.exchange.Exchange` is an exchange for such a test. Commands that handle no signals also run
    in a thread: ``await asyncio.to_thread(run, ...)``.

    Args:
        arguments: the command and its options.
        cwd: the folder to run it in.
        env: environment variables to set, or to remove if the value is None.
        stdin: what the command reads from standard input, and the answers to its prompts.
    """
    runner = CliRunner(env={**_hidden_variables(), **_TERMINAL, **(env or {})})
    with (
        chdir(cwd or Path.cwd()),
        mock.patch.object(sys, "argv", ["cryptoproto", *map(str, arguments)]),
        mock.patch.object(cli_app, "app", _command_tree()),
        runner.isolation(input=stdin) as (out, err, _),
    ):
        try:
            cli.main()
        except SystemExit as end:
            code = end.code
        sys.stdout.flush()
        sys.stderr.flush()
        written = out.getvalue().decode(), err.getvalue().decode()
    assert isinstance(code, int), f"{arguments} ended with {code!r}"
    return Result(int(code), *written)


class Shell:
    """Runs commands in one folder, with the connection to an exchange in the environment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment: dict[str, str | None] = {}

    def __call__(self, *arguments: str | Path, stdin: str = "") -> Result:
        return run(*arguments, cwd=self.folder, env=self.environment, stdin=stdin)


class Program:
    """A command that runs in a process of its own."""

    def __init__(self, process: subprocess.Popen[str], first_line: str) -> None:
        self.process = process
        self.first_line = first_line
        """The line that the program wrote when it was ready, with its newline."""

    def kill(self, signal: int) -> int:
        """Send *signal*, wait for the end, and return the exit code: -9 after a SIGKILL."""
        self.process.send_signal(signal)
        return self.process.wait(_TIMEOUT_S)


@contextmanager
def start(
    *arguments: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None, stream: str = "stdout"
) -> Iterator[Program]:
    """Start ``python -m cryptoproto *arguments`` and wait until it has written one line.

    It is killed at the end of the block if it still runs then. *env* is added to the environment, from which
    variables named ``CRYPTOPROTO_*`` are removed; *stream* is where to expect the line: ``"stdout"`` or ``"stderr"``.
    """
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "cryptoproto", *map(str, arguments)],
        cwd=cwd,
        env={**process_environment(), **_TERMINAL, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Program(process, _first_line(process, process.stdout if stream == "stdout" else process.stderr))
        finally:
            process.kill()
            process.communicate()


def process_environment(*, measured: bool = True) -> dict[str, str]:
    """The environment for a child process: the package is the one under test, and no ``CRYPTOPROTO_*`` is set.

    Args:
        measured: whether the coverage of the process may be measured, for which it imports more than it would.
    """
    environment = {name: value for name, value in os.environ.items() if name not in _hidden_variables()}
    if not measured:
        environment = {name: value for name, value in environment.items() if not name.startswith("COVERAGE_PROCESS_")}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(_ROOT), environment.get("PYTHONPATH")]))
    return environment


def _hidden_variables() -> dict[str, None]:
    return {name: None for name in os.environ if name.startswith("CRYPTOPROTO_")}


@functools.cache
def _command_tree() -> Any:
    """The commands as Typer builds them; that takes a tenth of a second, so it is done once."""
    return get_command(cli_app.app)


def _first_line(process: subprocess.Popen[str], stream: IO[str] | None) -> str:
    assert stream is not None
    too_late = threading.Timer(_TIMEOUT_S, process.kill)
    too_late.start()
    try:
        line = stream.readline()
    finally:
        too_late.cancel()
        too_late.join()
    if not line:
        out, err = process.communicate()
        raise AssertionError(f"{process.args!r} ended with {process.returncode} before it was ready: {out}{err}")
    return line
