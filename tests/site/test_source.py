"""The pages are collected into one folder, with links that lead to where things are on the site."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.pages import ROOT
from tools.site.source import collect, repository, rewritten

PLACES = {
    "docs/README.md": "index.md",
    "docs/a.md": "a.md",
    "docs/b/c.md": "b/c.md",
    "SECURITY.md": "project/security.md",
}


@pytest.mark.parametrize(
    ("source", "link", "expected"),
    [
        ("docs/a.md", "b/c.md", "b/c.md"),
        ("docs/a.md", "README.md#there", "index.md#there"),
        ("docs/b/c.md", "../a.md#x", "../a.md#x"),
        ("docs/b/c.md", "../../SECURITY.md", "../project/security.md"),
        ("SECURITY.md", "docs/a.md", "../a.md"),
        ("docs/a.md", "../tests/test_a.py", "https://host/blob/tests/test_a.py"),
        ("docs/a.md", "https://example.com/a.md", "https://example.com/a.md"),
        ("docs/a.md", "#here", "#here"),
    ],
)
def test_a_link_leads_to_the_same_thing(source: str, link: str, expected: str) -> None:
    text = f"[one]({link}) and [two]({link})"
    assert rewritten(text, source, PLACES, "https://host/blob") == f"[one]({expected}) and [two]({expected})"


def test_code_is_left_alone() -> None:
    text = "```md\n[one](../tests/a.py)\n```\n"
    assert rewritten(text, "docs/a.md", PLACES, "https://host/blob") == text


def test_every_page_and_picture_is_collected_and_nothing_old_is_left(tmp_path: Path) -> None:
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "gone.md").touch()
    collect(ROOT, folder, {"reference/metrics.md": "# Metrics\n"})
    assert not (folder / "gone.md").exists()
    assert (folder / "reference/metrics.md").read_text() == "# Metrics\n"
    assert (folder / "index.md").read_text().startswith("# cryptoproto")
    assert (folder / "decisions/index.md").exists()
    assert (folder / "project/changelog.md").exists()
    docs = ROOT / "docs"
    pages = {path.relative_to(docs).as_posix() for path in docs.rglob("*.md") if path.stem != "README"}
    assert pages <= {path.relative_to(folder).as_posix() for path in folder.rglob("*.md")}
    assert (folder / "images/client-states.svg").exists()


def test_the_repository_is_that_of_the_package() -> None:
    assert repository(ROOT).startswith("https://github.com/")
