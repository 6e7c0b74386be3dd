"""The options of the commands that connect: keys, addresses, the lock on the client id, and how they end."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import cryptoproto as cp
from cryptoproto.cli.options import check_address, connecting, resolved
from tests.support import command_line


@pytest.fixture
def folder(tmp_path: Path, alice_key: cp.PrivateKey, exchange_key: cp.PrivateKey) -> Path:
    alice_key.save(tmp_path / "alice.pem")
    alice_key.save(tmp_path / "locked.pem", password="secret")
    exchange_key.public_key.save(tmp_path / "exchange.pub")
    return tmp_path


def ask(folder: Path, key: str, url: str, *more: str, stdin: str = "") -> command_line.Result:
    """Run a command that needs all the options."""
    return command_line.run(
        *("request", "balances", "--url", url, "--client-id", "alice", "--key", key, "--server-key", "exchange.pub"),
        *more,
        cwd=folder,
        stdin=stdin,
    )


@pytest.mark.parametrize(
    ("password", "code", "words"),
    [("secret", 3, "cannot connect to"), ("wrong", 2, "wrong password"), ("", 1, "Aborted")],
)
def test_the_password_of_a_key_is_asked_for(
    folder: Path, unused_tcp_port: int, password: str, code: int, words: str
) -> None:
    stdin = f"{password}\n" if password else ""
    result = ask(folder, "locked.pem", f"ws://127.0.0.1:{unused_tcp_port}", stdin=stdin)
    assert result.code == code, result.err
    assert "Password of locked.pem" in result.err
    assert words in " ".join(result.err.split())
    assert not password or password not in result.out + result.err.replace("wrong password", "")


@pytest.mark.parametrize(
    ("key", "url", "words"),
    [
        ("nobody.pem", "ws://127.0.0.1:1", "nobody.pem"),
        ("alice.pem", "ws://example.com", "pass --insecure if you trust the network"),
        ("alice.pem", "http://example.com", "WebSocket address"),
        ("exchange.pub", "ws://127.0.0.1:1", "exchange.pub"),
    ],
)
def test_what_cannot_be_used_is_a_usage_error(folder: Path, key: str, url: str, words: str) -> None:
    result = ask(folder, key, url)
    assert result.code == 2
    assert words in " ".join(result.err.split())
    assert "insecure=True" not in result.err


def test_insecure_addresses_are_allowed_on_request() -> None:
    with pytest.raises(cp.ConfigurationError, match="--insecure"):
        check_address("ws://example.com", insecure=False)
    check_address("ws://example.com", insecure=True)
    check_address("wss://example.com", insecure=False)


async def test_a_client_id_in_use_is_refused_unless_it_is_taken_over(
    folder: Path, exchange_key: cp.PrivateKey, alice_key: cp.PrivateKey
) -> None:
    from cryptoproto.exchange import Exchange

    async with Exchange(private_key=exchange_key) as exchange:
        exchange.register("alice", alice_key.public_key, {"USD": "1"})
        key, server_key = folder / "alice.pem", folder / "exchange.pub"
        settings = resolved(None, url=exchange.url, client_id="alice", key=key, server_key=server_key)
        async with connecting(settings) as bot:
            with pytest.raises(cp.IdentityInUse) as caught:
                await connecting(settings)
            assert caught.value.pid == os.getpid()
            assert bot.is_open
            async with connecting(settings, take_over=True) as connection:
                await connection.request(cp.UserBalanceRequest())
            await bot.wait_closed()
            assert isinstance(bot.error, cp.ConcurrentConnection)


def test_a_link_that_ends_during_the_tls_handshake_leaves_one_line(folder: Path) -> None:
    """The reports of aiofastnet break the logging of asyncio, which writes forty lines about it; not under pytest."""

    def hang_up() -> None:
        accepted, _ = server.accept()
        with accepted:
            accepted.recv(2**16)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=hang_up)
        thread.start()
        address = f"wss://127.0.0.1:{server.getsockname()[1]}"
        command = ("request", "balances", "--client-id", "alice", "--key", "alice.pem", "--server-key", "exchange.pub")
        done = subprocess.run(
            [sys.executable, "-m", "cryptoproto", *command, "--url", address, "--transport", "picows"],
            env=command_line.process_environment(),
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        thread.join()
    assert done.returncode == 3
    assert done.stderr.startswith(f"error: cannot connect to {address}: the other end closed the connection")
    assert len(done.stderr.splitlines()) == 1


def test_a_missing_server_key_is_not_to_be_made(folder: Path) -> None:
    (folder / "exchange.pub").unlink()
    refused = ask(folder, "alice.pem", "ws://127.0.0.1:1")
    assert refused.code == 2
    assert "exchange.pub: no such file; it is the public key of the exchange" in refused.err
    assert "keygen" not in refused.err
