"""The commands, as a person types them: real processes, real files, the exit code and what is shown."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.cli.app import run
from tests.support.forks import Forks


class Result:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


class Shell:
    """Has commands run in a folder, each in a process of its own."""

    def __init__(self, folder: Path, python: Forks) -> None:
        self.folder = folder
        self._python = python

    async def __call__(self, *arguments: str, **environment: str) -> Result:
        """Run a command to its end."""
        return await self._ended(await self._start(self._python.command("-m", "cryptoproto", *arguments), environment))

    async def fresh(self, *arguments: str) -> Result:
        """The same in a process that has nothing imported before."""
        return await self._ended(await self._start([sys.executable, "-m", "cryptoproto", *arguments]))

    async def _start(self, command: list[str], environment: dict[str, str] | None = None) -> Process:
        environment = os.environ | {"COLUMNS": "100", "NO_COLOR": "1"} | (environment or {})
        return await asyncio.create_subprocess_exec(
            *command, cwd=self.folder, env=environment, stdout=PIPE, stderr=PIPE
        )

    async def _ended(self, process: Process) -> Result:
        async with asyncio.timeout(60):
            out, err = await process.communicate()
        assert process.returncode is not None
        return Result(process.returncode, out.decode(), err.decode())

    @asynccontextmanager
    async def exchange(self, *arguments: str) -> AsyncIterator[dict[str, str]]:
        """An exchange in a process of its own; what it says of itself, and the environment for its clients."""
        accounts = ["--client", "alice=alice.pub", "--balance", "alice:USD=100000", "--balance", "alice:BTC=2"]
        ports = ["--port", "0", "--market-data-port", "0"]
        command = ["-m", "cryptoproto", "exchange", "--json", *ports, *accounts, *arguments]
        process = await self._start(self._python.command(*command))
        assert process.stdout is not None
        try:
            told = json.loads(await process.stdout.readline())
            yield {
                "CRYPTOPROTO_URL": told["url"],
                "CRYPTOPROTO_CLIENT_ID": "alice",
                "CRYPTOPROTO_KEY": "alice.pem",
                "CRYPTOPROTO_SERVER_KEY": told["public_key"],
                "MARKET": told["market_data_url"],
            }
        finally:
            process.terminate()
            await process.communicate()
        assert process.returncode == 143


@pytest.fixture
def shell(tmp_path: Path, commands: Forks, alice_key: cp.PrivateKey) -> Shell:
    alice_key.save(tmp_path / "alice.pem")
    alice_key.public_key.save(tmp_path / "alice.pub")
    return Shell(tmp_path, commands)


COMMANDS = [
    (),
    ("keygen",),
    ("exchange",),
    ("tail",),
    ("order",),
    ("order", "buy"),
    ("order", "sell"),
    ("order", "cancel"),
    ("order", "cancel-all"),
    ("request",),
    ("book",),
    ("demo",),
    ("bench",),
]


@pytest.mark.usefixtures("command_line")
def test_every_command_has_help_with_an_example(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    for command in COMMANDS:
        monkeypatch.setattr(sys, "argv", ["cryptoproto", *command, "--help"])
        with pytest.raises(SystemExit) as end:
            run()
        assert end.value.code == 0
        if command not in ((), ("order",)):
            assert "Example: cryptoproto" in " ".join(capsys.readouterr().out.split()), command


async def test_keygen(shell: Shell) -> None:
    result = await shell.fresh("keygen", "bob.pem", "--json")
    assert result.code == 0, result.err
    told = result.lines[0]
    key = cp.PrivateKey.load(shell.folder / told["private_key"])
    assert cp.PublicKey.load(shell.folder / told["public_key"]) == key.public_key
    assert told["fingerprint"] == key.fingerprint
    assert stat.S_IMODE((shell.folder / "bob.pem").stat().st_mode) == 0o600

    again = await shell("keygen", "bob.pem")
    assert again.code == 1
    assert "bob.pem exists already and is left as it is" in again.err
    assert "Traceback" not in again.err
    assert cp.PrivateKey.load(shell.folder / "bob.pem").fingerprint == key.fingerprint


async def test_trading_by_hand(shell: Shell) -> None:
    async with shell.exchange() as env:
        placed = await shell("order", "buy", "BTC_USD", "0.5", "15000", "--json", **env)
        assert placed.code == 0, placed.err
        assert [line["payload"]["@type"] for line in placed.lines] == ["SetBalance", "BuyOrderPlaced"]
        order_id = placed.lines[-1]["payload"]["order_id"]

        balances = await shell("request", "balances", "--json", **env)
        assert balances.lines[0]["balances"]["USD"] == {"available": "92500.00000000", "on_hold": "7500.00000000"}

        orders = await shell("request", "orders", **env)
        assert orders.code == 0
        assert "BTC_USD" in orders.out
        assert "15000.00000000" in orders.out

        cancelled = await shell("order", "cancel", str(order_id), "--json", **env)
        assert cancelled.code == 0
        assert cancelled.lines[0]["payload"]["@type"] == "BuyOrderCancelled"

        again = await shell("order", "cancel", str(order_id), **env)
        assert again.code == 1
        assert f"order {order_id} is not open" in again.err

        assert (await shell("order", "sell", "BTC_USD", "1", "16000", "--time-in-force", "ioc", **env)).code == 0
        assert (await shell("order", "buy", "BTC_USD", "1", "10", "--ttl", "60", **env)).code == 0
        everything = await shell("order", "cancel-all", "--json", **env)
        assert everything.lines == [{"open_orders": 0}]

        tail = await shell("tail", "--count", "4", "--json", **env)
        assert tail.code == 0
        ids = [line["transaction_id"] for line in tail.lines]
        assert len(ids) == 4
        assert ids == sorted(set(ids))
        shown = await shell("tail", "--count", "2", "--protocol", "v5", **env)
        assert "BuyOrderPlaced" in shown.out


async def test_an_order_that_is_refused(shell: Shell) -> None:
    async with shell.exchange() as env:
        poor = await shell("order", "buy", "BTC_USD", "1000", "15000", **env)
        assert poor.code == 1
        assert "not enough USD" in poor.err
        unknown = await shell("order", "buy", "NO_SUCH", "1", "1", **env)
        assert unknown.code == 1
        assert "error 2" in unknown.err
        for result in (poor, unknown):
            assert "Traceback" not in result.err


async def test_the_book(shell: Shell) -> None:
    async with shell.exchange() as env:
        await shell("order", "buy", "BTC_USD", "0.5", "15000", **env)
        book = await shell("book", "BTC_USD", "--url", env["MARKET"], "--once", "--json")
        assert book.code == 0, book.err
        told = book.lines[0]
        assert told["trade_pair"] == "BTC_USD"
        assert told["bids"] == [["15000.00000000", "0.50000000"]]
        assert told["asks"] == []
        shown = await shell("book", "BTC_USD", "--url", env["MARKET"], "--once")
        assert "15000" in shown.out


async def test_mistakes_are_explained_in_one_sentence(shell: Shell, unused_tcp_port: int) -> None:
    nobody = f"ws://127.0.0.1:{unused_tcp_port}"
    base = ["request", "balances", "--client-id", "alice", "--server-key", "alice.pub"]
    (shell.folder / "open.pem").write_bytes((shell.folder / "alice.pem").read_bytes())
    (shell.folder / "open.pem").chmod(0o644)
    cases = [
        ([*base, "--key", "alice.pem", "--url", nobody], f"cannot connect to {nobody}"),
        ([*base, "--key", "nobody.pem", "--url", nobody], "nobody.pem: no such private key file"),
        ([*base, "--key", "open.pem", "--url", nobody], "chmod 600 open.pem"),
        ([*base, "--key", "alice.pem", "--url", "ws://example.com"], "not this machine; use wss://"),
        ([*base, "--key", "alice.pem", "--url", "http://example.com"], "not a WebSocket address"),
        (
            ["order", "buy", "BTC_USD", "a lot", "1", *base[2:], "--key", "alice.pem", "--url", nobody],
            "not a decimal number",
        ),
        (["exchange", "--client", "alice"], "write it like --client alice=alice.pub"),
        (["exchange", "--client", "a=alice.pub", "--balance", "b:USD=1"], "there is no --client b="),
        (["exchange", "--client", "a=nobody.pub"], "nobody.pub: no such public key file"),
        (["keygen", "alice.pub"], "name the private key"),
    ]
    results = await asyncio.gather(*(shell(*arguments) for arguments, _ in cases))
    for (arguments, words), result in zip(cases, results, strict=True):
        assert result.code == 1, arguments
        assert words in " ".join(result.err.split()), (arguments, result.err)
        assert "Traceback" not in result.err
    missing = await shell("request", "balances")
    assert missing.code == 2
    assert "--url" in missing.err


async def test_a_journal_survives_the_process(shell: Shell) -> None:
    async with shell.exchange("--journal", "exchange.db") as env:
        placed = await shell("order", "buy", "BTC_USD", "0.5", "15000", **env)
        assert placed.code == 0, placed.err
    async with shell.exchange("--journal", "exchange.db") as again:
        assert again["CRYPTOPROTO_SERVER_KEY"] == env["CRYPTOPROTO_SERVER_KEY"] == "exchange.pub"
        orders = await shell("request", "orders", "--json", **again)
        assert [row["price"] for row in orders.lines[0]["order_books"]["BTC_USD"]["buy"]] == ["15000.00000000"]


async def test_a_port_that_is_taken(shell: Shell) -> None:
    async with shell.exchange() as env:
        port = env["CRYPTOPROTO_URL"].rsplit(":", 1)[1]
        second = await shell("exchange", "--port", port)
        assert second.code == 1
        assert f"cannot listen on 127.0.0.1 port {port}" in " ".join(second.err.split())


async def test_the_demonstration_checks_itself(shell: Shell) -> None:
    result, shown = await asyncio.gather(
        shell("demo", "--seconds", "1.5", "--json"), shell("demo", "--seconds", "1", "--protocol", "v5")
    )
    assert result.code == 0, result.err + result.out
    told = result.lines[0]
    assert told["passed"] is True
    assert len(told["checks"]) >= 12
    assert all(bot["transactions"] > 0 for bot in told["bots"])
    assert shown.code == 0, shown.err
    assert "all checks passed" in shown.out


async def test_bench(shell: Shell) -> None:
    result = await shell("bench", "--count", "5", "--json")
    assert result.code == 0, result.err
    rows = result.lines[0]
    assert len(rows) == 6
    assert all(0 < row["p50"] <= row["p99"] <= row["max"] for row in rows)
