"""The command line that all benchmarks share."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from rich.console import Console

from . import documentation
from .figures import record
from .report import as_dict, machine, table, write_json
from .runner import Measurement, chosen, run

__all__ = ["main"]

_TABLE_WIDTH = 140


def main(program: str, measurements: Sequence[Measurement], *, uvloop: bool = False) -> None:
    """Measure, print a table and write JSON, as ``sys.argv`` says.

    Args:
        program: the module of the command, for its help.
        measurements: what it can measure.
        uvloop: whether the measurements can run on uvloop.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {program}", description="Measure, print a table, write JSON.")
    parser.add_argument("--only", metavar="NAME", help="one measurement, or all that start with NAME and a dash")
    parser.add_argument("--rounds", type=int, help="rounds of each measurement; the median is reported")
    parser.add_argument("--quick", action="store_true", help="only show that everything runs; the numbers mean nothing")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.add_argument("--record", action="store_true", help="put the figures into the documentation")
    parser.set_defaults(uvloop=False)
    if uvloop:
        parser.add_argument("--uvloop", action="store_true", help="use uvloop instead of asyncio's own event loop")
    options = parser.parse_args()
    if options.rounds is not None and options.rounds < 1:
        parser.error("--rounds must be 1 or more")
    if options.record and (options.quick or options.uvloop):
        parser.error("--record: the documentation shows neither figures of --quick nor of --uvloop")
    if options.only is not None:
        try:
            measurements = chosen(measurements, options.only)
        except ValueError as error:
            parser.error(f"--only: {error}")
    with Console(stderr=True).status("measuring") as status:
        rows = run(
            measurements,
            rounds=options.rounds,
            quick=options.quick,
            uvloop=options.uvloop,
            progress=lambda name: status.update(f"measuring: {name}"),
        )
    document = as_dict(rows, uvloop=options.uvloop)
    path = None if options.quick else write_json(document)
    if options.record:
        documentation.write(record(program, document))
    if options.json:
        json.dump(document, sys.stdout, indent=2)
        print()
        return
    output = Console()
    output = Console(width=max(output.width, _TABLE_WIDTH))  # a narrower table is unreadable
    output.print(table(rows))
    about = machine(uvloop=options.uvloop)
    libraries = ", ".join(f"{name} {number}" for name, number in about["libraries"].items())
    output.print(f"{about['cpu']}, {about['cores']} cores; {about['python']}, {about['event_loop']}; {libraries}")
    if path is not None:
        output.print(f"written to {path}")
