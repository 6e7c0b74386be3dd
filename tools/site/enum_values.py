"""The docstrings below the values of an enum, which Python itself does not keep."""

from __future__ import annotations

import ast
import enum
import inspect
import textwrap
from collections.abc import Iterator
from typing import TypeVar

__all__ = ["documented_values"]

Value = TypeVar("Value", bound=enum.Enum)


def documented_values(kind: type[Value]) -> Iterator[tuple[Value, str]]:
    """Each value of the enum *kind* with the string below it; empty if there is none."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(tree, ast.ClassDef)
    for statement, following in zip(tree.body, [*tree.body[1:], ast.Pass()], strict=True):
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            text = following.value if isinstance(following, ast.Expr) else None
            words = str(text.value) if isinstance(text, ast.Constant) else ""
            yield kind[statement.targets[0].id], " ".join(words.split())
