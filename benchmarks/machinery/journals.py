"""The processes of the journal's rows, and the folder for their files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .processes import ROOT, command, environment

__all__ = ["journal_folder", "run_and_die", "running"]

_MODULE = "benchmarks.machinery.journal_process"
_TIMEOUT_S = 600


@contextmanager
def journal_folder() -> Iterator[Path]:
    """A temporary folder on the disk that the environment variable ``BENCH_DIR`` names."""
    with tempfile.TemporaryDirectory(prefix="cryptoproto-bench-", dir=os.environ.get("BENCH_DIR")) as name:
        yield Path(name)


@contextmanager
def running(*arguments: str) -> Iterator[dict[str, Any]]:
    """Run a process while the block runs, and yield what it printed first."""
    with subprocess.Popen(
        command(_MODULE, *arguments), cwd=ROOT, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            printed: dict[str, Any] = json.loads(process.stdout.readline())
            yield printed
        finally:
            process.stdin.close()
            process.wait(60)


def run_and_die(*arguments: str) -> dict[str, Any]:
    """Run a process that kills itself when it is done, and return what it printed.

    Raises:
        RuntimeError: it ended in another way.
    """
    line = command(_MODULE, *arguments)
    done = subprocess.run(line, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, timeout=_TIMEOUT_S, check=False)
    if done.returncode != -signal.SIGKILL:
        raise RuntimeError(f"{' '.join(arguments)} ended with exit code {done.returncode}")
    printed: dict[str, Any] = json.loads(done.stdout) if done.stdout else {}
    return printed
