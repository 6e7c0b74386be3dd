"""The figures that the documentation shows, in ``docs/report/figures.json``: of each row, those recorded last."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from .processes import ROOT
from .report import Row

__all__ = ["FIGURES", "load", "record", "rows_of"]

FIGURES: Final = ROOT / "docs/report/figures.json"


def load(path: Path = FIGURES) -> dict[str, Any]:
    """What is recorded: the machine, and the rows of each command."""
    recorded: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"machine": {}, "commands": {}}
    return recorded


def record(command: str, document: Mapping[str, Any], path: Path = FIGURES) -> dict[str, Any]:
    """Put what *command* has measured in the place of its earlier figures, and return all that are recorded.

    Rows that it has not measured this time stay as they are.
    """
    recorded = load(path)
    rows = {row["name"]: row for row in recorded["commands"].get(command, [])}
    for row in document["rows"]:
        kept = {name: value for name, value in row.items() if name != "rounds"}
        rows[row["name"]] = {**kept, "measured_at": document["measured_at"]}
    recorded["machine"] = dict(document["machine"])
    recorded["commands"][command] = list(rows.values())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(recorded, indent=1) + "\n")
    return recorded


def rows_of(command: str, recorded: Mapping[str, Any]) -> list[Row]:
    """The recorded rows of *command*, without their rounds."""
    fields = ("name", "title", "unit", "ours", "floor", "value", "target", "reached")
    return [Row(**{name: row[name] for name in fields}) for row in recorded["commands"].get(command, [])]
