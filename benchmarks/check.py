"""Compare ratios with those in ``baseline.json``: ``python -m benchmarks.check``. ``--accept`` writes new ones.

A ratio that looks worse is measured again with more rounds, so that one disturbance does not raise an alarm. With
``--recorded``, the figures that the documentation shows count as the first time that each was measured. Only
ratios are compared: absolute figures say more about the machine than about the code. Rows that are not in the file are
not compared; delete those whose ratios vary too much, as those of the slowest of a thousand events do.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from . import MEASUREMENTS
from .machinery.figures import load, rows_of
from .machinery.report import Row
from .machinery.runner import Measurement, chosen, name_of, run

__all__ = ["Finding", "compare", "main"]

BASELINE: Final = Path(__file__).with_name("baseline.json")
_TOLERANCE: Final = 0.10
_ATTEMPTS: Final = 3

Measure = Callable[[str, int], list[Row]]
"""Measures the rows of the measurement with this name, with so many times the usual rounds."""


@dataclass(frozen=True)
class Finding:
    """What became of a ratio.

    Attributes:
        name: of the row.
        before: the committed ratio.
        now: the best ratio that was measured.
        change: how much worse it is, as a part of the committed one; negative if it is better.
        attempts: how many times it was measured.
    """

    name: str
    before: float
    now: float
    change: float
    attempts: int

    @property
    def is_worse(self) -> bool:
        """Whether it is worse than noise explains."""
        return self.change > _TOLERANCE


def compare(baseline: Mapping[str, float], measurements: Sequence[Measurement], measure: Measure) -> list[Finding]:
    """Measure all rows of *baseline* that *measurements* have, those that look worse up to three times.

    Each attempt takes twice the rounds of the one before; the best counts, because a disturbance makes a ratio worse
    and hardly ever better.
    """
    findings: list[Finding] = []
    for measurement in measurements:
        found: dict[str, Finding] = {}
        for attempt in range(1, _ATTEMPTS + 1):
            for row in measure(name_of(measurement), 2 ** (attempt - 1)):
                if row.name in baseline:
                    finding = _finding(row, baseline[row.name], attempt)
                    best = min(finding, found.get(row.name, finding), key=lambda each: each.change)
                    found[row.name] = replace(best, attempts=attempt)
            if not any(each.is_worse for each in found.values()):
                break
        findings += found.values()
    return findings


def _finding(row: Row, before: float, attempt: int) -> Finding:
    # A target of ">=" says that more is better; without one, a ratio is a cost.
    change = before / row.value - 1 if row.target.startswith(">=") else row.value / before - 1
    return Finding(row.name, before, row.value, change, attempt)


def main(baseline: Path = BASELINE) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.check", description="Say which ratios became worse.")
    parser.add_argument("--only", metavar="NAME", help="one measurement, or all that start with NAME and a dash")
    parser.add_argument("--accept", action="store_true", help="write what is measured now as the new baseline")
    parser.add_argument("--recorded", action="store_true", help="begin with the figures in the documentation")
    options = parser.parse_args()
    measurements: Sequence[Measurement] = MEASUREMENTS
    if options.only is not None:
        try:
            measurements = chosen(MEASUREMENTS, options.only)
        except ValueError as error:
            parser.error(f"--only: {error}")
    known: dict[str, float] = json.loads(baseline.read_text()) if baseline.exists() else {}
    if options.accept:
        rows = _recorded(measurements) if options.recorded else run(measurements)
        ratios = {row.name: round(row.value, 3) for row in rows if row.floor is not None}
        baseline.write_text(json.dumps(dict(sorted((known | ratios).items())), indent=1) + "\n")
        print(f"{len(ratios)} ratios written to {baseline}")
        return
    if not known:
        parser.error(f"there is no {baseline}; measure one with --accept")
    measurements = [each for each in measurements if _is_compared(name_of(each), known)]
    if not measurements:
        parser.error(f"--only: {baseline} has no ratio of {options.only}; add it with --accept, if it is one")
    with Console(stderr=True).status("measuring") as status:

        def measure(name: str, times: int) -> list[Row]:
            (measurement,) = (each for each in measurements if name_of(each) == name)
            if options.recorded and times == 1 and (rows := _recorded([measurement])):
                return rows
            status.update(f"measuring: {name}" + (f", {times} times the rounds" if times > 1 else ""))
            return run([measurement], rounds=times * measurement.ROUNDS)

        findings = compare(known, measurements, measure)
    Console().print(_table(findings))
    worse = [each.name for each in findings if each.is_worse]
    if worse:
        sys.exit(f"worse by more than {_TOLERANCE:.0%}, each time that it was measured: {', '.join(worse)}")


def _recorded(measurements: Sequence[Measurement]) -> list[Row]:
    """The recorded rows of *measurements*."""
    names = {name_of(each) for each in measurements}
    rows = rows_of("benchmarks", load())
    return [row for row in rows if _measured_by(row.name) in names]


def _measured_by(row: str) -> str:
    """The name of the measurement that has this row: the longest that the name of the row starts with."""
    return max((name for name in map(name_of, MEASUREMENTS) if f"{row}-".startswith(f"{name}-")), key=len, default="")


def _is_compared(name: str, baseline: Mapping[str, float]) -> bool:
    """Whether a row of the measurement with this name is in *baseline*."""
    return any(_measured_by(row) == name for row in baseline)


def _table(findings: Sequence[Finding]) -> Table:
    table = Table(title="ratios against the committed ones")
    for name in ("row", "committed", "now", "change", "measured"):
        table.add_column(name, justify="left" if name == "row" else "right", no_wrap=True)
    for each in findings:
        text = f"{each.change:+.0%} {'worse' if each.change > 0 else 'better'}" if abs(each.change) >= 0.005 else "none"
        color = "red" if each.is_worse else "green" if each.change < -_TOLERANCE else "none"
        table.add_row(
            each.name, f"{each.before:.2f}", f"{each.now:.2f}", f"[{color}]{text}[/]", f"{each.attempts} x"
        )  # fmt: skip
    return table


if __name__ == "__main__":
    main()
