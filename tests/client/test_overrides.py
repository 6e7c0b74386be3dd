"""Clients of profiles: the arguments that a profile gives, and what two bots on one profile get to hear."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

import pytest

import cryptoproto as cp
from cryptoproto import sync
from cryptoproto.client import client_arguments
from cryptoproto.exchange import Exchange
from cryptoproto.sync.exchange import Exchange as SyncExchange
from tests.support.command_line import process_environment
from tests.support.config import clear_environment, write_config


@pytest.fixture(autouse=True)
def path(
    tmp_path: Path, alice_key: cp.PrivateKey, exchange_key: cp.PrivateKey, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The configuration file, with a profile that lacks only the address."""
    clear_environment(monkeypatch)
    alice_key.save(tmp_path / "alice.pem")
    exchange_key.public_key.save(tmp_path / "exchange.pub")
    text = """
        [profiles.paper]
        client_id = "alice"
        key = "alice.pem"
        server_key = "exchange.pub"
        store = "alice.db"
        resend = "once"
        order_rate = 50
        cancel_on_exit = true
        keep_cancels_ready = 5
        """
    monkeypatch.setenv("CRYPTOPROTO_CONFIG", str(tmp_path / "config.toml"))
    return write_config(tmp_path / "config.toml", text)


def test_every_argument_of_a_client_can_replace_a_setting() -> None:
    """A new argument of Client has to be added to ClientOverrides."""
    own = set(inspect.signature(cp.Client.__init__).parameters) - {"self", "options"}
    connecting = set(cp.ConnectArguments.__annotations__)
    assert set(cp.ClientOverrides.__annotations__) == own | connecting
    assert set(cp.ClientCall.__annotations__) == own | connecting
    assert set(cp.ConnectOverrides.__annotations__) == {"url"} | connecting
    assert set(cp.ConnectOptions.__struct_fields__) == {"url"} | connecting


def test_the_profile_gives_the_arguments_and_overrides_replace_them(path: Path) -> None:
    profile = cp.Profile.load("paper", url="ws://127.0.0.1:1")
    arguments = client_arguments(profile)
    assert arguments["store"] == str(path.parent / "alice.db")
    assert arguments["resend"] == "once"
    assert arguments["order_rate"] == 50.0
    assert arguments["cancel_on_exit"]
    assert arguments["keep_cancels_ready"] == 5
    assert arguments["exclusive"]
    backoff = cp.Backoff()
    arguments = client_arguments(profile, store=None, order_rate=None, backoff=backoff, exclusive=False, max_queue=5)
    assert arguments["store"] is None
    assert arguments["order_rate"] is None
    assert arguments["backoff"] is backoff
    assert arguments["resend"] == "once"
    assert not arguments["exclusive"]
    assert arguments["max_queue"] == 5


def test_a_history_is_kept_in_the_store(path: Path) -> None:
    path.write_text(path.read_text() + "history = true\n")
    store = client_arguments(cp.Profile.load("paper"), url="ws://127.0.0.1:1")["store"]
    assert isinstance(store, cp.SqliteStore)
    assert store.path == path.parent / "alice.db"
    arguments = client_arguments(cp.Profile.load("paper"), url="ws://127.0.0.1:1", store=path.parent / "other.db")
    assert isinstance(arguments["store"], cp.SqliteStore)
    assert arguments["store"].path == path.parent / "other.db"
    for own in (None, cp.MemoryStore()):  # the caller has decided
        assert client_arguments(cp.Profile.load("paper"), url="ws://127.0.0.1:1", store=own)["store"] is own


def test_a_history_needs_a_store(path: Path) -> None:
    path.write_text(path.read_text().replace('store = "alice.db"', "history = true"))
    with pytest.raises(
        cp.ConfigurationError, match=r"history in \[profiles.paper\] of .* needs a store, .*or set CRYP"
    ):
        cp.Client.from_profile("paper", url="ws://127.0.0.1:1")


def add_rules(path: Path) -> None:
    """Add an instrument and a limit to the profile."""
    rules = """
        [[profiles.paper.instruments]]
        trade_pair = "BTC_USD"
        tick_size = 0.5
        [profiles.paper.limits]
        max_amount = 2
        """
    path.write_text(path.read_text() + rules)


def test_instruments_and_limits_are_objects(path: Path) -> None:
    add_rules(path)
    profile = cp.Profile.load("paper", url="ws://127.0.0.1:1")
    arguments = client_arguments(profile)
    assert arguments["instruments"] == (cp.Instrument("BTC_USD", tick_size="0.5"),)
    assert repr(arguments["limits"]) == repr(cp.OrderLimits(max_amount=2))
    arguments = client_arguments(profile, instruments=None, limits=None)
    assert (arguments["instruments"], arguments["limits"]) == (None, None)


