"""The Markdown of the site: the pages of ``docs/``, the documents at the root, and generated pages, in one folder.

Links lead to the place where something is on the site. What the site does not have, such as a module or a test, is
linked in the repository.
"""

from __future__ import annotations

import os
import posixpath
import re
import shutil
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from .code_names import linked

__all__ = ["collect", "rewritten"]

_LINK: Final = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)\s#]+)(#[^)\s]*)?(?=\))")
_FENCE: Final = re.compile(r"^(```.*?^```)", re.MULTILINE | re.DOTALL)
_ROOT_PAGES: Final = {
    "SECURITY.md": "project/security.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "CHANGELOG.md": "project/changelog.md",
}
_KEPT: Final = frozenset({".md", ".png", ".svg", ".jsonl", ".css"})


def collect(root: Path, folder: Path, generated: Mapping[str, str]) -> None:
    """Write the pages of the repository at *root*, and the *generated* ones, into *folder*, which is emptied first."""
    places = {
        path.relative_to(root).as_posix(): _place(path.relative_to(root / "docs").as_posix())
        for path in sorted((root / "docs").rglob("*"))
        if path.suffix in _KEPT
    } | _ROOT_PAGES
    shutil.rmtree(folder, ignore_errors=True)
    for source, place in places.items():
        target = folder / place
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.suffix == ".md":
            text = (root / source).read_text(encoding="utf-8")
            text = rewritten(text, source, places, repository(root))
            target.write_text(text if source == "CHANGELOG.md" else linked(text), encoding="utf-8")
        else:
            shutil.copyfile(root / source, target)
    for place, text in generated.items():
        target = folder / place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


def rewritten(text: str, source: str, places: Mapping[str, str], address: str) -> str:
    """The text of the page *source* with its links as they have to be in the site.

    Args:
        text: the Markdown of the page.
        source: its path in the repository.
        places: where files of the repository are in the site; paths of both.
        address: the repository, for everything else.
    """
    here = posixpath.dirname(places[source])

    def link(found: re.Match[str]) -> str:
        target, fragment = found[1], found[2] or ""
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        if path in places:
            return os.path.relpath(places[path], here or ".").replace(os.sep, "/") + fragment
        return f"{address}/{path}{fragment}"

    parts = _FENCE.split(text)
    return "".join(part if part.startswith("```") else _LINK.sub(link, part) for part in parts)


def repository(root: Path) -> str:
    """The address below which the files of the main branch are shown."""
    urls = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]
    return f"{urls['Homepage']}/blob/main"


def _place(path: str) -> str:
    """Where a file of ``docs/`` is in the site: a README is the first page of its folder."""
    return f"{path.removesuffix('README.md')}index.md" if posixpath.basename(path) == "README.md" else path
