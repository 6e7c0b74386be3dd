"""The navigation has every page."""

from __future__ import annotations

from pathlib import Path

from tests.support.pages import ROOT
from tools.site.navigation import problems
from tools.site.pages import generated
from tools.site.source import collect


def test_every_page_is_listed_and_every_entry_is_a_page(tmp_path: Path) -> None:
    collect(ROOT, tmp_path / "source", generated())
    assert list(problems(ROOT / "zensical.toml", tmp_path / "source")) == []


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    config = tmp_path / "zensical.toml"
    config.write_text('[project]\nnav = [{ "A" = ["a.md", { "B" = "b.md" }] }, "gone.md"]\n')
    for name in ("a.md", "b.md", "new.md", "decisions/one.md"):
        (tmp_path / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "source" / name).touch()
    assert list(problems(config, tmp_path / "source")) == [
        "new.md is not in the navigation of zensical.toml",
        "gone.md is in the navigation of zensical.toml, but there is no such page",
    ]
