"""``profile check`` on a real exchange: what it shows, its exit codes, and what it leaves alone."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Self

import pytest

import cryptoproto as cp
from cryptoproto import sync
from cryptoproto.cli.profile_check import clock_difference
from cryptoproto.sync.exchange import Exchange
from tests.support.command_line import Shell
from tests.support.config import write_config

SECRET = "correct-horse-battery"
PAPER = """
    [profiles.paper]
    url = "{url}"
    client_id = "alice"
    key = "alice.pem"
    server_key = "exchange.pub"
    market_data_url = "{market_data_url}"
    store = "alice.db"
    """


@pytest.fixture(autouse=True)
def config(shell: Shell, venue: Exchange) -> Path:
    """The configuration file, the only source of the commands of *shell*, with a profile for *venue*."""
    path = shell.folder / "config.toml"
    shell.environment = {"CRYPTOPROTO_CONFIG": str(path)}
    return write_config(path, PAPER.format(url=venue.url, market_data_url=venue.market_data_url))


def test_everything_is_fine(shell: Shell, config: Path, alice_key: cp.PrivateKey, exchange_key: cp.PrivateKey) -> None:
    result = shell("profile", "check", "paper", "--json")
    assert result.code == 0, result.out
    (found,) = result.lines
    assert found["ok"]
    assert found["package_version"] == cp.__version__
    assert (found["protocol"], found["protocol_version"]) == ("signed", None)
    assert found["key_fingerprint"] == alice_key.fingerprint
    assert found["server_key_fingerprint"] == exchange_key.public_key.fingerprint
    assert found["connect_ms"] > 0
    assert found["round_trip_ms"] > 0
    assert found["market_data_connect_ms"] > 0
    # The clocks are the same one, so the difference has to be within the error that is stated.
    assert abs(found["clock_difference_ms"]) <= found["clock_uncertainty_ms"]
    assert [(each["name"], each["status"]) for each in found["checks"]] == [
        ("private key", "ok"),
        ("key of exchange", "ok"),
        ("connection", "ok"),
        ("market data", "ok"),
        ("store", "ok"),
    ]
    assert "does not exist yet" in found["checks"][-1]["detail"]
    assert not (config.parent / "alice.db").exists()
    text = " ".join(shell("profile", "check", "paper").out.split())
    for words in (f"cryptoproto {cp.__version__}", "the protocol with signatures", "round trip", "the clock here is"):
        assert words in text


def test_without_the_clock_nothing_is_sent(shell: Shell, config: Path) -> None:
    config.write_text(config.read_text() + 'protocol = "v5"\n')
    (found,) = shell("profile", "check", "paper", "--no-clock", "--json").lines
    assert found["ok"]
    assert found["protocol_version"] == 5
    assert "clock_difference_ms" not in found
    (found,) = shell("profile", "check", "paper", "--json").lines
    assert found["last_sequence"] == 0
    (found,) = shell("profile", "check", "paper", "--json").lines
    assert found["last_sequence"] == 1


def test_a_store_is_opened(shell: Shell, config: Path, venue: Exchange) -> None:
    with sync.Client.from_profile("paper", path=config) as client:
        client.balances()
    (found,) = shell("profile", "check", "paper", "--json").lines
    assert found["ok"]
    assert found["outbox"] == 0
    assert "0 messages without an outcome" in found["checks"][-1]["detail"]


def test_a_running_bot_is_left_alone(shell: Shell, config: Path) -> None:
    with sync.Client.from_profile("paper", path=config) as client:
        result = shell("profile", "check", "paper", "--json")
        assert result.code == 5
        statuses = {each["name"]: each for each in result.lines[0]["checks"]}
        assert "in use on this machine by process" in statuses["connection"]["detail"]
        assert "is in use by another client" in statuses["store"]["detail"]
        assert statuses["market data"]["status"] == "ok"
        assert client.balances()


def test_a_password_is_got_from_the_command_or_asked_for(shell: Shell, config: Path, alice_key: cp.PrivateKey) -> None:
    alice_key.save(shell.folder / "alice.pem", password=SECRET, overwrite=True)
    asked = shell("profile", "check", "paper", stdin=f"{SECRET}\n")
    assert asked.code == 0, asked.err
    config.write_text(config.read_text() + f"password_command = ['{sys.executable}', '-c', 'print(\"{SECRET}\")']\n")
    got = shell("profile", "check", "paper")
    assert got.code == 0, got.out
    assert SECRET not in asked.out + asked.err + got.out + got.err


def test_the_first_failure_gives_the_exit_code(
    shell: Shell, config: Path, venue: Exchange, unused_tcp_port: int
) -> None:
    nowhere = f"ws://127.0.0.1:{unused_tcp_port}"
    write_config(config, PAPER.format(url=venue.url, market_data_url=nowhere))
    result = shell("profile", "check", "paper")
    assert result.code == 3
    assert "failed" in result.out
    write_config(config, PAPER.format(url=nowhere, market_data_url=nowhere))
    assert shell("profile", "check", "paper").code == 3
    (shell.folder / "alice.pem").chmod(0o644)
    result = shell("profile", "check", "paper", "--json")
    assert result.code == 2
    (found,) = result.lines
    assert not found["ok"]
    details = {each["name"]: each["detail"] for each in found["checks"]}
    assert "mode 0644 gives other users access to the private key" in details["private key"]
    assert details["connection"] == "not tried: a key is missing"


def test_what_is_not_in_the_profile_is_not_tried(shell: Shell, config: Path, venue: Exchange) -> None:
    write_config(config, f'[profiles.paper]\nmarket_data_url = "{venue.market_data_url}"\n')
    (found,) = shell("profile", "check", "paper", "--json").lines
    assert found["ok"]
    assert [each["status"] for each in found["checks"]] == ["skipped", "ok", "skipped"]
    write_config(config, "[profiles.paper]\n")
    result = shell("profile", "check", "paper")
    assert result.code == 2
    text = " ".join(result.out.split())
    assert "no key in [profiles.paper]" in text
    assert "has no market_data_url" in text


@pytest.mark.parametrize(
    ("store", "words"),
    [("no/folder/alice.db", "is not a folder that you can write"), ("alice.pem", "is not a store but another kind")],
)
def test_a_store_that_cannot_be_used(shell: Shell, config: Path, store: str, words: str) -> None:
    config.write_text(config.read_text().replace("alice.db", store))
    result = shell("profile", "check", "paper", "--json")
    assert result.code == 2
    assert words in result.lines[0]["checks"][-1]["detail"]


def test_a_history_needs_a_store(shell: Shell, config: Path) -> None:
    config.write_text(config.read_text().replace('store = "alice.db"', "history = true"))
    result = shell("profile", "check", "paper", "--json")
    assert result.code == 2
    assert "needs a store, because the history is kept there" in result.lines[0]["checks"][-1]["detail"]


def test_limits_that_cannot_be_used_are_found(shell: Shell, config: Path) -> None:
    config.write_text(config.read_text() + "[profiles.paper.limits]\nmax_amount = { BTCUSD = 1 }\n")
    for command in ("check", "show"):
        result = shell("profile", command, "paper")
        assert result.code == 2
        assert "limits in [profiles.paper] of" in result.err


def test_a_store_needs_the_key_of_the_exchange(shell: Shell, config: Path) -> None:
    (shell.folder / "alice.db").touch()
    (shell.folder / "exchange.pub").unlink()
    result = shell("profile", "check", "paper", "--json")
    assert result.code == 2
    assert "not tried, because the key of the exchange is missing" in result.lines[0]["checks"][-1]["detail"]


class Silent:
    """A connection on which other events arrive, and no answer."""

    def __init__(self) -> None:
        self.sent: list[object] = []
        self._events = [cp.Event(1, 1.0, cp.OrderNotFound(7), 1, b"{}")]

    async def send(self, message: object) -> None:
        self.sent.append(message)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> cp.Event:
        if self._events:
            return self._events.pop()
        await asyncio.Event().wait()
        raise AssertionError


async def test_an_exchange_that_does_not_answer() -> None:
    connection = Silent()
    with pytest.raises(cp.RequestTimeout, match=r"did not answer a message within 0.01 s"):
        await clock_difference(connection, 0.01)  # type: ignore[arg-type]
    assert connection.sent == [cp.CancelOrder(0)]
