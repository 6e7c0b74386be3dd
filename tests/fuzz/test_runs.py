"""The summary of the long runs is that of the committed record."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.fuzz import __main__ as long_run
from tests.fuzz import runs
from tests.fuzz.__main__ import main
from tests.fuzz.registry import all_targets
from tests.fuzz.runs import RUNS, SUMMARY, summary
from tests.fuzz.target import Target


def test_a_line_for_each_target() -> None:
    run = {"target": "a", "engine": "atheris", "inputs": 1000, "seconds": 1.5, "python": "3.11.7", "commit": "abc"}
    text = summary([run | {"atheris": "3.0.0"}, run | {"engine": "chance", "inputs": 5, "atheris": None}])
    assert text.endswith("| a | 1,005 | 1,000 | 5 | 3 | Python 3.11.7, atheris 3.0.0 | abc |\n")


def test_how_many_targets_have_read_ten_million() -> None:
    run = {"engine": "atheris", "seconds": 1800, "python": "3.11.7", "atheris": "3.0.0", "commit": "abc"}
    text = summary([run | {"target": "a", "inputs": 9_999_999}, run | {"target": "b", "inputs": 10_000_000}])
    assert (
        "\n2 targets have read 19,999,999 inputs in 1.0 hours: 19,999,999 guided by coverage, 0 by chance.\n1 of them"
        in text
    )


def test_the_committed_summary_is_that_of_the_runs() -> None:
    recorded = [json.loads(line) for line in RUNS.read_text().splitlines()]
    assert SUMMARY.read_text() == summary(recorded)


def test_a_long_run_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whichever target has read the fewest inputs is next, until each has read enough."""
    monkeypatch.setattr(runs, "RUNS", tmp_path / "runs.jsonl")
    monkeypatch.setattr(runs, "SUMMARY", tmp_path / "SUMMARY.md")
    words = ["--engine", "chance", "--inputs", "1000", "--corpus", str(tmp_path), "--target", "cipher"]
    assert main([*words, "--until", "1500"]) == 0
    assert [run["inputs"] for run in runs.recorded()] == [1000, 500]
    assert main([*words, "--target", "padding", "--until", "2500"]) == 0
    assert [run["target"] for run in runs.recorded()[2:]] == ["padding", "padding", "cipher", "padding"]
    assert runs.inputs_read() == {"cipher": 2500, "padding": 2500}
    assert "| padding | 2,500 |" in runs.SUMMARY.read_text()
    capsys.readouterr()
    assert main([*words, "--until", "2500"]) == 0
    assert capsys.readouterr().out == ""


def test_a_target_with_a_finding_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runs, "RUNS", tmp_path / "runs.jsonl")
    monkeypatch.setattr(runs, "SUMMARY", tmp_path / "SUMMARY.md")
    broken = Target("broken", lambda data: data[99], (ValueError,), lambda: (b"abc",))
    monkeypatch.setattr(long_run, "all_targets", lambda: {"broken": broken, "cipher": all_targets()["cipher"]})
    options = ["--engine", "chance", "--inputs", "1000", "--corpus", str(tmp_path), "--until", "500"]
    assert main(options) == 1
    assert "broken: IndexError" in capsys.readouterr().out
    assert runs.inputs_read() == {"cipher": 500}
