"""Builds the site into ``build/site``; fails on a dead link, an unresolved reference, or a page that is not listed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

from . import links, navigation
from .pages import generated
from .source import collect

ROOT: Final = Path(__file__).parents[2]


def main() -> int:
    """Build and check the site."""
    source = ROOT / "build" / "site-source"
    collect(ROOT, source, generated())
    built = subprocess.run([sys.executable, "-m", "zensical", "build", "--clean", "--strict"], cwd=ROOT, check=False)
    if built.returncode:
        return built.returncode
    found = [*navigation.problems(ROOT / "zensical.toml", source), *links.problems(ROOT / "build" / "site")]
    for problem in found:
        print(problem, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
