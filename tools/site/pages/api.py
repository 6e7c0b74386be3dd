"""The API pages: one for each room of ``cryptoproto`` and for each public module, filled by mkdocstrings."""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence

from tests.support.reference import rooms

from ..public_names import MODULES

__all__ = ["pages", "slug"]


def pages() -> dict[str, str]:
    """The text of each page, by its path in the site."""
    found = {
        f"reference/api/{slug(title)}.md": _page(title, "cryptoproto", names, "import cryptoproto as cp")
        for title, names in rooms().items()
    }
    for module, title in MODULES.items():
        names = importlib.import_module(module).__all__
        path = f"reference/api/{module.removeprefix('cryptoproto.').replace('.', '-')}.md"
        found[path] = _page(title, module, names, f"import {module}")
    return found


def slug(title: str) -> str:
    """The name of the page with this title."""
    return re.sub(r"\W+", "-", title.lower()).strip("-")


def _page(title: str, module: str, names: Sequence[str], imported: str) -> str:
    names = sorted(names, key=str.lower)
    blocks = [f"# {title}\n", f"```py\n{imported}\n```\n", *(f"::: {module}.{name}\n" for name in names)]
    return "\n".join(blocks)
