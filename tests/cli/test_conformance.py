"""``conformance``: what the commands print, write and return."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import cryptoproto as cp
from cryptoproto.sync.exchange import Exchange
from tests.support.command_line import process_environment, run

BALANCES = {"USD": "1000000", "BTC": "100"}
DRIVER = f"{sys.executable} -m cryptoproto conformance driver"
CLIENT_FAILS = "Title: Fails\nChecks: protocol.md#handshake\nPeer: client\n\ndo connect\naccept\n< close 4321\n"


@pytest.fixture
def folder(tmp_path: Path, alice_key: cp.PrivateKey, bob_key: cp.PrivateKey, exchange_key: cp.PrivateKey) -> Path:
    alice_key.save(tmp_path / "alice.pem")
    bob_key.save(tmp_path / "bob.pem")
    exchange_key.public_key.save(tmp_path / "exchange.pub")
    return tmp_path


@pytest.fixture
def exchange(alice_key: cp.PrivateKey, bob_key: cp.PrivateKey, exchange_key: cp.PrivateKey) -> Iterator[Exchange]:
    with Exchange(private_key=exchange_key) as exchange:
        for name, key in (("alice", alice_key), ("bob", bob_key)):
            exchange.register(name, key.public_key, BALANCES)
        yield exchange


def arguments(exchange: Exchange, *more: str) -> list[str]:
    clients = ("--client", "alice=alice.pem", "--client", "bob=bob.pem")
    return ["conformance", "exchange", exchange.url, "--server-key", "exchange.pub", *clients, *more]


def test_an_exchange_that_passes(exchange: Exchange, folder: Path) -> None:
    only = ("--only", "exchange/sequences/*", "--only", "exchange/restarts/announced", "--html", "report.html")
    result = run(*arguments(exchange, *only), cwd=folder)
    assert result.code == 0, result.out + result.err
    assert "exchange/sequences" in result.out
    assert "skipped: nobody can restart this peer; pass --control" in result.err
    page = (folder / "report.html").read_text()
    assert "A sequence that is one too high closes with 4001" in page
    assert exchange.url in page


def test_results_as_json(exchange: Exchange, folder: Path) -> None:
    result = run(*arguments(exchange, "--only", "exchange/sequences/gap", "--protocol", "v5", "--json"), cwd=folder)
    (line,) = result.lines
    assert (line["script"], line["protocol"], line["outcome"]) == ("exchange/sequences/gap", "v5", "passed")


def test_an_exchange_that_fails(exchange: Exchange, folder: Path) -> None:
    (folder / "mine.txt").write_text(
        "Title: Mine\nChecks: protocol.md#handshake\nPeer: exchange\n\n"
        "connect alice\n> CancelOrder order_id=7\n< error 2\n"
    )
    result = run(*arguments(exchange, "--scripts", ".", "--protocol", "signed"), cwd=folder)
    assert result.code == 1
    assert "expected: < error 2" in result.out
    assert "got: event OrderNotFound order_id=7" in result.out


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--client", "alice"), "--client alice: write it like --client alice=alice.pem"),
        (("--only", "nothing/*"), "there is no script for an exchange that matches nothing/*"),
        (("--market-data-url", "http://x"), "http://x"),
        (("--control", "/no/such/program"), "--control /no/such/program: cannot be started"),
        (("--only", "exchange/sequences/gap", "--html", "no/such/folder"), "--html no/such/folder: cannot be written"),
    ],
)
def test_options_that_cannot_be_used(more: tuple[str, ...], words: str, exchange: Exchange, folder: Path) -> None:
    result = run(*arguments(exchange, *more), cwd=folder)
    assert result.code == 2
    assert words in result.err


def test_a_client_that_passes(folder: Path) -> None:
    command = ["conformance", "client", "ws://127.0.0.1:0", "--control", DRIVER, "--keys", "keys"]
    keys = folder / "keys"
    keys.mkdir()
    cp.PrivateKey.load(folder / "bob.pem").save(keys / "client.pem")
    result = run(*command, "--only", "client/sequences/*", "--protocol", "v5", cwd=folder)
    assert result.code == 0, result.out + result.err
    assert "client/sequences" in result.out
    assert "listening on ws://127.0.0.1:" in result.err
    assert (keys / "client.pem").read_bytes() == (folder / "bob.pem").read_bytes()


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_actions_over_the_terminal(more: tuple[str, ...]) -> None:
    """Two processes, each of which reads what the other one writes."""
    here = [sys.executable, "-m", "cryptoproto", "conformance"]
    pipe = subprocess.PIPE
    command = [*here, "client", "ws://127.0.0.1:0", "--control", "-", "--only", "client/sequences/first", *more]
    environment = process_environment()
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment) as runner:
        assert runner.stderr is not None
        with subprocess.Popen([*here, "driver"], stdin=runner.stdout, stdout=runner.stdin, env=environment):
            for inherited in (runner.stdin, runner.stdout):
                assert inherited is not None
                inherited.close()
            shown = runner.stderr.read().decode()
            assert runner.wait(60) == 0, shown
    assert "passed" in shown


def test_a_client_that_fails(folder: Path) -> None:
    (folder / "fails.txt").write_text(CLIENT_FAILS)
    result = run(
        "conformance", "client", "ws://127.0.0.1:0", "--control", DRIVER, "--scripts", ".", "--protocol", "v5",
        "--timeout", "0.2", cwd=folder,
    )  # fmt: skip
    assert result.code == 1
    # On a busy machine, the client has not even connected by then.
    assert re.search(r"got: (nothing|none) within 0\.2 s", result.out)


@pytest.mark.parametrize("url", ["wss://127.0.0.1:1", "ws://127.0.0.1", "ws://127.0.0.1:99999", "ws://:1"])
def test_an_address_that_cannot_be_listened_on(url: str) -> None:
    result = run("conformance", "client", url, "--control", DRIVER)
    assert result.code == 2
    assert "the address to listen on looks like ws://127.0.0.1:8500" in result.err


def test_an_ipv6_address() -> None:
    command = ("conformance", "client", "ws://[::1]:0", "--control", DRIVER, "--only", "client/sequences/first")
    result = run(*command, "--protocol", "v5")
    assert result.code == 0, result.out + result.err
    assert "listening on ws://[::1]:" in result.err


def test_an_address_in_use(exchange: Exchange) -> None:
    result = run("conformance", "client", exchange.url, "--control", DRIVER)
    assert result.code == 2
    assert f"cannot listen on {exchange.url}" in result.err
