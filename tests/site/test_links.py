"""The checker of the built site finds what is wrong, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.site.links import problems


def site(folder: Path, body: str) -> Path:
    (folder / "b").mkdir()
    (folder / "index.html").write_text(f"<html><head></head><body>{body}</body></html>")
    (folder / "b/index.html").write_text('<h1 id="there">b</h1><a href="../">back</a>')
    (folder / "404.html").write_text('<a href="/nowhere/">served at any address</a>')
    (folder / "a.svg").touch()
    return folder


@pytest.mark.parametrize(
    "body",
    [
        '<a href="b/#there">a place</a><img src="a.svg">',
        '<a href="#here">here</a><p id="here">',
        '<a href="https://example.com/x#y">elsewhere</a><a href="mailto:a@example.com">mail</a>',
        '<link rel="canonical" href="https://example.com/">',
        "<pre>[not][a.reference]</pre>",
    ],
)
def test_what_works_is_accepted(body: str, tmp_path: Path) -> None:
    assert list(problems(site(tmp_path, body))) == []


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ('<a href="c/">gone</a>', "index.html: c/ does not exist"),
        ('<a href="b/#nowhere">gone</a>', "index.html: b/#nowhere has no such place"),
        ('<a href="#nowhere">gone</a>', "index.html: #nowhere has no such place"),
        ('<img src="gone.svg">', "index.html: gone.svg does not exist"),
        ('<a href="../../x">out</a>', "index.html: ../../x leads out of the site"),
        ('<script src="https://cdn.example/a.js"></script>', "index.html: loads https://cdn.example/a.js"),
        ('<link rel="stylesheet" href="//fonts.example/a.css">', "index.html: loads //fonts.example/a.css"),
        ("<p>see [the client][cryptoproto.Client]</p>", "index.html: unresolved [the client][cryptoproto.Client]"),
        ('<a data-md-component="source" href="b/">repo</a>', "index.html: asks api.github.com for the repository"),
    ],
)
def test_what_is_wrong_is_named(body: str, problem: str, tmp_path: Path) -> None:
    assert list(problems(site(tmp_path, body))) == [problem]


def test_a_style_sheet_that_loads_a_font_is_named(tmp_path: Path) -> None:
    site(tmp_path, "")
    (tmp_path / "a.css").write_text("@font-face{src:url('https://fonts.example/a.woff2')}")
    assert list(problems(tmp_path)) == ["a.css: loads from another host"]
