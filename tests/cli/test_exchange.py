"""The `exchange` command: a real process for signals and connections, the command in this process for mistakes."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import shutil
import signal
import socket
import ssl
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
from cryptoproto.exchange import Exchange
from tests.support.certificates import self_signed
from tests.support.command_line import run, start

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
    assert process.returncode in (143, 130)


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


async def test_it_has_the_rules_of_pairs() -> None:
    rules = "BTC_USD:tick_size=0.5,min_amount=0.01"
    async with running("--journal", "exchange.db", "--instrument", rules) as exchange:
        (found,) = [
            each
            for each in await cp.fetch_instruments(exchange.told["market_data_url"])
            if each.trade_pair == "BTC_USD"
        ]
        assert found == cp.Instrument("BTC_USD", tick_size="0.5", min_amount="0.01")
    async with running("--journal", "exchange.db") as exchange:  # they are in the journal
        assert found in await cp.fetch_instruments(exchange.told["market_data_url"])


def test_arguments_that_cannot_be_used() -> None:
    assert "write it like --instrument BTC_USD:tick_size=0.01" in refused("--instrument", "BTC_USD")
    assert "write it like --instrument BTC_USD: tick_size=0.01" in refused("--instrument", "BTC_USD:tick_size")
    assert "unknown tick; it can have tick_size" in refused("--instrument", "BTC_USD:tick=1")
    assert "DOGE_USD" in refused("--instrument", "DOGE_USD:tick_size=1")
    assert "write it like --client alice=alice.pub" in refused("--client", "alice")
    assert "there is no --client b=" in refused("--client", "a=alice.pub", "--balance", "b:USD=1")
    assert "write it like --balance alice:USD=1000000" in refused("--client", "a=alice.pub", "--balance", "a=1")
    assert "nobody.pub: no such public key file" in refused("--client", "a=nobody.pub")
    assert "--maker-fee lots" in refused("--maker-fee", "lots")
    assert "write it like --balance alice:USD=1000000" in refused("--client", "a=alice.pub", "--balance", "a:1=")
    assert "--tls-key alice.pem needs --tls-cert" in refused("--tls-key", "alice.pem")
    assert "alice.pub: not a certificate and its private key" in refused("--tls-cert", "alice.pub")
    words = refused("--tls-cert", "alice.pub", "--tls-key", "alice.pem")
    assert "--tls-cert alice.pub and --tls-key alice.pem: not a certificate" in words
    assert "nothing.pem or alice.pem: cannot be read" in refused("--tls-cert", "nothing.pem", "--tls-key", "alice.pem")
    assert "max_open_orders=0" in refused("--max-open-orders", "0")


@pytest.mark.parametrize(
    ("amount", "words"), [("-5", "must be zero or more"), ("lots", "not a decimal number"), ("1e99", "too large")]
)
def test_a_bad_balance_leaves_no_file_behind(folder: Path, amount: str, words: str) -> None:
    before = sorted(os.listdir(folder))
    told = refused("--client", "alice=alice.pub", "--balance", f"alice:USD={amount}", "--journal", "exchange.db")
    assert told.startswith(f"--balance alice:USD={amount}: ")
    assert words in told
    assert sorted(os.listdir(folder)) == before


def test_a_port_in_use_is_explained_and_leaves_no_key_behind(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        words = refused("--port", str(port))
    assert words == (
        f"cannot listen on 127.0.0.1 port {port}: another program uses this port; "
        "choose another one, or 0 for any free port"
    )
    assert not (folder / "exchange.pem").exists()


def test_nothing_is_printed_before_it_is_durable(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill right after the start must not take back what it has said."""

    async def flush(exchange: Exchange) -> None:
        raise cp.JournalError("exchange.db", "the disk is full")

    monkeypatch.setattr(Exchange, "flush", flush)
    result = CliRunner().invoke(app, ["exchange", *PORTS, *ALICE, "--journal", "exchange.db"])
    assert isinstance(result.exception, cp.JournalError)
    assert "alice" not in result.stdout


async def test_sigterm_closes_with_1012(alice_key: cp.PrivateKey, folder: Path) -> None:
    async with running(*ALICE) as exchange:
        async with exchange.connect(alice_key) as alice:
            await alice.request(cp.UserBalanceRequest())
            exchange.process.send_signal(signal.SIGTERM)
            with pytest.raises(cp.ServerRestart, match="the exchange was stopped"):
                await anext(alice)
        assert await exchange.process.wait() == 143
    assert cp.PrivateKey.load(folder / "exchange.pem").public_key == cp.PublicKey.load(folder / "exchange.pub")


