"""Profiles: which source counts, what is missing, keys and their passwords, and the arguments for a connection."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from cryptoproto.profiles.environment import VARIABLES
from tests.support.config import write_config

SECRET = "correct-horse-battery"


@pytest.fixture
def folder(tmp_path: Path, alice_key: cp.PrivateKey, exchange_key: cp.PrivateKey) -> Path:
    alice_key.save(tmp_path / "alice.pem")
    alice_key.save(tmp_path / "locked.pem", password=SECRET)
    exchange_key.public_key.save(tmp_path / "exchange.pub")
    write_config(
        tmp_path / "config.toml",
        """
        [profiles.paper]
        url = "ws://127.0.0.1:8400"
        client_id = "alice"
        key = "alice.pem"
        server_key = "exchange.pub"
        protocol = "v5"
        request_timeout = 2.5
        """,
    )
    return tmp_path


@pytest.fixture
def path(folder: Path) -> Path:
    return folder / "config.toml"


def extend(path: Path, line: str) -> None:
    path.write_text(path.read_text() + line + "\n")


# Which source counts

SETTINGS: Mapping[str, st.SearchStrategy[str]] = {
    "url": st.sampled_from(["wss://a.example", "wss://b.example"]),
    "client_id": st.text("abc", min_size=1, max_size=3),
    "key": st.sampled_from(["/a.pem", "/b.pem"]),
    "server_key": st.sampled_from(["/a.pub", "/b.pub"]),
    "protocol": st.sampled_from(["signed", "v5"]),
    "market_data_url": st.sampled_from(["wss://c.example", "wss://d.example"]),
    "store": st.sampled_from(["/a.db", "/b.db"]),
    "nats": st.sampled_from(["nats://a.example", "nats://b.example"]),
}
layer = st.fixed_dictionaries({}, optional=dict(SETTINGS))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(file=layer, environment=layer, arguments=layer)
def test_arguments_count_more_than_the_environment_and_that_more_than_the_file(
    tmp_path: Path, file: dict[str, str], environment: dict[str, str], arguments: Any
) -> None:
    path = write_config(
        tmp_path / "config.toml", "[profiles.a]\n" + "".join(f'{key} = "{value}"\n' for key, value in file.items())
    )
    with mock.patch.dict(os.environ, {VARIABLES[key]: value for key, value in environment.items()}):
        profile = cp.Profile.load("a", path=path, **arguments)
        bare = cp.Profile.from_env(**arguments)
    assert profile.values == {**file, **environment, **arguments}
    assert bare.values == {**environment, **arguments}
    assert set(profile.sources) == set(profile.values)
    for key, source in profile.sources.items():
        if key in arguments:
            assert source == f"{key} in the arguments"
        elif key in environment:
            assert source == VARIABLES[key]
        else:
            assert source == f"{key} in [profiles.a] of {path}"


def test_a_variable_names_the_profile(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRYPTOPROTO_CONFIG", str(path))
    assert cp.Profile.from_env().name is None
    monkeypatch.setenv("CRYPTOPROTO_PROFILE", "paper")
    monkeypatch.setenv("CRYPTOPROTO_CLIENT_ID", "bob")
    profile = cp.Profile.from_env()
    assert profile.name == "paper"
    assert profile.path == path
    assert profile.values["client_id"] == "bob"
    assert cp.Profile.load("paper").values == profile.values
    monkeypatch.setenv("CRYPTOPROTO_PROFILE", "live")
    with pytest.raises(cp.ConfigurationError, match="has no profile 'live'; it has paper"):
        cp.Profile.from_env()


def test_values_that_are_given_are_checked(path: Path) -> None:
    with pytest.raises(cp.ConfigurationError, match="protocol in the arguments must be"):
        cp.Profile.load("paper", path=path, protocol="v6")  # type: ignore[arg-type]
    with pytest.raises(cp.ConfigurationError, match="url in the arguments: 'x' is not a WebSocket address"):
        cp.Profile.from_env(url="x")
    with pytest.raises(cp.ConfigurationError, match="unknown key 'sever_key' in the arguments; did you mean"):
        cp.Profile.from_env(sever_key="a")  # type: ignore[call-arg]
    with pytest.raises(cp.ConfigurationError, match="instrument 1 of the arguments has no trade_pair"):
        cp.Profile.load("paper", path=path, instruments=[{}])


# What is missing


def test_all_that_is_missing_is_named_together(path: Path) -> None:
    write_config(path, "[profiles.paper]\nclient_id = 'alice'\nkey = 'alice.pem'\n")
    with pytest.raises(cp.ConfigurationError) as caught:
        cp.Profile.load("paper", path=path).connect_arguments()
    assert str(caught.value) == (
        f"no url or server_key in [profiles.paper] of {path}: write them there, "
        f"or set CRYPTOPROTO_URL and CRYPTOPROTO_SERVER_KEY"
    )
    with pytest.raises(cp.ConfigurationError) as caught:
        cp.Profile.from_env(client_id="alice").connect_arguments()
    assert str(caught.value) == (
        "the environment gives no url, key or server_key: set CRYPTOPROTO_URL, CRYPTOPROTO_KEY and "
        "CRYPTOPROTO_SERVER_KEY, or name a profile in CRYPTOPROTO_PROFILE"
    )
    assert cp.Profile.load("paper", path=path).missing("key", "store") == ["store"]


def test_what_is_given_is_not_missing(alice_key: cp.PrivateKey, exchange_key: cp.PrivateKey) -> None:
    given = {
        "url": "ws://127.0.0.1:1",
        "client_id": "alice",
        "private_key": alice_key,
        "server_key": exchange_key.public_key,
    }
    arguments = cp.Profile.from_env().connect_arguments(**given)  # type: ignore[arg-type]
    assert arguments == {**given, "exclusive": True}


# Keys


def test_an_encrypted_key_gets_its_password_from_a_command(folder: Path, path: Path) -> None:
    extend(path, f'password_command = ["{sys.executable}", "-I", "-S", "-c", "print(\'{SECRET}\')"]')
    profile = cp.Profile.load("paper", path=path, key=str(folder / "locked.pem"))
    assert profile.private_key().fingerprint == cp.PrivateKey.load(folder / "alice.pem").fingerprint


def test_an_encrypted_key_gets_its_password_from_the_environment(
    folder: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = cp.Profile.load("paper", path=path, key=str(folder / "locked.pem"))
    with pytest.raises(cp.PasswordRequired, match=r"locked.pem: the key is encrypted: set CRYPTOPROTO_PASSWORD, or"):
        profile.private_key()
    monkeypatch.setenv("CRYPTOPROTO_PASSWORD", SECRET)
    assert profile.private_key().bits == 2048
    monkeypatch.setenv("CRYPTOPROTO_PASSWORD", "wrong" + SECRET)
    with pytest.raises(cp.ConfigurationError, match=r"wrong password.*is from CRYPTOPROTO_PASSWORD") as caught:
        profile.private_key()
    assert SECRET not in str(caught.value)


def test_a_plain_key_needs_no_command(path: Path) -> None:
    extend(path, 'password_command = ["/no/such/program"]')
    assert cp.Profile.load("paper", path=path).private_key().bits == 2048


def test_keys_that_cannot_be_used_name_their_profile(folder: Path, path: Path) -> None:
    (folder / "alice.pem").chmod(0o644)
    where = rf"\(key in \[profiles.paper\] of {path}\)"
    with pytest.raises(cp.ConfigurationError, match=f"alice.pem: mode 0644 gives other users access .*{where}"):
        cp.Profile.load("paper", path=path).private_key()
    (folder / "exchange.pub").unlink()
    with pytest.raises(cp.ConfigurationError, match=r"exchange.pub: no such .*\(server_key in \[profiles.paper\]"):
        cp.Profile.load("paper", path=path).public_key_of_server()


# Arguments for a connection


def test_the_profile_gives_all_arguments(path: Path, alice_key: cp.PrivateKey, exchange_key: cp.PrivateKey) -> None:
    extend(path, 'transport = "websockets"\ninsecure = true\nopen_timeout = 1\nping_interval = 2\nping_timeout = 3')
    extend(path, "signer_threads = 4")
    arguments = cp.Profile.load("paper", path=path).connect_arguments(resume_from=-1, ping_timeout=None)
    assert arguments.pop("private_key").fingerprint == alice_key.fingerprint  # type: ignore[misc]
    assert arguments == {
        "url": "ws://127.0.0.1:8400",
        "client_id": "alice",
        "server_key": exchange_key.public_key,
        "protocol": cp.Protocol.V5,
        "transport": "websockets",
        "insecure": True,
        "signer_threads": 4,
        "open_timeout": 1.0,
        "request_timeout": 2.5,
        "ping_interval": 2.0,
        "ping_timeout": None,
        "exclusive": True,
        "resume_from": -1,
    }


def test_a_profile_is_exclusive_unless_it_is_told_otherwise(path: Path) -> None:
    profile = cp.Profile.load("paper", path=path)
    assert profile.connect_arguments()["exclusive"]
    assert not profile.connect_arguments(exclusive=False)["exclusive"]
    assert not profile.connect_arguments(lock=False)["exclusive"]
    extend(path, "exclusive = false")
    assert not cp.Profile.load("paper", path=path).connect_arguments()["exclusive"]


def test_the_profile_gives_instruments(path: Path) -> None:
    assert cp.Profile.load("paper", path=path).instruments() == ()
    extend(path, "[[profiles.paper.instruments]]\ntrade_pair = 'BTC_USD'\ntick_size = 0.01\nmin_amount = '0.5'")
    (instrument,) = cp.Profile.load("paper", path=path).instruments()
    assert instrument == cp.Instrument("BTC_USD", tick_size="0.01", min_amount="0.5")


def test_the_profile_gives_limits(path: Path) -> None:
    assert cp.Profile.load("paper", path=path).order_limits() is None
    extend(path, "[profiles.paper.limits]\npairs = ['BTC_USD']\nmax_value = {BTC_USD = 100}\nmax_amount = 0.5")
    profile = cp.Profile.load("paper", path=path)
    limits = profile.order_limits()
    assert limits is not None
    expected = cp.OrderLimits(pairs=["BTC_USD"], max_value={"BTC_USD": "100"}, max_amount="0.5")
    assert repr(limits) == repr(expected)
    book = cp.OrderBook("BTC_USD")
    assert repr(profile.order_limits(book=book)) == repr(expected)  # not needed without a band
    extend(path, "price_band = 0.05")
    profile = cp.Profile.load("paper", path=path)
    with pytest.raises(cp.ConfigurationError, match=r"price_band of limits in \[profiles.paper\] of .* needs a book"):
        profile.order_limits()
    assert repr(profile.order_limits(book=book)) != repr(expected)


def test_limits_that_cannot_be_used_name_their_profile(path: Path) -> None:
    extend(path, "[profiles.paper.limits]\nmax_value = {BTCUSD = 100}")
    with pytest.raises(cp.ConfigurationError, match=r"limits in \[profiles.paper\] of .*BTCUSD"):
        cp.Profile.load("paper", path=path)


def test_an_address_that_is_not_encrypted_names_its_source(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    profile = cp.Profile.load("paper", path=path, url="ws://api.example.com")
    with pytest.raises(cp.ConfigurationError, match="not encrypted by TLS") as caught:
        profile.connect_arguments()
    assert "arguments" not in str(caught.value)
    monkeypatch.setenv("CRYPTOPROTO_URL", "ws://api.example.com")
    with pytest.raises(cp.ConfigurationError, match=r"not encrypted by TLS.*\(CRYPTOPROTO_URL\)"):
        cp.Profile.load("paper", path=path).connect_arguments()
    monkeypatch.delenv("CRYPTOPROTO_URL")
    assert profile.connect_arguments(insecure=True)["url"] == "ws://api.example.com"
    assert cp.Profile.load("paper", path=path, insecure=True).address("url") == "ws://127.0.0.1:8400"


def test_the_representation_shows_no_value(path: Path) -> None:
    profile = cp.Profile.load("paper", path=path)
    assert repr(profile) == "<Profile paper: url, client_id, key, server_key, protocol, request_timeout>"
    assert repr(cp.Profile.from_env()) == "<Profile of the environment: nothing set>"


async def test_a_connection_of_a_profile(path: Path, alice_key: cp.PrivateKey, exchange_key: cp.PrivateKey) -> None:
    async with Exchange(private_key=exchange_key) as exchange:
        exchange.register("alice", alice_key.public_key, {"USD": "1"})
        profile = cp.Profile.load("paper", path=path, url=exchange.url)
        async with cp.connect(**profile.connect_arguments()) as connection:
            assert connection.protocol is cp.Protocol.V5
            with pytest.raises(cp.IdentityInUse):
                await cp.connect(**profile.connect_arguments())
            assert connection.is_open
