"""The command line of the simulation."""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import sqlite3
import sys
import time
import traceback
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from cryptoproto import __version__
from tests.support.simulation.mutants import MUTANTS, hunt
from tests.support.simulation.plan import Plan, draw
from tests.support.simulation.run import Result, simulate
from tests.support.simulation.shrinker import shrink

__all__ = ["Totals", "main", "report"]

_BLOCK = 50


class Totals:
    """What many worlds came to.

    Attributes:
        failed: the seeds of those that failed.
    """

    def __init__(self) -> None:
        self.failed: list[int] = []
        self._counts = dict.fromkeys(("worlds", "calls", "events", "connections", "faults", "rewound", "unnoticed"), 0)
        self._seconds = 0.0

    def add(self, seed: int, row: dict[str, float], failure: str) -> None:
        for name in self._counts:
            self._counts[name] += int(row[name])
        self._seconds += row["seconds"]
        if failure:
            self.failed.append(seed)

    def summary(self, first: int, last: int, duration: float) -> dict[str, Any]:
        return {
            "first_seed": first,
            "last_seed": last,
            "failed": self.failed,
            **self._counts,
            "processor_seconds": round(self._seconds, 1),
            "duration_seconds": round(duration, 1),
            "cryptoproto": __version__,
            "python": platform.python_version(),
            "sqlite": sqlite3.sqlite_version,
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        }


def row_of(result: Result) -> dict[str, float]:
    """The figures of one world."""
    names = ("calls", "events", "connections", "rewound", "unnoticed", "seconds")
    row: dict[str, float] = {name: getattr(result, name) for name in names}
    return row | {"worlds": 1, "faults": len(result.plan.faults)}


def report(result: Result, kept: list[int] | None = None) -> str:
    """The plan of a world that failed, why it failed, and the command that runs it again."""
    keep = "" if kept is None else f" KEEP={','.join(map(str, kept)) or 'none'}"
    why = "".join(traceback.format_exception(result.failure))
    return f"{result.plan}\n{why}Again: make simulate START={result.plan.seed} SEEDS=1{keep}\n"


def _block(seeds: list[int]) -> list[tuple[int, dict[str, float], str]]:
    gc.freeze()
    rows = []
    for seed in seeds:
        result = simulate(draw(seed))
        rows.append((seed, row_of(result), "" if result.failure is None else report(result)))
    return rows


def _run_many(start: int, seeds: int, jobs: int, summary: Path | None) -> Totals:
    """Run the worlds; the summary is written after each block, so a run that is stopped has one, too."""
    totals, begun = Totals(), time.monotonic()
    blocks = [list(range(first, min(first + _BLOCK, start + seeds))) for first in range(start, start + seeds, _BLOCK)]
    with ProcessPoolExecutor(jobs) if jobs > 1 else nullcontext() as pool:
        for rows in map(_block, blocks) if pool is None else pool.map(_block, blocks):
            for seed, row, failure in rows:
                totals.add(seed, row, failure)
                if failure:
                    sys.stdout.write(f"{failure}\n")
            last = rows[-1][0]
            text = json.dumps(totals.summary(start, last, time.monotonic() - begun), indent=2)
            if summary is not None:
                summary.write_text(f"{text}\n")
            sys.stdout.write(f"to seed {last}: {len(totals.failed)} failed\n")
            sys.stdout.flush()
    sys.stdout.write(f"{text}\n")
    return totals


def _run_one(plan: Plan, *, trace: bool) -> int:
    result = simulate(plan, verbose=trace)
    if result.failure is None:
        sys.stdout.write(f"{plan}\nall is well; trace {result.digest}\n")
        return 0
    kept, shortest = shrink(plan)
    sys.stdout.write(f"{report(result)}\n{len(kept)} of {len(plan.faults)} faults are enough:\n\n")
    sys.stdout.write(report(shortest, kept))
    return 1


def _hunt_mutants(seeds: int) -> int:
    survivors = 0
    for mutant in MUTANTS:
        result = hunt(mutant, 0, seeds)
        survivors += result is None
        found = "survives" if result is None else f"seed {result.plan.seed}: {result.what[:80]}"
        sys.stdout.write(f"{mutant.name:<55} {found}\n")
        sys.stdout.flush()
    return 1 if survivors else 0


def main(arguments: list[str] | None = None) -> int:
    """Run the worlds that *arguments* name; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.simulation")
    parser.add_argument("--seeds", type=int, default=1, help="how many worlds; a single one that fails is made short")
    parser.add_argument("--start", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--keep", help="of a single world: only these faults of the plan, by number, as 0,3; or none")
    parser.add_argument("--trace", action="store_true", help="of a single world: write everything that happens")
    parser.add_argument("--summary", type=Path, help="write the totals to this file, as JSON")
    parser.add_argument("--mutants", action="store_true", help="find the first seed that finds each mutant")
    options = parser.parse_args(arguments)
    if options.mutants:
        return _hunt_mutants(options.seeds)
    if options.seeds == 1:
        plan = draw(options.start)
        if options.keep is not None:
            plan = plan.keeping([int(place) for place in options.keep.split(",") if place.isdigit()])
        return _run_one(plan, trace=options.trace)
    totals = _run_many(options.start, options.seeds, options.jobs, options.summary)
    return 1 if totals.failed else 0