async def test_the_log_shows_who_connects_is_refused_and_leaves(
    alice_key: cp.PrivateKey, bob_key: cp.PrivateKey
) -> None:
    async with running(*ALICE, "--verbose") as exchange:
        with pytest.raises(cp.InvalidKey):
            await exchange.connect(bob_key, "bob")
        line = await exchange.until_logged("refused")
        assert "connection from 127.0.0.1 refused: 1008 invalid key: client id 'bob' is not registered" in line
        async with exchange.connect(alice_key) as alice:
            assert "client alice connected from 127.0.0.1" in await exchange.until_logged("connected")
            await alice.send(cp.PlaceBuyLimitOrder("BTC_USD", "0.5", "15000"))
            assert "PlaceBuyLimitOrder" in await exchange.until_logged("client alice sent 1")
        assert "client alice left: 1000" in await exchange.until_logged("left")


async def test_messages_are_logged_only_if_verbose(alice_key: cp.PrivateKey) -> None:
    async with running(*ALICE) as exchange:
        async with exchange.connect(alice_key) as alice:
            await alice.send(cp.PlaceBuyLimitOrder("BTC_USD", "0.5", "15000"))
            await alice.request(cp.UserBalanceRequest())
        await exchange.until_logged("connected")
        assert exchange.process.stderr is not None
        assert b"client alice left" in await exchange.process.stderr.readline(), "nothing between"


async def test_with_a_certificate_it_listens_with_tls(alice_key: cp.PrivateKey, folder: Path) -> None:
    certificate, _ = self_signed(folder)
    shutil.move(folder / "exchange.pem", folder / "tls.pem")
    async with running(*ALICE, "--tls-cert", "tls.pem") as exchange:
        assert exchange.told["url"].startswith("wss://")
        async with exchange.connect(alice_key, ssl=ssl.create_default_context(cafile=certificate)) as alice:
            await alice.request(cp.UserBalanceRequest())


async def test_a_journals_clients_are_named_at_the_start(alice_key: cp.PrivateKey) -> None:
    exchange = Exchange(path="exchange.db")
    exchange.register("alice", alice_key.public_key)
    await exchange.close()
    started = await shown("--journal", "exchange.db")
    assert "clients      alice" in started
    assert "--client-id alice --key alice.pem --server-key exchange.pub" in started
    assert "none: nobody can connect" in await shown("--key", "other.pem")


async def shown(*arguments: str) -> str:
    """What the command prints at its start, for people."""
    command = [sys.executable, "-W", "error", "-m", "cryptoproto", "exchange", *PORTS, *arguments]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE, env=environment)
    assert process.stderr is not None
    async with asyncio.timeout(30):
        while b"Press Ctrl-C" not in (line := await process.stderr.readline()):
            assert line, "the exchange ended"
    process.send_signal(signal.SIGINT)
    out, _ = await process.communicate()
    return out.decode()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--client", "bob=b.pub", "--client", "bob=c.pub"), "there is already a client bob"),
        (("--balance", "USD=5"), "--balance USD=5: write it like --balance alice:USD=1000000"),
        (
            ("--client", "alice=alice.pub", "--balance", "alice:USD=1", "--balance", "alice:USD=2"),
            "already has an opening balance in USD",
        ),
        (("--client", "alice=alice.pub", "--balance", "alice:usd=5"), "no pair trades usd; the currencies are"),
    ],
)
def test_a_client_or_a_balance_that_cannot_be_meant(options: tuple[str, ...], words: str) -> None:
    shown = run("exchange", *options)
    assert shown.code == 2
    assert words in " ".join(shown.err.split())


@pytest.mark.parametrize("options", [(), ("--host", "0.0.0.0")])
def test_the_command_that_it_prints_places_an_order(options: tuple[str, ...], folder: Path) -> None:
    keys = folder / "my keys"
    keys.mkdir()
    for name in ("alice.pem", "alice.pub"):
        (folder / name).rename(keys / name)
    client = ("--client", "alice=my keys/alice.pub", "--balance", "alice:USD=100000")
    with start("exchange", *client, *PORTS, *options, cwd=folder) as running:
        assert running.process.stdout is not None
        assert running.first_line.startswith("exchange     ws://127.0.0.1:")
        assert ("on all other addresses" in running.first_line) == bool(options)
        line = next(line for line in running.process.stdout if line.startswith("to trade "))
        program, *arguments = shlex.split(line.removeprefix("to trade "))
        placed = run(*arguments, cwd=folder)
    assert (program, placed.code) == ("cryptoproto", 0)
    assert placed.err.startswith("accepted as order 1")
