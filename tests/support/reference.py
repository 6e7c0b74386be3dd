"""The reference page, made from the docstrings: ``python -m tests.support.reference`` writes ``docs/reference.md``."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import cryptoproto as cp
from cryptoproto import gateway, sync

PAGE: Final = Path(__file__).parents[2] / "docs" / "reference.md"

_HEAD: Final = """\
# Reference

All public names of `cryptoproto`. Each has a docstring with arguments, results and errors: `help(cryptoproto.Client)`.
This page is generated from the docstrings by `python -m tests.support.reference`.
"""
_ROOMS: Final = {
    "client": "Client",
    "history": "History",
    "connection": "Connection",
    "quotes": "Quotes",
    "market_data": "Market data",
    "profiles": "Profiles",
    "instruments": "Instruments and limits",
    "reconnect": "Reconnecting",
    "keys": "Keys",
    "messages": "Messages",
    "exceptions": "Errors",
    "wire": "Protocol",
    "transport": "Transports",
    "recording": "Recordings",
    "event_loop": "Running",
    "garbage_collection": "Running",
    "version": "Version",
}


def rooms() -> dict[str, list[str]]:
    """The public names of `cryptoproto`, by the title of their room."""
    names: dict[str, list[str]] = {title: [] for title in _ROOMS.values()}
    for name in cp.__all__:
        module, _ = described(cp, name)
        names[_ROOMS[module.split(".")[1]]].append(name)
    return names


def page(shown: Callable[[str], str] = lambda name: f"`{name}`") -> str:
    """The whole page; *shown* returns how a name is written."""
    parts = [_HEAD]
    for title, names in rooms().items():
        parts.append(_table(title, [(shown(name), described(cp, name)[1]) for name in names]))
    rows = [(shown(f"sync.{name}"), described(sync, name)[1]) for name in sync.__all__]
    parts.append(_table("Without `await`: `cryptoproto.sync`", rows))
    rows = [(shown(f"gateway.{name}"), described(gateway, name)[1]) for name in gateway.__all__]
    parts.append(_table("One session for many machines: `cryptoproto.gateway`", rows))
    return "\n".join(parts)


def described(face: ModuleType, name: str) -> tuple[str, str]:
    """The module that defines a public name, and the first sentence of its docstring."""
    value = getattr(face, name)
    if inspect.isclass(value) and value.__module__.startswith("cryptoproto"):
        return value.__module__, _first_sentence(inspect.getdoc(value), name)
    if inspect.isfunction(value):
        return value.__module__, _first_sentence(inspect.getdoc(value), name)
    module, docstring = _of_alias(name, value)
    return module, _first_sentence(docstring, name)


def _of_alias(name: str, value: Any) -> tuple[str, str | None]:
    """The module that assigns *name*, and the string below the assignment."""
    for module in [module for key, module in sys.modules.items() if key.startswith("cryptoproto.")]:
        if getattr(module, name, None) is not value or not module.__file__:
            continue
        for body in _bodies(ast.parse(Path(module.__file__).read_text())):
            for statement, following in zip(body, [*body[1:], ast.Pass()], strict=True):
                if name in _assigned(statement):
                    text = following.value if isinstance(following, ast.Expr) else None
                    documented = isinstance(text, ast.Constant) and isinstance(text.value, str)
                    return module.__name__, str(text.value) if documented else None  # type: ignore[union-attr]
    raise LookupError(f"no module of the package assigns {name}")


def _bodies(tree: ast.Module) -> list[list[ast.stmt]]:
    return [tree.body, *(node.body for node in tree.body if isinstance(node, ast.If))]


def _assigned(statement: ast.stmt) -> set[str]:
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    if isinstance(statement, ast.AnnAssign):
        targets = [statement.target]
    return {target.id for target in targets if isinstance(target, ast.Name)}


def _first_sentence(docstring: str | None, name: str) -> str:
    if not docstring:
        raise LookupError(f"{name} has no docstring")
    paragraph = " ".join(docstring.strip().split("\n\n")[0].split())
    paragraph = re.sub(r":\w+:`~?(?:[\w ]+<)?(?:[\w.]+\.)?(\w+)>?`", r"`\1`", paragraph).replace("``", "`")
    return re.split(r"(?<=[^.][.:])\s+(?=[A-Z(])", paragraph)[0].rstrip(":").replace("|", "\\|")


def _table(title: str, rows: list[tuple[str, str]]) -> str:
    lines = [f"## {title}", "", "| name | |", "| --- | --- |", *(f"| {name} | {text} |" for name, text in rows), ""]
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page())
