"""The code blocks of the licensing page, in their order, in one folder, with a manager in the background."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import socket
import sys
from pathlib import Path

from tests.support.command_line import process_environment

ROOT = Path(__file__).parents[2]


COMMAND = [sys.executable, "-W", "error", "-m", "cryptoproto"]


async def run(folder: Path, *command: str) -> str:
    environment = process_environment() | {"PATH": f"{folder}:{os.environ['PATH']}"}
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, f"{command}\n{output.decode()}"
    return output.decode()


async def test_every_block_of_the_page_runs(tmp_path: Path) -> None:
    executable = tmp_path / "cryptoproto"
    executable.write_text(f'#!/bin/sh\nexec {shlex.join(COMMAND)} "$@"\n', encoding="utf-8")
    executable.chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    page = (ROOT / "docs/licensing.md").read_text(encoding="utf-8").replace("8390", port)
    blocks = re.findall(r'^```(\w+)(?: title="([^"]*)")?\n(.*?)^```', page, re.DOTALL | re.MULTILINE)
    assert [kind for kind, _, _ in blocks].count("python") >= 4
    (tmp_path / "gateway.toml").write_text(next(text for kind, _, text in blocks if kind == "toml"), encoding="utf-8")
    server: asyncio.subprocess.Process | None = None
    outputs = []
    try:
        for kind, title, text in blocks:
            if title == "In another terminal":
                server = await asyncio.create_subprocess_exec(
                    *COMMAND,
                    *text.split()[1:],
                    cwd=tmp_path,
                    env=process_environment(),
                    stdout=asyncio.subprocess.PIPE,
                )
                assert server.stdout is not None
                assert port.encode() in await server.stdout.readline()
            elif kind == "python":
                outputs.append(await run(tmp_path, sys.executable, "-W", "error", "-c", text))
            elif kind == "sh":
                outputs.append(await run(tmp_path, "bash", "-euo", "pipefail", "-c", text))
    finally:
        if server is not None:
            server.terminate()
            await server.wait()
    everything = "".join(outputs)
    assert "licensed until" in everything
    assert "never read" not in everything


def test_the_pages_name_only_what_there_is() -> None:
    """Every command and file that the pages mention exists."""
    pages = [ROOT / "docs" / name for name in ("licensing.md", "licensing-threat-model.md", "licensing-schema.md")]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for link in re.findall(r"\]\(([\w./-]+)\)", text):
            assert (page.parent / link).exists(), link
        for path in re.findall(r"`((?:cryptoproto|tests|docs)/[\w./]+\.\w+)`", text):
            assert (ROOT / path).exists(), path
