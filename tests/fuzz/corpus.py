"""The committed inputs: past findings, and what together reaches as much of the code as was ever reached."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final

from tests.fuzz.target import Target

__all__ = ["CORPUS", "committed", "reached", "smallest", "stored"]

CORPUS: Final = Path(__file__).parent / "corpus"
_PACKAGE: Final = str(Path(__file__).parents[2] / "cryptoproto")

Arc = tuple[CodeType, int, int]


def committed(target: Target) -> list[Path]:
    """The files of a target; those of past findings are called ``found-…``."""
    return sorted((CORPUS / target.name).glob("*"))


def stored(folder: Path, data: bytes) -> Path:
    """Write *data* into *folder*, under its hash."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / hashlib.sha1(data, usedforsecurity=False).hexdigest()[:16]
    path.write_bytes(data)
    return path


def reached(target: Target, data: bytes) -> set[Arc]:
    """The steps from line to line in the package that *data* leads through."""
    arcs: set[Arc] = set()

    def enter(frame: FrameType, event: str, argument: Any) -> Any:
        code = frame.f_code
        if not code.co_filename.startswith(_PACKAGE):
            return None
        last = 0

        def line(frame: FrameType, event: str, argument: Any) -> Any:
            nonlocal last
            if event == "line":
                arcs.add((code, last, frame.f_lineno))
                last = frame.f_lineno
            return line

        return line

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        target.run(data)
    finally:
        sys.settrace(before)
    return arcs


def smallest(target: Target, start: Iterable[bytes], others: Iterable[bytes]) -> list[bytes]:
    """Those of *others* that reach something that neither *start* nor a shorter one reaches, shortest first."""
    seen: set[Arc] = set()
    for data in start:
        seen |= reached(target, data)
    kept = []
    for data in sorted(set(others), key=lambda each: (len(each), each)):
        new = reached(target, data) - seen
        if new:
            seen |= new
            kept.append(data)
    return kept
