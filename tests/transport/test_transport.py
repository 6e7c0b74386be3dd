"""Choosing a library by name."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.transport import opener, serve
from cryptoproto.transport.picows import open_picows
from cryptoproto.transport.sans_io import open_websockets
from tests.support.links import Recorder


def without_picows(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "picows" else find(name))


def test_auto_is_picows_if_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert opener("auto") is opener("picows") is open_picows
    without_picows(monkeypatch)
    assert opener("auto") is opener("websockets") is open_websockets


async def test_a_library_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    without_picows(monkeypatch)
    with pytest.raises(cp.ConfigurationError, match=r"pip install 'cryptoproto\[fast\]'"):
        opener("picows")
    with pytest.raises(cp.ConfigurationError, match=r"pip install 'cryptoproto\[fast\]'"):
        await serve(Recorder, "127.0.0.1", 0, kind="picows")


async def test_an_unknown_name_lists_the_choices() -> None:
    name: Any = "carrier pigeon"
    with pytest.raises(cp.ConfigurationError, match='choose "auto", "websockets" or "picows"'):
        opener(name)
    with pytest.raises(cp.ConfigurationError, match='choose "auto", "websockets" or "picows"'):
        await serve(Recorder, "127.0.0.1", 0, kind=name)


def test_a_custom_opener_is_used_as_it_is() -> None:
    async def custom(url: str, listener: object, options: object) -> Any:
        raise NotImplementedError

    assert opener(custom) is custom
