"""What it costs to start: the import, against that of the dependencies, and the command line's list of commands."""

from __future__ import annotations

import statistics
from functools import partial
from typing import Final

from ..machinery.effort import Effort
from ..machinery.measure import in_turns
from ..machinery.report import Row
from ..machinery.start_up import DEPENDENCIES, cpu_ms

__all__ = ["ROUNDS", "rows"]

ROUNDS: Final = 9


def rows(effort: Effort) -> list[Row]:
    """CPU milliseconds of fresh interpreters, in turns."""
    dependencies = partial(cpu_ms, "-c", DEPENDENCIES)
    alone = in_turns(partial(cpu_ms, "-c", "import cryptoproto"), dependencies, effort.rounds)
    client = in_turns(partial(cpu_ms, "-c", "from cryptoproto import Client"), dependencies, effort.rounds)
    commands = statistics.median(cpu_ms("-m", "cryptoproto", "--help") for _ in range(effort.rounds))
    against = "against the import of its dependencies"
    return [
        Row.from_pairs("start-up", f"CPU of import cryptoproto, {against}", alone, unit="ms", at_most=1.15),
        Row.from_pairs("start-up-client", f"CPU of from cryptoproto import Client, {against}", client, unit="ms"),
        Row.absolute("start-up-help", "CPU of cryptoproto --help", commands, unit="ms", below=250.0),
    ]
