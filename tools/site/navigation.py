"""Checks the navigation: every page is in it, and everything in it is a page."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["problems"]


def problems(config: Path, folder: Path) -> Iterator[str]:
    """One sentence for each page in *folder* that *config* does not list, and each entry without a page.

    Decision records are listed on their first page.
    """
    listed = set(_entries(tomllib.loads(config.read_text(encoding="utf-8"))["project"]["nav"]))
    pages = {path.relative_to(folder).as_posix() for path in folder.rglob("*.md")}
    for page in sorted(pages - listed):
        if not page.startswith("decisions/"):
            yield f"{page} is not in the navigation of {config.name}"
    for entry in sorted(listed - pages):
        yield f"{entry} is in the navigation of {config.name}, but there is no such page"


def _entries(nav: Any) -> Iterator[str]:
    """The pages of a navigation: names, tables of title and page, and lists of both."""
    if isinstance(nav, str):
        yield nav
        return
    for each in nav.values() if isinstance(nav, dict) else nav:
        yield from _entries(each)
