"""What was measured, as a table for people and as JSON for programs."""

from __future__ import annotations

import json
import os
import platform
import sys
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rich.table import Table

from .measure import Pair, medians

__all__ = ["Row", "as_dict", "machine", "table", "write_json"]

RESULTS = Path(__file__).parents[1] / "results"
_LIBRARIES = (
    "cryptoproto",
    "cryptography",
    "msgspec",
    "orjson",
    "picows",
    "websockets",
    "aiohttp",
    "xdrlib3",
    "uvloop",
    "zstandard",
)


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        name: the name of the file in ``benchmarks/rows``, with dashes, and perhaps a suffix.
        title: what is measured, and what it is compared with.
        unit: of *ours* and *floor*.
        ours: the median of our rounds.
        floor: the median of what ours is compared with; ``None`` if there is nothing to compare with.
        value: what the target is about: a ratio, or without a floor, the quantity itself.
        target: as a person would write it; empty if there is none.
        reached: whether the target is reached; ``None`` if there is none.
        rounds: what each round measured.
    """

    name: str
    title: str
    unit: str
    ours: float
    floor: float | None
    value: float
    target: str
    reached: bool | None
    rounds: list[Pair] = field(default_factory=list)

    @classmethod
    def from_pairs(
        cls,
        name: str,
        title: str,
        pairs: list[Pair],
        *,
        unit: str,
        at_most: float | None = None,
        at_least: float | None = None,
        times_faster: float | None = None,
    ) -> Row:
        """A row whose value is a ratio, with at most one target.

        Args:
            name: of the row.
            title: of the row.
            pairs: what each round measured.
            unit: of what was measured.
            at_most: the highest ratio of ours to the floor that reaches the target, for a cost.
            at_least: the lowest, for a rate.
            times_faster: the lowest ratio of the floor to ours, for a cost that should be a fraction of the floor.
        """
        ours, floor, ratio = medians(pairs)
        if times_faster is not None:
            _, _, ratio = medians([(other, mine) for mine, other in pairs])
            return cls(name, title, unit, ours, floor, ratio, f">= {times_faster:g} x", ratio >= times_faster, pairs)
        if at_most is not None:
            return cls(name, title, unit, ours, floor, ratio, f"<= {at_most:g} x", ratio <= at_most, pairs)
        if at_least is not None:
            return cls(name, title, unit, ours, floor, ratio, f">= {at_least:g} x", ratio >= at_least, pairs)
        return cls(name, title, unit, ours, floor, ratio, "", None, pairs)

    @classmethod
    def absolute(cls, name: str, title: str, value: float, *, unit: str, below: float | None = None) -> Row:
        """A row without a floor: its value is the quantity itself."""
        if below is None:
            return cls(name, title, unit, value, None, value, "", None)
        return cls(name, title, unit, value, None, value, f"< {below:g} {unit}".rstrip(), value < below)


def table(rows: list[Row]) -> Table:
    """The rows for a terminal."""
    made = Table(title="cryptoproto benchmarks")
    made.add_column("row", no_wrap=True)
    made.add_column("what", overflow="fold")
    for column in ("ours", "compared with", "value", "target"):
        made.add_column(column, justify="right", no_wrap=True)
    made.add_column("reached")
    for row in rows:
        made.add_row(
            row.name,
            row.title,
            f"{row.ours:,.{_digits(row.ours)}f} {row.unit}",
            "" if row.floor is None else f"{row.floor:,.{_digits(row.floor)}f} {row.unit}",
            f"{row.value:.2f} {row.unit if row.floor is None else 'x'}",
            row.target,
            {True: "[green]yes", False: "[red]no", None: ""}[row.reached],
        )
    return made


def _digits(number: float) -> int:
    return 0 if number >= 1000 else 1 if number >= 100 else 2


def machine(*, uvloop: bool = False) -> dict[str, Any]:
    """What it was measured on."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "load_average": os.getloadavg()[0],
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {sys.version.split()[0]}",
        "event_loop": "uvloop" if uvloop else "asyncio",
        "libraries": _versions(),
    }


def _versions() -> dict[str, str]:
    versions = {}
    for name in _LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue  # of an extra that these measurements do not need
    return versions


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def as_dict(rows: list[Row], *, uvloop: bool = False) -> dict[str, Any]:
    """Everything, for JSON."""
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(uvloop=uvloop),
        "rows": [asdict(row) for row in rows],
    }


def write_json(document: dict[str, Any]) -> Path:
    """Write *document* to a new file in ``benchmarks/results/``."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{document['measured_at'].replace(':', '')[:17]}.json"
    path.write_text(json.dumps(document, indent=2) + "\n")
    return path
