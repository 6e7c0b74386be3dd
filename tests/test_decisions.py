"""The decision records: one page each, with the same sections, all in the index, and links that lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
INDEX = ROOT / "docs" / "decisions" / "README.md"
RECORDS = sorted(path for path in INDEX.parent.glob("*.md") if path != INDEX)


def test_the_index_names_every_record_once() -> None:
    assert sorted(re.findall(r"^\| \[[^]]+\]\((\S+)\)", INDEX.read_text(), re.MULTILINE)) == [
        path.name for path in RECORDS
    ]


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_a_record_is_one_screen_with_four_sections(path: Path) -> None:
    text = path.read_text()
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences", "Figures"]
    assert text.startswith("# ")
    assert len(text.splitlines()) <= 50


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_the_files_that_a_record_names_exist(path: Path) -> None:
    """Modules are named from the package, tests and documents from the root."""
    for name in re.findall(r"`([\w/]+\.(?:py|json)|tests/[\w/]+)`", path.read_text()):
        assert (ROOT / name).exists() or (ROOT / "cryptoproto" / name).exists(), name


def test_contributors_and_readers_find_the_index() -> None:
    assert "(docs/decisions/README.md)" in (ROOT / "CONTRIBUTING.md").read_text()
    assert "(decisions/README.md)" in (ROOT / "docs" / "README.md").read_text()
