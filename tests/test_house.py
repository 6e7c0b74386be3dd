"""The rules of the house that no linter knows."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "cryptoproto"
GENERATED = PACKAGE / "licensing" / "fbs"
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if GENERATED not in path.parents)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_module(path: Path) -> None:
    source = path.read_text()
    tree = ast.parse(source)
    assert path.stem not in {"utils", "common", "helpers", "types", "misc"}, "name a module after its idea"
    assert ast.get_docstring(tree), "say what the module is about"
    for node in ast.walk(tree):
        assert not isinstance(node, ast.Assert), f"line {node.lineno}: python -O drops it; raise an error that says why"
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            assert lines <= 90, f"{node.name} has {lines} lines; a docstring may be long, a function may not"
    if "cli" not in path.parts:
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
        assert not [call.lineno for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"]
    assert source.count("\n") <= 620, "find the clean cut"
