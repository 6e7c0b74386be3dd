"""What it costs to start: the import, against that of the dependencies, and the command line's list of commands."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from functools import partial
from typing import Final

from ..machinery.effort import Effort
from ..machinery.measure import in_turns
from ..machinery.processes import ROOT, environment
from ..machinery.report import Row

__all__ = ["ROUNDS", "rows"]

ROUNDS: Final = 9

_DEPENDENCIES: Final = (
    "import asyncio, orjson, platformdirs, sqlite3, ssl, msgspec, xdrlib3, websockets.client; "
    "from cryptography.hazmat.primitives import ciphers, serialization; "
    "from cryptography.hazmat.primitives.asymmetric import rsa"
)


def rows(effort: Effort) -> list[Row]:
    """CPU milliseconds of fresh interpreters, in turns."""
    dependencies = partial(_cpu_ms, "-c", _DEPENDENCIES)
    alone = in_turns(partial(_cpu_ms, "-c", "import cryptoproto"), dependencies, effort.rounds)
    client = in_turns(partial(_cpu_ms, "-c", "from cryptoproto import Client"), dependencies, effort.rounds)
    commands = statistics.median(_cpu_ms("-m", "cryptoproto", "--help") for _ in range(effort.rounds))
    against = "against the imports of its dependencies (CPU)"
    return [
        Row.from_pairs("start-up", f"import cryptoproto, {against}", alone, unit="ms", at_most=1.15),
        Row.from_pairs("start-up-client", f"from cryptoproto import Client, {against}", client, unit="ms"),
        Row.absolute("start-up-help", "cryptoproto --help (CPU)", commands, unit="ms", below=250.0),
    ]


def _cpu_ms(*arguments: str) -> float:
    with subprocess.Popen(
        [sys.executable, *arguments], cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL
    ) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return (usage.ru_utime + usage.ru_stime) * 1000
