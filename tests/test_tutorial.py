"""docs/tutorial.md works from top to bottom, with real processes and files.

A block with a file name is that file, a block of a terminal stays running, and every other one is run and has to
succeed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shlex
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.command_line import process_environment
from tests.support.pages import ROOT, Block, blocks

pytestmark = pytest.mark.unmeasured

PAGE = ROOT / "docs/tutorial.md"
BEFORE_IT = ("pip install", "mkdir -p paper")
NEEDS_AN_EXCHANGE = "with the address of your exchange"


class Desk:
    """The folder and the terminals of a reader.

    Attributes:
        folder: where everything happens.
        output: what the blocks have printed that are not in a terminal.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.output = ""
        self._ports = {str(number): _free_port() for number in (8400, 8401, 8500)}
        self._terminals: dict[str, asyncio.subprocess.Process] = {}
        self._commands: dict[str, str] = {}
        for name, module in (("cryptoproto", ["-m", "cryptoproto"]), ("python", [])):
            shim = folder / "bin" / name
            shim.parent.mkdir(exist_ok=True)
            shim.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, *module])} "$@"\n')
            shim.chmod(0o755)

    async def do(self, block: Block) -> None:
        """What the reader does with *block*."""
        code = re.sub(r"\b8[45]0[01]\b", lambda port: self._ports[port[0]], block.code)
        if block.title and re.fullmatch(r"\w+\.\w+", block.title):
            (self.folder / block.title).write_text(code)
        elif block.title == "kill the bot":
            assert re.fullmatch(r"pkill (-9 )?-f 'bot.py paper'\n", code)
            await self.end("terminal 2", signal.SIGKILL if "-9" in code else signal.SIGTERM)
        elif block.title:
            if "cryptoproto exchange" in code:
                code = f"{code.rstrip()} --port {self._ports['8400']} --market-data-port {self._ports['8401']}"
            self._commands[block.title] = f"exec {code}"
            self._terminals[block.title] = await self._start(f"exec {code}")
        else:
            process = await self._start(code)
            output, _ = await process.communicate()
            self.output += output.decode()
            assert process.returncode == 0, f"{code}\n{output.decode()}"

    async def until(self, terminal: str, text: str) -> str:
        """Read what a terminal prints up to a line with *text*, and return all of it."""
        stream, seen = self._terminals[terminal].stdout, ""
        assert stream is not None
        async with asyncio.timeout(60):
            while text not in seen:
                line = (await stream.readline()).decode()
                assert line, seen
                seen += line
        return seen

    async def start_again(self, terminal: str) -> None:
        """Press Ctrl-C, and start the same command."""
        await self.end(terminal, signal.SIGINT)
        self._terminals[terminal] = await self._start(self._commands[terminal])

    async def end(self, terminal: str, number: signal.Signals) -> None:
        process = self._terminals.pop(terminal)
        process.send_signal(number)
        await process.communicate()

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Nothing is left running at the end."""
        try:
            yield
        finally:
            for terminal in list(self._terminals):
                await self.end(terminal, signal.SIGKILL)

    async def _start(self, code: str) -> asyncio.subprocess.Process:
        environment = process_environment() | {
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "CRYPTOPROTO_CONFIG": str(self.folder / "config.toml"),
            "PYTHONUNBUFFERED": "1",
        }
        return await asyncio.create_subprocess_exec(
            "bash", "-euo", "pipefail", "-c", code, cwd=self.folder, env=environment,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip


def _free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return str(probe.getsockname()[1])


AFTER = (
    ("cryptoproto exchange", "terminal 1", "Press Ctrl-C"),
    ("python bot.py paper", "terminal 2", "2 placed, 0 cancelled, 0 kept"),
    ("order buy", "terminal 2", "traded 0.10000000 at 15010.00000000\n1 placed, 0 cancelled, 1 kept"),
    ("kill the bot", None, ""),
    ("order buy", None, ""),
    ("python bot.py paper", "terminal 2", "1 placed, 0 cancelled, 1 kept\ntraded 0.10000000 at 15010.00000000\n"),
    ("history trades", None, ""),
    ("pytest", None, ""),
    ("kill the bot", None, ""),
    ("python watched_bot.py paper", "terminal 2", "status: http://127.0.0.1:"),
)
"""What the page says happens after some of its blocks, in order: words of the block, the terminal, what it prints."""


async def test_the_tutorial_works_from_top_to_bottom(tmp_path: Path) -> None:
    desk, expected = Desk(tmp_path), list(AFTER)
    trade = next(block for block in blocks(PAGE) if "order buy" in block.code)
    async with desk.open():
        for block in blocks(PAGE):
            if block.code.startswith(BEFORE_IT) or block.title == NEEDS_AN_EXCHANGE:
                continue
            await desk.do(block)
            if expected and (expected[0][0] in block.code or expected[0][0] == block.title):
                _, terminal, text = expected.pop(0)
                if terminal:
                    await desk.until(terminal, text)
        await desk.start_again("terminal 1")  # "the bot reconnects by itself"
        await desk.until("terminal 1", "Press Ctrl-C")
        await desk.do(trade)
        await desk.until("terminal 2", "traded 0.10000000 at 15010.00000000")
    assert expected == []
    assert "1 passed" in desk.output
    assert re.search(r"BTC_USD +2 +-0\.2 +15010", desk.output), desk.output
