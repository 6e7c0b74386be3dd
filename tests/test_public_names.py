"""A name comes from where the imports for type checkers say, and nothing is imported before it is used."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import cryptoproto as cp
from cryptoproto.public_names import home_of
from tests.support.command_line import process_environment

HEAVY = {
    "asyncio", "cryptography", "msgspec", "orjson", "platformdirs", "sqlite3", "ssl", "websockets", "xdrlib3",
    "picows", "uvloop", "numpy", "pandas", "httpx", "typer", "rich", "email", "inspect", "dataclasses",
}  # fmt: skip


def declared() -> dict[str, tuple[str, str]]:
    """Where the imports for type checkers have each name from."""
    tree = ast.parse(Path(cp.__file__).read_text())
    return {
        alias.asname or alias.name: (node.module or "", alias.name)
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def test_each_name_comes_from_where_type_checkers_are_told() -> None:
    assert {name: home_of(name) for name in cp.__all__ if name != "__version__"} == declared()


def test_a_name_that_does_not_exist() -> None:
    assert home_of("Nothing") is None
    with pytest.raises(AttributeError, match="module 'cryptoproto' has no attribute 'Nothing'"):
        _ = cp.Nothing  # type: ignore[attr-defined]


def test_a_shell_can_complete_names() -> None:
    assert set(dir(cp)) >= {*cp.__all__, "__doc__"}


def imported(program: str) -> set[str]:
    """The modules that a fresh interpreter has after *program*, which has nothing to do with this process."""
    path = str(Path(cp.__file__).parents[1])
    script = f"import sys; sys.path.insert(0, {path!r}); {program}; import json; print(json.dumps(list(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-I", "-c", script],
        env=process_environment(measured=False), capture_output=True, text=True, check=True,
    )  # fmt: skip
    modules: list[str] = json.loads(done.stdout.splitlines()[-1])
    return set(modules)


def test_the_import_alone_imports_nothing_heavy() -> None:
    found = imported("import cryptoproto")
    ours = {name for name in found if name.startswith("cryptoproto")}
    assert ours == {"cryptoproto", "cryptoproto.public_names", "cryptoproto.version"}
    assert not (found - imported("import logging")) & HEAVY  # in Python 3.14, that imports dataclasses


@pytest.mark.parametrize(
    ("names", "not_for_it"),
    [
        ("StoreError, RequestTimeout", {"cryptoproto.messages", "asyncio", "cryptography"}),
        ("PrivateKey", {"cryptoproto.client", "asyncio", "websockets", "sqlite3"}),
        ("PlaceBuyLimitOrder", {"cryptoproto.connection", "websockets", "sqlite3"}),
        ("connect", {"cryptoproto.client", "sqlite3", "cryptoproto.history", "platformdirs", "picows"}),
        ("Client", {"cryptoproto.market_data", "cryptoproto.recording", "cryptoproto.quotes", "cryptoproto.sync"}),
        ("MarketData", {"cryptoproto.client", "sqlite3"}),
    ],
)
def test_a_name_imports_only_what_it_needs(names: str, not_for_it: set[str]) -> None:
    found = imported(f"from cryptoproto import {names}")
    assert not found & not_for_it
