"""The code on the documentation page runs as printed, and so do its commands and the example."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import shlex
import sys
from pathlib import Path
from types import CodeType
from typing import Any

import pytest
import typer

import cryptoproto as cp
from cryptoproto.apikeys.server import ApiKeysConfig, Gatekeeper, KeyStore, SessionSettings, load_config
from cryptoproto.apikeys.server.demonstration import demonstration_app, running
from cryptoproto.cli.apikeys import app

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(
    r'^```(\w+)(?: title="(\w+)[^"]*")?\n(.*?)^```$',
    (ROOT / "docs" / "apikeys.md").read_text(),
    re.DOTALL | re.MULTILINE,
)


def _compiled(flow: str) -> list[CodeType]:
    sources = [text for language, name, text in BLOCKS if (language, name) == ("python", flow)]
    assert sources
    return [compile(text, f"docs/apikeys.md ({flow})", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT) for text in sources]


async def _run(code: CodeType, names: dict[str, Any]) -> None:
    outcome = eval(code, names)
    if inspect.isawaitable(outcome):
        await outcome


@pytest.mark.parametrize("flow", ["basic", "session", "server"])
async def test_python_blocks(
    flow: str, keys: KeyStore, alice_key: cp.PrivateKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "application.yaml").write_text(next(text for language, _, text in BLOCKS if language == "yaml"))
    gatekeeper = Gatekeeper(ApiKeysConfig(keys, SessionSettings(enabled=flow == "session")))
    async with running(demonstration_app(gatekeeper)) as url:
        names: dict[str, Any] = {"url": url, "private_key": alice_key}
        for code in _compiled(flow):
            await _run(code, names)


def test_configurations(tmp_path: Path) -> None:
    (tmp_path / "tbwg.users.json").write_text(next(text for language, _, text in BLOCKS if language == "json"))
    texts = [text for language, _, text in BLOCKS if language == "yaml"]
    assert len(texts) == 2
    for text in texts:
        path = tmp_path / "application.yaml"
        path.write_text(text)
        key = load_config(path).keys.get("TEST_API_KEY")
        assert key is not None
        assert key.authorities == {"TB_ALLOW_READ", "TB_ALLOW_WRITE"}


def test_commands_are_spelled_right() -> None:
    group = typer.main.get_command(app)
    lines = [line for language, _, text in BLOCKS if language == "console" for line in text.splitlines()]
    commands = [line for line in lines if line.startswith("$ cryptoproto apikeys ")]
    assert len(commands) == 5
    for line in commands:
        name, *arguments = shlex.split(line, comments=True)[3:]
        command = group.commands[name]  # type: ignore[attr-defined]
        command.make_context(name, arguments)  # raises for an option that does not exist


async def test_the_example_succeeds() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-W",
        "error",
        str(ROOT / "examples" / "api_keys.py"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    out, err = await process.communicate()
    assert (process.returncode, err.decode()) == (0, "")
    assert out.decode().endswith("Everything as expected.\n")
