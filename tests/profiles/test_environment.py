"""The variables that stand for keys of a profile."""

from __future__ import annotations

from pathlib import Path

import pytest

import cryptoproto as cp
from cryptoproto.profiles.environment import VARIABLES, environment_values
from cryptoproto.profiles.values import KEYS


def test_each_variable_gives_its_key() -> None:
    values = {
        "CRYPTOPROTO_URL": "wss://api.example.com",
        "CRYPTOPROTO_CLIENT_ID": "alice",
        "CRYPTOPROTO_KEY": "~/alice.pem",
        "CRYPTOPROTO_SERVER_KEY": "exchange.pub",
        "CRYPTOPROTO_PROTOCOL": "v5",
        "CRYPTOPROTO_MARKET_DATA_URL": "wss://md.example.com",
        "CRYPTOPROTO_STORE": "alice.db",
        "CRYPTOPROTO_NATS": "nats://127.0.0.1:4222",
    }
    assert set(values) == set(VARIABLES.values())
    assert set(VARIABLES) <= set(KEYS)
    assert environment_values({**values, "CRYPTOPROTO_OTHER": "x"}) == {
        "url": "wss://api.example.com",
        "client_id": "alice",
        "key": str(Path.home() / "alice.pem"),
        "server_key": "exchange.pub",
        "protocol": "v5",
        "market_data_url": "wss://md.example.com",
        "store": "alice.db",
        "nats": "nats://127.0.0.1:4222",
    }


def test_an_empty_variable_counts_as_not_set() -> None:
    assert environment_values({"CRYPTOPROTO_URL": "", "CRYPTOPROTO_PROTOCOL": ""}) == {}


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("CRYPTOPROTO_PROTOCOL", "v6", 'CRYPTOPROTO_PROTOCOL must be "signed" or "v5"'),
        ("CRYPTOPROTO_URL", "example.com", "CRYPTOPROTO_URL: 'example.com' is not a WebSocket address"),
    ],
)
def test_the_variable_is_named(variable: str, value: str, words: str) -> None:
    with pytest.raises(cp.ConfigurationError, match=words):
        environment_values({variable: value})
