"""What long runs have found, as a line each of a file that is committed: ``RUNS=docs/runs/cuts.jsonl``."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import json
import os
import platform
import sqlite3
import ssl
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["commit", "machine", "record_run", "versions"]

ROOT = Path(__file__).parents[2]


def versions() -> dict[str, str]:
    """What a run depends on."""
    found = {"python": platform.python_version(), "sqlite": sqlite3.sqlite_version, "openssl": ssl.OPENSSL_VERSION}
    for name in ("websockets", "picows", "cryptography"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def machine() -> str:
    """Kind of machine, and the number of its cores."""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"


def commit() -> str:
    """The commit of the tree, with a plus sign if something in it was changed; empty outside a clone."""

    def ask(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    try:
        return ask("rev-parse", "--short=10", "HEAD") + "+" * bool(ask("status", "--porcelain", "cryptoproto"))
    except OSError:
        return ""


def record_run(name: str, *, seconds: float, counts: Mapping[str, Any], seeds: str = "") -> None:
    """Append a line about a run to the file that ``RUNS`` names, if it names one."""
    path = os.environ.get("RUNS")
    if not path:
        return
    line = {
        "run": name,
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "seconds": round(seconds),
        **({"seeds": seeds} if seeds else {}),
        "counts": dict(counts),
        "versions": versions(),
        "machine": machine(),
    }
    with Path(path).open("a") as file:
        file.write(json.dumps(line) + "\n")
