"""Measure everything and write the report: ``python -m benchmarks.report``.

It writes ``data.json``, an SVG for each plot and ``index.html`` into ``docs/report``. ``--draw`` draws the figures of
an earlier run again. ``--python`` names further interpreters to compare. A report with ``--quick`` or ``--only`` is not
a whole one, so it needs another folder. A whole one puts the figures of its rows into the documentation.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from . import MEASUREMENTS
from .curves import event_latency, exchange, growth, latency, market_data, message_size, start_up, versions
from .machinery import documentation
from .machinery.curve import Bars, Curve, Drawing, Series, Study
from .machinery.effort import Effort
from .machinery.figures import record
from .machinery.interpreters import label
from .machinery.page import page
from .machinery.plots import svg
from .machinery.processes import ROOT, responder
from .machinery.report import as_dict
from .machinery.runner import Measurement, name_of, run

__all__ = ["STUDIES", "draw", "main", "measure"]

STUDIES: Final[tuple[Study, ...]] = (
    latency,
    event_latency,
    message_size,
    growth,
    market_data,
    exchange,
    start_up,
    versions,
)
FOLDER: Final = ROOT / "docs/report"


def measure(
    studies: Sequence[Study],
    measurements: Sequence[Measurement],
    pythons: Sequence[str],
    *,
    quick: bool,
    console: Console,
) -> dict[str, Any]:
    """Everything that the report shows, for JSON."""
    drawings: list[Drawing] = []
    with ExitStack() as exits, console.status("measuring") as status:
        start = functools.cache(lambda: exits.enter_context(responder()))
        for study in studies:
            status.update(f"measuring: {name_of(study)}")
            drawings += study.drawings(Effort(1, quick, start, pythons))
        rows = run(measurements, quick=quick, progress=lambda name: status.update(f"measuring: {name}"))
    return {**as_dict(rows), "drawings": [{"kind": type(each).__name__, **asdict(each)} for each in drawings]}


def draw(document: dict[str, Any], folder: Path) -> list[Path]:
    """Write the pictures and the page, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn: list[tuple[Drawing, str]] = []
    written = []
    for given in document["drawings"]:
        drawing = _drawing(given)
        picture = svg(drawing)
        drawn.append((drawing, picture))
        written.append(folder / f"{drawing.name}.svg")
        written[-1].write_text(_with_paper(picture), encoding="utf-8")
    written.append(folder / "index.html")
    text = page(drawn, document["rows"], document["machine"], "make report")
    written[-1].write_text(text, encoding="utf-8")
    return written


def _with_paper(picture: str) -> str:
    """A picture that stands alone needs a background: it may be shown on a dark page."""
    head, rest = picture.split(">", 1)
    return f'{head}>\n<rect width="100%" height="100%" fill="#fff"/>{rest}'


def _drawing(given: dict[str, Any]) -> Drawing:
    fields = {name: value for name, value in given.items() if name != "kind"}
    if given["kind"] == "Bars":
        return Bars(**{**fields, "bars": [(name, role, length) for name, role, length in fields["bars"]]})
    series = [Series(each["name"], each["role"], [(x, y) for x, y in each["points"]]) for each in fields["series"]]
    return Curve(**{**fields, "series": series})


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description="Measure and write the report.")
    parser.add_argument("--quick", action="store_true", help="only show that everything runs; needs --to")
    parser.add_argument("--only", metavar="NAME", help="one study, without the ratios; needs --to")
    parser.add_argument("--draw", action="store_true", help="draw the figures of the last run again")
    parser.add_argument("--python", action="append", default=[], metavar="PATH", help="compare this interpreter too")
    parser.add_argument("--to", type=Path, default=FOLDER, metavar="FOLDER", help="where to write it")
    options = parser.parse_args()
    if (options.quick or options.only is not None) and options.to.resolve() == FOLDER and not options.draw:
        parser.error("--quick and --only do not measure all of the report; choose another folder with --to")
    studies = [each for each in STUDIES if options.only in (None, name_of(each))]
    if not studies:
        parser.error(f"--only: there is no study {options.only!r}; choose one of {', '.join(map(name_of, STUDIES))}")
    try:
        for python in options.python:
            label(python)
    except ValueError as error:
        parser.error(f"--python: {error}")
    console = Console(stderr=True)
    data = options.to / "data.json"
    if options.draw:
        if not data.exists():
            parser.error(f"--draw: there is no {data}; measure first")
        document = json.loads(data.read_text())
    else:
        measurements = MEASUREMENTS if options.only is None else ()
        pythons = [sys.executable, *options.python]
        document = measure(studies, measurements, pythons, quick=options.quick, console=console)
        options.to.mkdir(parents=True, exist_ok=True)
        data.write_text(json.dumps(document, indent=1) + "\n")
        if options.to.resolve() == FOLDER:
            documentation.write(record("benchmarks", document))
    for path in draw(document, options.to):
        print(path)


if __name__ == "__main__":
    main()
