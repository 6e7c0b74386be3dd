"""The command line of the simulation."""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from cryptoproto import __version__
from tests.support.run_summary import commit, machine, versions
from tests.support.simulation.gateway_mutants import GATEWAY_MUTANTS
from tests.support.simulation.mutants import MUTANTS, Mutant, hunt
from tests.support.simulation.plan import Plan, draw, draw_with_gateways
from tests.support.simulation.run import Result, simulate
from tests.support.simulation.shrinker import shrink

__all__ = ["Totals", "main", "report"]

_BLOCK = 50


class Totals:
    """What many worlds came to.

    Attributes:
        first: the seed of the first world.
        next: the seed after that of the last one.
        failed: the seeds of those that failed.
    """

    def __init__(self, first: int) -> None:
        self.first = self.next = first
        self.failed: list[int] = []
        self._counts = dict.fromkeys(("worlds", "calls", "events", "connections", "faults", "rewound", "unnoticed"), 0)
        self._seconds = {"processor_seconds": 0.0, "duration_seconds": 0.0}
        self._commits: list[str] = []

    @classmethod
    def of(cls, path: Path, first: int) -> Totals:
        """Those of a run that was stopped.

        Raises:
            ValueError: it was a run from another seed on.
        """
        totals, known = cls(first), json.loads(path.read_text())
        if known["first_seed"] != first:
            raise ValueError(f"{path} is the summary of a run from seed {known['first_seed']} on, and not {first}")
        totals.next = known["last_seed"] + 1
        totals.failed = known["failed"]
        totals._commits = known["commits"]
        for part in (totals._counts, totals._seconds):
            part.update((name, known[name]) for name in part)
        return totals

    def add(self, seed: int, row: dict[str, float], failure: str) -> None:
        """The world of *seed* has ended."""
        self.next = seed + 1
        for name in self._counts:
            self._counts[name] += int(row[name])
        self._seconds["processor_seconds"] += row["seconds"]
        if failure:
            self.failed.append(seed)

    def took(self, seconds: float, commit: str) -> None:
        """Some worlds have taken so long, with the code of *commit*."""
        self._seconds["duration_seconds"] += seconds
        if commit not in self._commits:
            self._commits.append(commit)

    def summary(self) -> dict[str, Any]:
        """What is written down."""
        return {
            "first_seed": self.first,
            "last_seed": self.next - 1,
            "failed": self.failed,
            **self._counts,
            **{name: round(seconds, 1) for name, seconds in self._seconds.items()},
            "commits": self._commits,
            "cryptoproto": __version__,
            "versions": versions(),
            "machine": machine(),
        }


def row_of(result: Result) -> dict[str, float]:
    """The figures of one world."""
    names = ("calls", "events", "connections", "rewound", "unnoticed", "seconds")
    row: dict[str, float] = {name: getattr(result, name) for name in names}
    return row | {"worlds": 1, "faults": len(result.plan.faults)}


def report(result: Result, kept: list[int] | None = None) -> str:
    """The plan of a world that failed, why it failed, and the command that runs it again."""
    keep = "" if kept is None else f" KEEP={','.join(map(str, kept)) or 'none'}"
    gateways = " GATEWAYS=1" if result.plan.has_gateways else ""
    why = "".join(traceback.format_exception(result.failure))
    return f"{result.plan}\n{why}Again: make simulate START={result.plan.seed} SEEDS=1{gateways}{keep}\n"


def _block(draw: Callable[[int], Plan], seeds: list[int]) -> list[tuple[int, dict[str, float], str]]:
    gc.freeze()
    rows = []
    for seed in seeds:
        result = simulate(draw(seed))
        rows.append((seed, row_of(result), "" if result.failure is None else report(result)))
    return rows


def _run_many(draw: Callable[[int], Plan], start: int, seeds: int, jobs: int, summary: Path | None) -> Totals:
    """Run the worlds. The summary is written after each block; a run that was stopped goes on after the last one."""
    totals = Totals(start) if summary is None or not summary.exists() else Totals.of(summary, start)
    now, begun = commit(), time.monotonic()
    firsts = range(totals.next, start + seeds, _BLOCK)
    blocks = [list(range(first, min(first + _BLOCK, start + seeds))) for first in firsts]
    with ProcessPoolExecutor(jobs) if jobs > 1 else nullcontext() as pool:
        block = partial(_block, draw)
        for rows in map(block, blocks) if pool is None else pool.map(block, blocks):
            for seed, row, failure in rows:
                totals.add(seed, row, failure)
                if failure:
                    sys.stdout.write(f"{failure}\n")
            totals.took(time.monotonic() - begun, now)
            begun = time.monotonic()
            if summary is not None:
                _replace(summary, _text(totals))
            sys.stdout.write(f"to seed {totals.next - 1}: {len(totals.failed)} failed\n")
            sys.stdout.flush()
    sys.stdout.write(_text(totals))
    return totals


def _text(totals: Totals) -> str:
    return f"{json.dumps(totals.summary(), indent=2)}\n"


def _replace(path: Path, text: str) -> None:
    """Write a file so that it is whole at any moment."""
    new = path.with_name(f"{path.name}.new")
    new.write_text(text)
    new.replace(path)


def _run_one(plan: Plan, *, trace: bool) -> int:
    result = simulate(plan, verbose=trace)
    if result.failure is None:
        sys.stdout.write(f"{plan}\nall is well; trace {result.digest}\n")
        return 0
    kept, shortest = shrink(plan)
    sys.stdout.write(f"{report(result)}\n{len(kept)} of {len(plan.faults)} faults are enough:\n\n")
    sys.stdout.write(report(shortest, kept))
    return 1


def _hunt_mutants(mutants: Sequence[Mutant], draw: Callable[[int], Plan], start: int, seeds: int) -> int:
    survivors = 0
    for mutant in mutants:
        result = hunt(mutant, start, seeds, draw)
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
    parser.add_argument("--summary", type=Path, help="write the totals to this file; a run that was stopped goes on")
    parser.add_argument("--gateways", action="store_true", help="worlds in which gateways share one more session")
    parser.add_argument("--mutants", action="store_true", help="find the first seed that finds each mutant")
    options = parser.parse_args(arguments)
    draws = draw_with_gateways if options.gateways else draw
    if options.mutants:
        mutants = GATEWAY_MUTANTS if options.gateways else MUTANTS
        return _hunt_mutants(mutants, draws, options.start, options.seeds)
    if options.seeds == 1:
        plan = draws(options.start)
        if options.keep is not None:
            plan = plan.keeping([int(place) for place in options.keep.split(",") if place.isdigit()])
        return _run_one(plan, trace=options.trace)
    totals = _run_many(draws, options.start, options.seeds, options.jobs, options.summary)
    return 1 if totals.failed else 0
