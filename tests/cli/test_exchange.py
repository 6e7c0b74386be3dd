"""The `exchange` command: a real process for signals and connections, the command in this process for mistakes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import cryptoproto as cp
from cryptoproto.cli.app import app

ALICE = ("--client", "alice=alice.pub", "--balance", "alice:USD=100000", "--balance", "alice:BTC=2")
PORTS = ("--port", "0", "--market-data-port", "0")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, alice_key: cp.PrivateKey) -> Path:
    """A working folder with alice's keys."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")
    alice_key.save(tmp_path / "alice.pem")
    alice_key.public_key.save(tmp_path / "alice.pub")
    return tmp_path


class Running:
    """An exchange in its own process.

    Attributes:
        told: the first line of its output with ``--json``.
    """

    def __init__(self, process: Process, told: dict[str, Any]) -> None:
        self.process = process
        self.told = told

    def connect(self, key: cp.PrivateKey, client_id: str = "alice", **options: Any) -> cp.connect:
        server_key = cp.PublicKey.load(self.told["public_key"])
        return cp.connect(self.told["url"], client_id=client_id, private_key=key, server_key=server_key, **options)

    async def until_logged(self, words: str) -> str:
        """The first line of standard error from here on that contains *words*."""
        assert self.process.stderr is not None
        async with asyncio.timeout(30):
            while words not in (line := (await self.process.stderr.readline()).decode()):
                assert line, "the exchange ended"
        return line

    async def terminate(self) -> None:
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        await self.process.communicate()


@asynccontextmanager
async def running(*arguments: str) -> AsyncIterator[Running]:
    command = [sys.executable, "-W", "error", "-m", "cryptoproto", "exchange", "--json", *PORTS, *arguments]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE, env=environment)
    assert process.stdout is not None
    told = json.loads(await process.stdout.readline())
    exchange = Running(process, told)
    try:
        yield exchange
    finally:
        await exchange.terminate()
    assert process.returncode == 143


def refused(*arguments: str) -> str:
    """Run the command, which must fail; the error in one line."""
    result = CliRunner().invoke(app, ["exchange", *PORTS, *arguments])
    assert isinstance(result.exception, cp.ConfigurationError), result.output
    return str(result.exception)


async def test_a_journal_survives_the_process(alice_key: cp.PrivateKey) -> None:
    async with running("--journal", "exchange.db", *ALICE) as exchange, exchange.connect(alice_key) as alice:
        await alice.send(cp.PlaceBuyLimitOrder("BTC_USD", "0.5", "15000"))
        assert isinstance(await alice.request(cp.UserBalanceRequest()), cp.UserBalanceResponse)
    async with running("--journal", "exchange.db") as again:
        assert again.told["public_key"] == exchange.told["public_key"] == "exchange.pub"
        async with again.connect(alice_key) as alice:
            orders = await alice.request(cp.UserOrdersRequest())
            assert isinstance(orders, cp.UserOrdersResponse)
            assert [str(order.price) for order in orders.order_books["BTC_USD"].buy] == ["15000.00000000"]


def test_arguments_that_cannot_be_used() -> None:
    assert "write it like --client alice=alice.pub" in refused("--client", "alice")
    assert "there is no --client b=" in refused("--client", "a=alice.pub", "--balance", "b:USD=1")
    assert "write it like --balance alice:USD=1000000" in refused("--client", "a=alice.pub", "--balance", "a=1")
    assert "nobody.pub: no such public key file" in refused("--client", "a=nobody.pub")
    assert "--maker-fee lots" in refused("--maker-fee", "lots")
