"""``python -m tests.fuzz``: look for inputs that break a promise, repeat one, or keep what reaches new code."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

from tests.fuzz import guided, runs
from tests.fuzz.corpus import CORPUS, committed, smallest, stored
from tests.fuzz.explore import Explored, FindingError, explore
from tests.fuzz.registry import all_targets
from tests.fuzz.target import Target

WORK: Final = Path(".fuzz")
_KEPT: Final = 40
_KEPT_BYTES: Final = 12_000


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--target", action="append", metavar="NAME", help="a target, or several; all by default")
    parser.add_argument("--list", action="store_true", help="print the names of the targets")
    parser.add_argument("--seconds", type=float, help="how long, for each target; 10 by default")
    parser.add_argument("--inputs", type=int, help="how many inputs, for each target")
    parser.add_argument(
        "--until", type=int, metavar="INPUTS", help="go on until each target has read so many, over all recorded runs"
    )
    parser.add_argument("--seed", type=int, default=0, help="another seed makes up other inputs")
    parser.add_argument("--engine", choices=("auto", "atheris", "chance"), default="auto", help="what makes up inputs")
    parser.add_argument("--corpus", type=Path, default=WORK, help="a folder for inputs that reach new code")
    parser.add_argument("--input", metavar="HEX", help="read this one input, of one target")
    parser.add_argument("--keep", action="store_true", help="copy what reaches new code into the committed corpus")
    parser.add_argument("--record", action="store_true", help=f"add the counts to {runs.RUNS.name} and the summary")
    return parser


def start_of(target: Target, folder: Path) -> list[bytes]:
    """Seeds, and the corpora: the committed one, and that of earlier runs."""
    files = [*committed(target), *sorted((folder / target.name).glob("*"))]
    return [*target.seeds(), *(file.read_bytes() for file in files)]


def fuzz(target: Target, options: argparse.Namespace) -> tuple[str, Explored]:
    engine = options.engine
    if engine == "auto":
        engine = "atheris" if guided.is_available() else "chance"
    seconds = options.seconds or (float("inf") if options.inputs and options.until is None else 10.0)
    start = start_of(target, options.corpus)
    if engine == "atheris":
        folder = options.corpus / target.name
        return engine, guided.guide(
            target, start, folder.absolute(), seed=options.seed, inputs=options.inputs, seconds=seconds
        )
    return engine, explore(target, start, seed=options.seed, inputs=options.inputs, seconds=seconds)


def keep(target: Target, folder: Path) -> int:
    """Add to the committed corpus what it lacks, within its bounds."""
    known = [*target.seeds(), *(file.read_bytes() for file in committed(target))]
    size = sum(file.stat().st_size for file in committed(target))
    kept = 0
    for data in smallest(target, known, (file.read_bytes() for file in (folder / target.name).glob("*"))):
        size += len(data)
        if size > _KEPT_BYTES or kept == _KEPT:
            break
        stored(CORPUS / target.name, data)
        kept += 1
    return kept


def main(given: list[str] | None = None) -> int:
    options = arguments().parse_args(given)
    targets = all_targets()
    if options.list:
        print("\n".join(targets))
        return 0
    names = options.target or list(targets)
    for name in names:
        if name not in targets:
            print(f"there is no target {name!r}; --list prints their names", file=sys.stderr)
            return 2
    chosen = [targets[name] for name in names]
    if options.until is not None:
        return fuzz_until(chosen, options)
    findings = 0
    for target in chosen:
        if options.keep:
            print(f"{target.name}: {keep(target, options.corpus)} inputs added to the committed corpus")
        else:
            findings += not fuzz_one(target, options)
    return 1 if findings else 0


def fuzz_one(target: Target, options: argparse.Namespace) -> bool:
    """One run, or one input, of a target; whether it found nothing."""
    try:
        if options.input is not None:
            explore(target, [bytes.fromhex(options.input)], seed=0, inputs=1)
            print(f"{target.name}: this input breaks no promise")
            return True
        engine, done = fuzz(target, options)
    except FindingError as finding:
        path = stored(options.corpus / "findings" / target.name, finding.data)
        print(f"{finding}\nthe input is in {path}", flush=True)
        return False
    print(f"{target.name}: {done.inputs:,} inputs in {done.seconds:.0f} s by {engine}, no finding", flush=True)
    if options.record or options.until is not None:
        runs.record(target.name, engine, done)
    return True


def fuzz_until(targets: list[Target], options: argparse.Namespace) -> int:
    """Run the target that has read the fewest inputs, again and again, until each has read as many as were asked for.

    The counts are those of the recorded runs, so a run that is stopped goes on where it was. A target with a finding is
    left out from then on.
    """
    left = {target.name: target for target in targets}
    at_once = options.inputs or options.until
    while True:
        read = runs.inputs_read()
        behind = [name for name in left if read[name] < options.until]
        if not behind:
            return 0 if len(left) == len(targets) else 1
        name = min(behind, key=lambda each: read[each])
        options.seed = runs.times_run(name)
        options.inputs = min(options.until - read[name], at_once)
        if not fuzz_one(left[name], options):
            del left[name]


if __name__ == "__main__":
    sys.exit(main())