async def test_orders_are_checked_against_the_profile(path: Path) -> None:
    add_rules(path)
    client = cp.Client.from_profile("paper", url="ws://127.0.0.1:1")
    for amount, price, words in (("1", "10.25", "tick"), ("3", "10", "max_amount")):
        with pytest.raises(cp.OrderInvalid, match=words):
            await client.place("BTC_USD", "buy", amount=amount, price=price, wait=False)


async def test_a_client_of_a_profile_and_of_the_environment(
    path: Path, alice_key: cp.PrivateKey, exchange_key: cp.PrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Exchange(private_key=exchange_key) as exchange:
        exchange.register("alice", alice_key.public_key, {"USD": "100"})
        async with cp.Client.from_profile("paper", path=path, url=exchange.url) as client:
            assert (await client.balances())["USD"].available == 100
        assert (path.parent / "alice.db").exists()
        monkeypatch.setenv("CRYPTOPROTO_PROFILE", "paper")
        monkeypatch.setenv("CRYPTOPROTO_URL", exchange.url)
        async with cp.Client.from_env(store=None) as client:
            assert (await client.balances())["USD"].available == 100


def test_a_client_without_await(
    path: Path, alice_key: cp.PrivateKey, exchange_key: cp.PrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SyncExchange(private_key=exchange_key) as exchange:
        exchange.register("alice", alice_key.public_key, {"USD": "100"})
        with sync.Client.from_profile("paper", path=path, url=exchange.url) as client:
            assert client.balances()["USD"].available == 100
        monkeypatch.setenv("CRYPTOPROTO_PROFILE", "paper")
        with sync.Client.from_env(url=exchange.url) as client:
            assert client.balances()["USD"].available == 100


async def test_options_are_typed_for_callers(path: Path) -> None:
    """mypy --strict checks this function: options can be kept in a variable, and be passed on."""
    options: cp.ClientOverrides = {"url": "ws://127.0.0.1:1", "store": None, "max_queue": 10}
    client = cp.Client.from_profile("paper", path=path, **options)
    assert "ws://127.0.0.1:1" in repr(client)
    assert "ws://127.0.0.1:1" in repr(OwnClient.from_profile("paper", **options).hello())
    profile = cp.Profile.load("paper", url="ws://127.0.0.1:1")
    call: cp.ConnectCall = profile.connect_arguments(request_timeout=1)
    cp.connect(**call)
    feed: cp.FeedOverrides = {"url": "ws://127.0.0.1:2", "pairs": ["BTC_USD"]}
    assert "ws://127.0.0.1:2" in repr(cp.MarketData.from_profile("paper", **feed))
    with pytest.raises(TypeError):
        cp.Client.from_profile("paper", url="ws://127.0.0.1:1", no_such_option=1)  # type: ignore[call-arg]
    with pytest.raises(cp.ConfigurationError, match="max_queue"):
        cp.Client.from_profile("paper", url="ws://127.0.0.1:1", max_queue="10")  # type: ignore[arg-type]


class OwnClient(cp.Client):
    """A subclass: from_profile() makes one."""

    def hello(self) -> Self:
        return self


_BOT = """
import asyncio, sys
import cryptoproto as cp

async def main():
    async with cp.Client.from_profile("paper", url=sys.argv[1], **eval(sys.argv[2])) as client:
        await client.balances()
        print("trading", flush=True)
        await asyncio.to_thread(sys.stdin.read)

try:
    asyncio.run(main())
except cp.ConfigurationError as error:
    print(f"{type(error).__name__}: {error}", flush=True)
"""


def start_bot(url: str, path: Path, **overrides: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", _BOT, url, repr(overrides)],
        env={**process_environment(), "CRYPTOPROTO_CONFIG": str(path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_two_bots_on_one_profile(
    path: Path, alice_key: cp.PrivateKey, exchange_key: cp.PrivateKey, tmp_path: Path
) -> None:
    """The second one ends with an error that names the first, whose connection goes on."""
    with SyncExchange(private_key=exchange_key) as exchange:
        exchange.register("alice", alice_key.public_key, {"USD": "100"})
        with start_bot(exchange.url, path) as first:
            try:
                assert first.stdout is not None
                assert first.stdout.readline() == "trading\n"
                with start_bot(exchange.url, path) as second:
                    out, _ = second.communicate(timeout=60)
                assert out.startswith("ConfigurationError: ")
                assert f"{tmp_path / 'alice.db'} is in use by another client, in process {first.pid}" in out
                with start_bot(exchange.url, path, store=None) as third:
                    out, _ = third.communicate(timeout=60)
                assert out.startswith(
                    f"IdentityInUse: client id 'alice' is in use on this machine by process {first.pid}"
                )
                assert first.poll() is None
                out, _ = first.communicate("", timeout=60)
                assert out == ""
                assert first.returncode == 0
            finally:
                first.kill()
