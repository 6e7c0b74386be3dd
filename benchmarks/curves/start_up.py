"""How long an import takes, against what it imports and against another library; and the help of the command line."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
from typing import Final

from ..machinery.curve import Bars, Drawing, Role
from ..machinery.effort import Effort
from ..machinery.processes import ROOT, environment

__all__ = ["drawings"]

_ROUNDS: Final = 9
_DEPENDENCIES: Final = (
    "import asyncio, msgspec, orjson, sqlite3, websockets.asyncio.client\n"
    "from cryptography.hazmat.primitives import serialization\n"
    "from cryptography.hazmat.primitives.asymmetric import rsa\n"
    "from cryptography.hazmat.primitives.ciphers import Cipher"
)
_STARTED: Final[dict[str, tuple[Role, list[str]]]] = {
    "Python": ("floor", ["-c", "pass"]),
    "import its dependencies": ("floor", ["-c", _DEPENDENCIES]),
    "import cryptoproto": ("ours", ["-c", "import cryptoproto"]),
    "cryptoproto --help": ("ours", ["-m", "cryptoproto", "--help"]),
    "import aiohttp": ("peer", ["-c", "import aiohttp"]),
}


def drawings(effort: Effort) -> list[Drawing]:
    """The CPU time of a process that does it and ends; all take turns."""
    taken: dict[str, list[float]] = {name: [] for name in _STARTED}
    for _ in range(effort.repeated(_ROUNDS)):
        for name, (_role, arguments) in _STARTED.items():
            taken[name].append(_cpu_ms(arguments))
    return [
        Bars(
            "start-up",
            "CPU time of a process that starts, does this and ends",
            "Median of processes that take turns, with compiled modules in the cache.",
            "CPU time, ms",
            [(name, role, statistics.median(taken[name])) for name, (role, _) in _STARTED.items()],
        )
    ]


def _cpu_ms(arguments: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000
