"""``python -m benchmarks [--only NAME] [--rounds N] [--quick] [--json] [--uvloop]``."""

from __future__ import annotations

import argparse
import json
import sys

from rich.console import Console

from . import NAMES, run
from .report import as_dict, machine, table, write_json


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure, print a table, write JSON.")
    parser.add_argument("--only", choices=NAMES, help="one measurement instead of all")
    parser.add_argument("--rounds", type=int, help="rounds of each measurement; their median is reported")
    parser.add_argument("--quick", action="store_true", help="only show that everything runs; the numbers mean nothing")
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")
    parser.add_argument("--uvloop", action="store_true", help="use uvloop in place of asyncio's own event loop")
    options = parser.parse_args()
    if options.rounds is not None and options.rounds < 1:
        parser.error("--rounds must be 1 or more")
    shown = Console(stderr=True)
    with shown.status("measuring") as status:
        rows = run(
            options.only,
            options.rounds,
            options.quick,
            uvloop=options.uvloop,
            progress=lambda name: status.update(f"measuring: {name}"),
        )
    document = as_dict(rows, uvloop=options.uvloop)
    path = None if options.quick else write_json(document)
    if options.json:
        json.dump(document, sys.stdout, indent=2)
        print()
        return
    output = Console()
    output = Console(width=max(output.width, 140))  # a narrow table of these is no table
    output.print(table(rows))
    about = machine(uvloop=options.uvloop)
    libraries = ", ".join(f"{name} {number}" for name, number in about["libraries"].items())
    output.print(f"{about['cpu']}, {about['cores']} cores; {about['python']}, {about['event_loop']}; {libraries}")
    if path is not None:
        output.print(f"written to {path}")


if __name__ == "__main__":
    main()
