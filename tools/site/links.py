"""Checks the built site: every link leads somewhere, and nothing is loaded from another host."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

__all__ = ["problems"]

_LOADED: Final = frozenset({("script", "src"), ("img", "src"), ("link", "href"), ("iframe", "src"), ("source", "src")})
_NOT_LOADED: Final = frozenset({"canonical", "next", "prev", "alternate", "edit"})
_UNRESOLVED: Final = re.compile(r"\[[^\]\n]+\]\[[\w.]+\]")
_IMPORTED: Final = re.compile(r"url\(\s*['\"]?(https?:)?//|@import\s+['\"]?(https?:)?//")


class _Page(HTMLParser):
    """What a page links to, what it loads, and where it can be linked to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.text: list[str] = []
        self.asks_github = False
        self._code = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.anchors |= {value for name in ("id", "name") if (value := values.get(name))}
        self.asks_github |= values.get("data-md-component") == "source"
        self._code += tag in {"code", "pre", "script", "style"}
        for name, value in attrs:
            if not value:
                continue
            if (tag, name) in _LOADED and values.get("rel") not in _NOT_LOADED:
                self.loaded.append(value)
            elif tag == "a" and name == "href":
                self.links.append(value)

    def handle_endtag(self, tag: str) -> None:
        self._code -= tag in {"code", "pre", "script", "style"}

    def handle_data(self, data: str) -> None:
        if not self._code:
            self.text.append(data)


def problems(site: Path) -> Iterator[str]:
    """One sentence for each dead link, unresolved reference and foreign resource of the site."""
    pages = {path: _Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    for path, page in pages.items():
        if path.name == "404.html":  # served at any address, so its links are absolute
            continue
        name = path.relative_to(site).as_posix()
        if page.asks_github:
            yield f"{name}: asks api.github.com for the repository"
        for link in [*page.links, *page.loaded]:
            if found := _dead(link, path, site, pages):
                yield f"{name}: {found}"
        yield from (f"{name}: loads {one}" for one in page.loaded if urlsplit(one).netloc)
        yield from (f"{name}: unresolved {one}" for one in _UNRESOLVED.findall("".join(page.text)))
    for path in sorted(site.rglob("*.css")):
        if _IMPORTED.search(path.read_text(encoding="utf-8")):
            yield f"{path.relative_to(site).as_posix()}: loads from another host"


def _dead(link: str, path: Path, site: Path, pages: dict[Path, _Page]) -> str | None:
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return None
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if not target.is_relative_to(site):
        return f"{link} leads out of the site"
    if target.is_dir():
        target /= "index.html"
    if not target.exists():
        return f"{link} does not exist"
    anchor = unquote(parts.fragment)
    if anchor and target in pages and anchor not in pages[target].anchors and not anchor.startswith("__"):
        return f"{link} has no such place"
    return None
