"""How long an exchange takes to start from a large journal.

The journal was cut off just before its next snapshot, the worst moment; a fresh process opens it.
"""

from __future__ import annotations

import statistics
from typing import Any, Final

from cryptoproto.exchange.journal import SNAPSHOT_EVERY

from ..machinery.effort import Effort
from ..machinery.journals import journal_folder, run_and_die
from ..machinery.report import Row

__all__ = ["ROUNDS", "rows"]

ROUNDS: Final = 3


def rows(effort: Effort) -> list[Row]:
    """The seconds of a restart, and how they grow with ten times as many events."""
    few, many = effort.scaled(100_000), effort.scaled(1_000_000)
    commands = effort.scaled(SNAPSHOT_EVERY - 1)
    seconds: dict[int, float] = {}
    about: dict[str, Any] = {}
    with journal_folder() as folder:
        for events in (few, many):
            path = str(folder / f"restart-{events}.db")
            run_and_die("fill", path, str(events), str(commands))
            measured = [run_and_die("restart", path) for _ in range(effort.rounds)]
            about = measured[0]
            seconds[events] = statistics.median(each["seconds"] for each in measured)
    title = f"restart with {about['events']:,} events, {about['again']:,} commands applied again"
    growth = f"the same with {many:,} events, against {few:,}"
    return [
        Row.absolute("journal-restart", title, seconds[many], unit="s", below=10.0),
        Row.from_pairs("journal-restart-growth", growth, [(seconds[many], seconds[few])], unit="s"),
    ]
