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
from typing import Any, Final

from .processes import ROOT, command, environment

__all__ = ["PROCESS", "journal_folder", "run_and_die"]

PROCESS: Final = "benchmarks.machinery.journal_process"
_TIMEOUT_S = 600


@contextmanager
def journal_folder() -> Iterator[Path]:
    """A temporary folder on the disk that the environment variable ``BENCH_DIR`` names."""
    with tempfile.TemporaryDirectory(prefix="cryptoproto-bench-", dir=os.environ.get("BENCH_DIR")) as name:
        yield Path(name)


def run_and_die(*arguments: str) -> dict[str, Any]:
    """Run a process that kills itself when it is done, and return what it printed.

    Raises:
        RuntimeError: it ended in another way.
    """
    line = command(PROCESS, *arguments)
    done = subprocess.run(line, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, timeout=_TIMEOUT_S, check=False)
    if done.returncode != -signal.SIGKILL:
        raise RuntimeError(f"{' '.join(arguments)} ended with exit code {done.returncode}")
    printed: dict[str, Any] = json.loads(done.stdout) if done.stdout else {}
    return printed
