"""The pages show the figures that were recorded last, and the README a part of them."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import Any

import pytest

import benchmarks
from benchmarks.machinery import command, documentation, figures
from benchmarks.machinery.report import Row, as_dict
from benchmarks.machinery.runner import name_of
from tests.support.pages import ROOT

FIGURES = figures.load()
PAGE = (ROOT / "docs/performance.md").read_text()
README = (ROOT / "README.md").read_text()
EMPTY_PAGE = """
Measured on a machine.

## One: `python -m benchmarks`

| what is measured | ours |
| --- | ---: |
| what was here before | 1 |

Between.

## Two: `python -m benchmarks.exchange`

| what is measured | ours |
| --- | ---: |
"""


def cost(name: str, ours: float, floor: float = 1.0) -> Row:
    return Row.from_pairs(name, f"what {name} costs", [(ours, floor)], unit="us", at_most=2.0)


def commands() -> dict[str, list[str]]:
    """The commands that measure rows, and their measurements."""
    found = {}
    for path in Path(benchmarks.__file__).parent.glob("*.py"):
        module = "benchmarks" if path.stem == "__init__" else f"benchmarks.{path.stem}"
        if "MEASUREMENTS" in path.read_text() and path.stem not in ("__main__", "suite", "check", "report"):
            found[module] = [name_of(each) for each in importlib.import_module(module).MEASUREMENTS]
    return found


def lines_of(text: str) -> list[str]:
    """The rows of its tables of figures."""
    tables = re.findall(r"^\| what is measured.*\n\|.*\n((?:\|.*\n)*)", text, re.MULTILINE)
    return [line for table in tables for line in table.splitlines()]


def test_the_pages_show_what_is_recorded() -> None:
    assert documentation.filled_page(PAGE, FIGURES) == PAGE
    assert documentation.filled_readme(README, FIGURES) == README


def test_the_readme_shows_rows_of_the_page() -> None:
    shown = lines_of(README)
    assert len(shown) == len(documentation.IN_THE_README)
    assert set(shown) < set(lines_of(PAGE))


def test_every_command_has_a_section_and_is_part_of_make_bench() -> None:
    sections = re.findall(r"^## .*`python -m ([\w.]+)`$", PAGE, re.MULTILINE)
    assert set(sections) == set(commands())
    makefile = (ROOT / "Makefile").read_text()
    listed = re.search(r"^BENCHES := ((?:.*\\\n)*.*)$", makefile, re.MULTILINE)
    assert listed is not None
    assert {"benchmarks", *listed[1].replace("\\\n", " ").split()} == set(commands())


def test_every_recorded_row_is_measured_by_its_command() -> None:
    known = commands()
    for module, rows in FIGURES["commands"].items():
        for row in rows:
            assert any(f"{row['name']}-".startswith(f"{name}-") for name in known[module]), row["name"]


def test_the_latest_figures_of_each_row_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "report" / "figures.json"
    figures.record("benchmarks", as_dict([cost("encode", 1.0), cost("decode", 1.5)]), path)
    figures.record("benchmarks.exchange", as_dict([cost("engine", 7.0)]), path)
    recorded = figures.record("benchmarks", as_dict([cost("decode", 3.0)]), path)
    assert figures.load(path) == recorded
    assert [(row.name, row.value) for row in figures.rows_of("benchmarks", recorded)] == [
        ("encode", 1.0),
        ("decode", 3.0),
    ]
    assert [row.reached for row in figures.rows_of("benchmarks", recorded)] == [True, False]
    assert figures.rows_of("benchmarks.exchange", recorded)[0].value == 7.0


def test_a_page_is_filled_and_the_rest_stays(tmp_path: Path) -> None:
    slow = Row.absolute("decode", "memory of it", 1234.5, unit="MiB", below=2.0)
    recorded = figures.record("benchmarks", as_dict([cost("encode", 150.0, 100.0), slow]), tmp_path / "figures.json")
    text = documentation.filled_page(EMPTY_PAGE, recorded)
    assert "| what encode costs | 150.0 µs | 100.0 µs | 1.50 | ≤ 2 | reached |\n" in text
    assert "| memory of it | 1,234 MiB |  |  | < 2 MiB | **not reached** |\n\nBetween." in text
    assert "what was here before" not in text
    assert text.endswith("| what is measured | ours |\n| --- | ---: |\n")
    assert f"{recorded['machine']['cores']} cores" in text
    assert documentation.filled_page(text, recorded) == text


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Runs the command with given rows; the pages are copies."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/performance.md").write_text(PAGE)
    (tmp_path / "README.md").write_text(README)

    write, record = documentation.write, figures.record
    monkeypatch.setattr(command, "run", lambda *_, **__: [cost("encode", 1.75)])
    monkeypatch.setattr(command, "write_json", lambda document: tmp_path)
    monkeypatch.setattr(command, "record", lambda name, document: record(name, document, tmp_path / "figures.json"))
    monkeypatch.setattr(documentation, "write", lambda recorded: write(recorded, tmp_path))

    def measured(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["benchmarks", *arguments])
        command.main("benchmarks", benchmarks.MEASUREMENTS, uvloop=True)
        return (tmp_path / "docs/performance.md").read_text()

    return measured


def test_the_command_records(measured: Any) -> None:
    assert lines_of(measured()) == lines_of(PAGE)
    assert "| what encode costs | 1.75 µs | 1.00 µs | 1.75 | ≤ 2 | reached |" in lines_of(measured("--record"))


@pytest.mark.parametrize("other", ["--quick", "--uvloop"])
def test_what_says_nothing_is_not_recorded(measured: Any, other: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        measured("--record", other)
    assert "shows neither figures of --quick nor of --uvloop" in capsys.readouterr().err
