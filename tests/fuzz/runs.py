"""The record of long runs: how many inputs each target has read, and the summary for people."""

from __future__ import annotations

import json
import platform
import subprocess
from collections import Counter, defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from tests.fuzz import guided
from tests.fuzz.explore import Explored

__all__ = ["RUNS", "SUMMARY", "inputs_read", "record", "summary", "times_run"]

_FOLDER: Final = Path(__file__).parent
_MANY: Final = 10_000_000
RUNS: Final = _FOLDER / "runs.jsonl"
SUMMARY: Final = _FOLDER / "SUMMARY.md"

_HEAD: Final = """\
# Inputs read so far

Written by `python -m tests.fuzz --record`; `runs.jsonl` has each run with its commit, versions and date. A run that
ended with a finding is not counted. "By chance" are inputs that were made up without a look at the code's coverage.

{targets} targets have read {inputs:,} inputs in {hours:.1f} hours: {guided:,} guided by coverage, {chance:,} by chance.
{enough} of them have read {many:,} or more.

| target | inputs | guided by coverage | by chance | seconds | versions | last commit |
| --- | ---: | ---: | ---: | ---: | --- | --- |
"""


def record(target: str, engine: str, done: Explored) -> None:
    """Add one run, and write the summary anew."""
    git = subprocess.run(["git", "rev-parse", "--short=10", "HEAD"], capture_output=True, text=True, check=False)
    run = {
        "target": target,
        "engine": engine,
        "inputs": done.inputs,
        "seconds": round(done.seconds, 1),
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "atheris": guided.version() if engine == "atheris" else None,
        "commit": git.stdout.strip(),
    }
    with RUNS.open("a") as file:
        file.write(json.dumps(run) + "\n")
    SUMMARY.write_text(summary(recorded()))


def recorded() -> list[dict[str, Any]]:
    """All runs so far."""
    return [json.loads(line) for line in RUNS.read_text().splitlines()] if RUNS.exists() else []


def inputs_read() -> Counter[str]:
    """How many inputs each target has read in all runs."""
    read: Counter[str] = Counter()
    for run in recorded():
        read[run["target"]] += run["inputs"]
    return read


def times_run(target: str) -> int:
    """How often a target was run."""
    return sum(run["target"] == target for run in recorded())


def summary(runs: list[dict[str, Any]]) -> str:
    """The table of all runs, a line for each target."""
    by_target: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for run in runs:
        by_target[run["target"]].append(run)
    lines = []
    total: Counter[str] = Counter()
    enough = 0
    for target, each in sorted(by_target.items()):
        inputs = {
            engine: sum(run["inputs"] for run in each if run["engine"] == engine) for engine in ("atheris", "chance")
        }
        total.update(inputs)
        enough += sum(inputs.values()) >= _MANY
        versions = sorted(
            {f"Python {run['python']}" for run in each}
            | {f"atheris {run['atheris']}" for run in each if run["atheris"]}
        )
        lines.append(
            f"| {target} | {sum(inputs.values()):,} | {inputs['atheris']:,} | {inputs['chance']:,} "
            f"| {sum(run['seconds'] for run in each):,.0f} | {', '.join(versions)} | {each[-1]['commit']} |\n"
        )
    head = _HEAD.format(
        targets=len(by_target),
        inputs=total.total(),
        hours=sum(run["seconds"] for run in runs) / 3600,
        guided=total["atheris"],
        chance=total["chance"],
        enough=enough,
        many=_MANY,
    )
    return head + "".join(lines)
