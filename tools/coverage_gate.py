"""Check the coverage of each room: ``python -m tools.coverage_gate coverage.json``.

Reads the JSON report of coverage.py, prints a table by room, and names every module and line that a room misses. The
exit code is 1 if a room is below its limit. With ``--own`` it lists the modules that are not mostly covered by their
own test file instead; the report needs contexts (``make coverage CONTEXTS=1``).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any, Final

COMPLETE: Final = frozenset({"client", "connection", "keys", "messages", "wire"})
"""The rooms that every other one depends on: all lines and branches are covered."""

LIMIT: Final = 98.0
"""Per cent of lines and branches that any other room has to reach."""

MOSTLY: Final = 0.8
"""The share of a module's covered lines that its own test file has to reach to be named as its test."""

Files = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Room:
    """The coverage of one room; lines and branches count alike."""

    name: str
    covered: int
    total: int
    gaps: tuple[str, ...]

    @property
    def percent(self) -> float:
        return 100.0 * self.covered / self.total if self.total else 100.0

    @property
    def limit(self) -> float:
        return 100.0 if self.name in COMPLETE else LIMIT

    @property
    def passes(self) -> bool:
        return self.percent >= self.limit


def room_of(path: str) -> str:
    """The room that a file belongs to: its folder below the package, or its own name on the ground floor."""
    below = PurePosixPath(path).parts[1:]
    return below[0] if len(below) > 1 else PurePosixPath(path).stem


def rooms(files: Files) -> list[Room]:
    """The rooms in the report, by name."""
    found: dict[str, list[tuple[str, Mapping[str, Any]]]] = defaultdict(list)
    for path, measured in files.items():
        found[room_of(path)].append((path, measured))
    return [
        Room(
            name,
            sum(m["summary"]["covered_lines"] + m["summary"].get("covered_branches", 0) for _, m in modules),
            sum(m["summary"]["num_statements"] + m["summary"].get("num_branches", 0) for _, m in modules),
            tuple(f"{path}: {gap}" for path, m in sorted(modules) if (gap := _gap(m))),
        )
        for name, modules in sorted(found.items())
    ]


def _gap(measured: Mapping[str, Any]) -> str:
    lines = set(measured["missing_lines"])
    branches = [
        f"{start}->{'exit' if end < 0 else end}"
        for start, end in measured.get("missing_branches", ())
        if start not in lines
    ]
    return ", ".join([*_ranges(sorted(lines)), *branches])


def _ranges(numbers: list[int]) -> list[str]:
    """``[1, 2, 3, 7]`` as ``["1-3", "7"]``."""
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return [str(first) if first == last else f"{first}-{last}" for first, last in found]


def own_share(path: str, measured: Mapping[str, Any]) -> float:
    """How much of what tests cover in a module its own test file covers, too; lines run at import do not count."""
    module = PurePosixPath(path)
    tests = PurePosixPath("tests", *module.parent.parts[1:])
    names = (f"{tests}/test_{module.stem}.py", f"{tests}/test_{module.stem}_*.py")
    covered = [[test for test in tests if test] for tests in measured.get("contexts", {}).values()]
    reached = [
        any(fnmatch(test.partition("::")[0], name) for test in line for name in names) for line in covered if line
    ]
    return sum(reached) / len(reached) if reached else 1.0


def main(arguments: list[str] | None = None) -> int:
    """Print the table; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path)
    parser.add_argument("--own", action="store_true", help="list modules not mostly covered by their own test file")
    options = parser.parse_args(arguments)
    files: Files = json.loads(options.report.read_text())["files"]
    if options.own:
        if not any("contexts" in measured for measured in files.values()):
            parser.error(f"{options.report} does not say which test reaches a line: run make coverage CONTEXTS=1")
        for path, measured in sorted(files.items()):
            if not path.endswith("__init__.py") and (share := own_share(path, measured)) < MOSTLY:
                print(f"{share:6.0%}  {path}")
        return 0
    measured_rooms = rooms(files)
    for room in measured_rooms:
        print(
            f"{room.name:<20} {room.percent:7.2f} %  of {room.limit:g} %  {'' if room.passes else 'MISSING'}".rstrip()
        )
    for room in measured_rooms:
        if not room.passes:
            print(f"\n{room.name}:", *room.gaps, sep="\n  ")
    return 0 if all(room.passes for room in measured_rooms) else 1


if __name__ == "__main__":
    sys.exit(main())
