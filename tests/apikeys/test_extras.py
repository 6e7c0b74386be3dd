"""Importing the room without its extras."""

from __future__ import annotations

import sys

import pytest


@pytest.fixture
def fresh_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("cryptoproto.apikeys")]:
        monkeypatch.delitem(sys.modules, name)


@pytest.mark.parametrize(
    ("room", "missing", "extras"),
    [
        ("cryptoproto.apikeys", "httpx", "apikeys"),
        ("cryptoproto.apikeys.server", "yaml", "apikeys,server"),
        ("cryptoproto.apikeys.server", "starlette", "apikeys,server"),
    ],
)
def test_a_missing_extra_is_named(
    fresh_modules: None, monkeypatch: pytest.MonkeyPatch, room: str, missing: str, extras: str
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == missing]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ModuleNotFoundError, match=f"needs {missing}.*: pip install 'cryptoproto.{extras}.'"):
        __import__(room)


@pytest.mark.parametrize("room", ["cryptoproto.apikeys", "cryptoproto.apikeys.server"])
def test_any_other_missing_module_keeps_its_error(
    fresh_modules: None, monkeypatch: pytest.MonkeyPatch, room: str
) -> None:
    __import__("cryptoproto.apikeys")
    monkeypatch.setitem(sys.modules, "cryptoproto.apikeys.canonical", None)
    for name in [name for name in sys.modules if name.startswith(room) and not name.endswith(".canonical")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ModuleNotFoundError, match=r"cryptoproto\.apikeys\.canonical"):
        __import__(room)
