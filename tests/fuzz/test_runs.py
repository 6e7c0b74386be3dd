"""The summary of the long runs is that of the committed record."""

from __future__ import annotations

import json

from tests.fuzz.runs import RUNS, SUMMARY, summary


def test_a_line_for_each_target() -> None:
    run = {"target": "a", "engine": "atheris", "inputs": 1000, "seconds": 1.5, "python": "3.11.7", "commit": "abc"}
    text = summary([run | {"atheris": "3.0.0"}, run | {"engine": "chance", "inputs": 5, "atheris": None}])
    assert text.endswith("| a | 1,005 | 1,000 | 5 | 3 | Python 3.11.7, atheris 3.0.0 | abc |\n")


def test_the_committed_summary_is_that_of_the_runs() -> None:
    runs = [json.loads(line) for line in RUNS.read_text().splitlines()]
    assert SUMMARY.read_text() == summary(runs)
