"""``top``: the command."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Coroutine
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.cli.top_screen import TopScreen
from cryptoproto.status import serve_status
from tests.support.command_line import process_environment, run


@pytest.fixture
def left(monkeypatch: pytest.MonkeyPatch) -> list[Coroutine[Any, Any, int]]:
    """What commands would run in an event loop, which the test has already."""
    left: list[Coroutine[Any, Any, int]] = []
    monkeypatch.setattr("cryptoproto.cli.top.run", left.append)
    return left


async def test_json(
    trading_client: cp.Client, left: list[Coroutine[Any, Any, int]], capsys: pytest.CaptureFixture[str]
) -> None:
    async with serve_status(trading_client) as status:
        assert run("top", "--json", env={"CRYPTOPROTO_STATUS_URL": status.url}).code == 0
        assert await left.pop() == 0
    assert json.loads(capsys.readouterr().out)["client_id"] == "trader"


async def test_the_screen(
    trading_client: cp.Client, left: list[Coroutine[Any, Any, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[dict[str, Any]] = []

    async def run_async(self: TopScreen) -> None:
        shown.append(self._status)

    monkeypatch.setattr("cryptoproto.cli.top_screen.TopScreen.run_async", run_async)  # by name: a test reloads it
    async with serve_status(trading_client) as status:
        run("top", status.url)
        assert await left.pop() == 0
    assert shown[0]["client_id"] == "trader"


def test_errors_of_the_command(unused_tcp_port: int) -> None:
    missing = run("top", f"http://127.0.0.1:{unused_tcp_port}/?token=t")
    assert missing.code == 3
    assert "cannot reach http://127.0.0.1" in " ".join(missing.err.split())
    as_json = run("top", "http://127.0.0.1:1/", "--json")
    assert as_json.code == 2
    assert json.loads(as_json.err)["error"] == "ConfigurationError"
    assert run("top").code == 2


def test_other_commands_do_not_import_it() -> None:
    script = "import sys, cryptoproto.cli.app; print({'textual', 'httpx', 'starlette'} & sys.modules.keys())"
    done = subprocess.run(
        [sys.executable, "-c", script], env=process_environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
