"""Writes recorded figures into the pages that show them: all into ``docs/performance.md``, a few into the README.

In the first, the heading of a section names the command whose rows its table has. A table begins with its head, which
stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from .figures import rows_of
from .processes import ROOT
from .report import Row

__all__ = ["IN_THE_README", "filled_page", "filled_readme", "write"]

IN_THE_README: Final = (
    "receive",
    "receive-batches",
    "round-trip",
    "decode",
    "prepared",
    "prepared-not",
    "client-memory",
    "client-sqlite",
    "tail-place",
    "tail-place-p99",
    "tail-events",
    "memory",
    "start-up",
    "engine-orders-crossing",
    "journal-orders-time",
)
"""The rows that say most to somebody who trades, in this order."""

_SECTION: Final = re.compile(r"^## .*`python -m ([\w.]+)`$", re.MULTILINE)
_TABLE: Final = re.compile(r"(?<=^\| what is measured)(.*\n\|.*\n)(?:\|.*\n)*", re.MULTILINE)
_ABOUT: Final = re.compile(r"^Measured on .*$", re.MULTILINE)


def write(recorded: Mapping[str, Any], root: Path = ROOT) -> list[Path]:
    """Fill both pages below *root*, and return their paths."""
    written = []
    for path, fill in ((root / "docs/performance.md", filled_page), (root / "README.md", filled_readme)):
        path.write_text(fill(path.read_text(), recorded))
        written.append(path)
    return written


def filled_page(text: str, recorded: Mapping[str, Any]) -> str:
    """The page with the rows of each command in its section."""
    begins = [found.start() for found in _SECTION.finditer(text)]
    parts = [text[: begins[0]]]
    for begin, end in zip(begins, [*begins[1:], len(text)], strict=True):
        section = text[begin:end]
        found = _SECTION.match(section)
        assert found is not None
        parts.append(_with_rows(section, rows_of(found[1], recorded)))
    return _with_machine("".join(parts), recorded)


def filled_readme(text: str, recorded: Mapping[str, Any]) -> str:
    """The README with the rows of :data:`IN_THE_README`."""
    rows = {row.name: row for command in recorded["commands"] for row in rows_of(command, recorded)}
    return _with_machine(_with_rows(text, [rows[name] for name in IN_THE_README if name in rows]), recorded)


def _with_rows(text: str, rows: Sequence[Row]) -> str:
    lines = "".join(f"{_line(row)}\n" for row in rows)
    return _TABLE.sub(lambda found: found[1] + lines, text, count=1)


def _with_machine(text: str, recorded: Mapping[str, Any]) -> str:
    about = recorded["machine"]
    measured = sorted(row["measured_at"][:10] for rows in recorded["commands"].values() for row in rows)
    days = measured[0] if measured[0] == measured[-1] else f"{measured[0]} to {measured[-1]}"
    picows = about["libraries"].get("picows", "missing")
    line = (
        f"Measured on {about['cpu']}, {about['cores']} cores, a shared virtual machine; {about['python']}, plain "
        f"{about['event_loop']}, picows {picows}; {days}."
    )
    return _ABOUT.sub(lambda _: line, text, count=1)


def _line(row: Row) -> str:
    reached = {True: "reached", False: "**not reached**", None: ""}[row.reached]
    target = row.target.replace("<=", "≤").replace(">=", "≥").removesuffix(" x").replace(" us", " µs")
    digits = ".2f" if row.value >= 0.1 else ".2g"
    compared, ratio = ("", "") if row.floor is None else (_quantity(row.floor, row.unit), f"{row.value:{digits}}")
    return f"| {row.title} | {_quantity(row.ours, row.unit)} | {compared} | {ratio} | {target} | {reached} |"


def _quantity(value: float, unit: str) -> str:
    digits = 0 if value >= 1000 else 1 if value >= 100 else 2
    return f"{value:,.{digits}f} {'µs' if unit == 'us' else unit}".strip()
