"""How long an import takes, against what it imports and against another library; and the help of the command line."""

from __future__ import annotations

import statistics
from typing import Final

from ..machinery.curve import Bars, Drawing, Role
from ..machinery.effort import Effort
from ..machinery.start_up import DEPENDENCIES, cpu_ms

__all__ = ["drawings"]

_ROUNDS: Final = 9
_STARTED: Final[dict[str, tuple[Role, list[str]]]] = {
    "Python": ("floor", ["-c", "pass"]),
    "import its dependencies": ("floor", ["-c", DEPENDENCIES]),
    "import cryptoproto": ("ours", ["-c", "import cryptoproto"]),
    "from cryptoproto import Client": ("ours", ["-c", "from cryptoproto import Client"]),
    "cryptoproto --help": ("ours", ["-m", "cryptoproto", "--help"]),
    "import aiohttp": ("peer", ["-c", "import aiohttp"]),
}


def drawings(effort: Effort) -> list[Drawing]:
    """The CPU time of a process that does it and ends; all take turns."""
    taken: dict[str, list[float]] = {name: [] for name in _STARTED}
    for _ in range(effort.repeated(_ROUNDS)):
        for name, (_role, arguments) in _STARTED.items():
            taken[name].append(cpu_ms(*arguments))
    return [
        Bars(
            "start-up",
            "CPU time of a process that starts, does this and ends",
            "Median of processes that take turns, with compiled modules in the cache.",
            "CPU time, ms",
            [(name, role, statistics.median(taken[name])) for name, (role, _) in _STARTED.items()],
        )
    ]
