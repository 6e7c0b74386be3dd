"""The page of guarantees names tests that exist, and each promise has its tests and its weak point."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/guarantees.md").read_text()
PROMISES = re.split(r"\n(?=\*\*)", PAGE.partition("## Measured")[0])[1:]


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(tests/\S+::\w+)`", PAGE))))
def test_the_tests_that_are_named_exist(name: str) -> None:
    path, _, function = name.partition("::")
    tree = ast.parse((ROOT / path).read_text())
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert function in defined


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.split("*")[2][:40])
def test_each_promise_has_its_tests_and_its_weak_point(promise: str) -> None:
    assert re.search(r"^- `tests/\S+::\w+`$", promise, re.MULTILINE)
    assert promise.count("- Weak point: ") == 1


def test_the_runs_say_what_they_depend_on() -> None:
    lines = [line for path in sorted((ROOT / "docs/runs").glob("*.jsonl")) for line in path.read_text().splitlines()]
    assert lines
    for line in lines:
        run = json.loads(line)
        assert run.keys() >= {"run", "date", "commit", "seconds", "counts", "versions", "machine"}
        assert run["seconds"] > 0
