"""A connection marks its client id as in use for as long as it is open."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.connection import ConnectOptions
from tests.support.peer import Script


@pytest.fixture
def marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How many identities are marked as in use."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return lambda: len(list(tmp_path.glob("cryptoproto/*")))


@pytest.fixture
def options(script: Script, alice_key: cp.PrivateKey) -> dict[str, Any]:
    return {
        "url": "ws://127.0.0.1:1",
        "client_id": "alice",
        "private_key": alice_key,
        "server_key": script.private_key.public_key,
        "transport": script.opener(),
    }


async def test_the_client_id_is_marked_while_the_connection_is_open(
    marks: Callable[[], int], options: dict[str, Any]
) -> None:
    async with cp.connect(**options) as connection:
        assert marks() == 1
        with pytest.raises(cp.IdentityInUse, match=f"process {os.getpid()}"):
            await cp.connect(**options, exclusive=True)
        assert connection.is_open
        async with cp.connect(**options):  # a takeover that is meant
            assert marks() == 2
    assert marks() == 0


async def test_without_a_lock(marks: Callable[[], int], options: dict[str, Any]) -> None:
    async with cp.connect(**options, lock=False):
        assert marks() == 0
        async with cp.connect(**options, exclusive=True):
            assert marks() == 1


async def test_a_connection_that_fails_leaves_no_mark(marks: Callable[[], int], options: dict[str, Any]) -> None:
    async def refuse(*_: Any) -> Any:
        raise ConnectionRefusedError(111, "nobody answers")

    with pytest.raises(cp.ConnectionClosed):
        await cp.connect(**(options | {"transport": refuse}))
    assert marks() == 0


async def test_a_connection_that_was_closed_before_it_opened_leaves_no_mark(
    marks: Callable[[], int], options: dict[str, Any]
) -> None:
    connection = cp.Connection(ConnectOptions(**options))
    await connection.close()
    with pytest.raises(cp.ConnectionClosed):
        await connection.open()
    assert marks() == 0
