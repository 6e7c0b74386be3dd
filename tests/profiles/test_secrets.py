"""Secrets in a configuration file are refused, and no error shows them."""

from __future__ import annotations

from pathlib import Path

import pytest

import cryptoproto as cp
from tests.support.config import write_config

SECRET = "correct-horse-battery"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("password = '{}'", "profiles.paper.password is a secret"),
        ("password = ['{}']", "profiles.paper.password is a secret"),
        ("Key-Password = '{}'", "profiles.paper.Key-Password is a secret"),
        ("secret = '{}'", "set CRYPTOPROTO_PASSWORD"),
        ("private_key = '{}'", 'name the file that holds it: key = "alice.pem"'),
        ("key = '''-----BEGIN PRIVATE KEY-----\n{}'''", "profiles.paper.key is a secret, .* save it with mode 0600"),
        ("url = 'wss://alice:{}@example.com'", "the name and password in profiles.paper.url is a secret"),
        ("nats = 'nats://{}@example.com'", "the name and password in profiles.paper.nats is a secret"),
        ("[profiles.other]\ntoken = '{}'", "profiles.other.token is a secret"),
        ("[[profiles.paper.instruments]]\npassphrase = '{}'", "profiles.paper.instruments.passphrase is a secret"),
        ("pin = 4711 # {}", "profiles.paper.pin is a secret"),
    ],
)
def test_a_secret_is_refused(tmp_path: Path, line: str, words: str) -> None:
    path = write_config(tmp_path / "config.toml", "[profiles.paper]\n" + line.format(SECRET))
    with pytest.raises(cp.ConfigurationError, match=words) as caught:
        cp.Profile.load("paper", path=path)
    assert str(path) in str(caught.value)
    assert SECRET not in repr(caught.value)
    assert caught.value.__cause__ is None


def test_paths_and_commands_are_no_secrets(tmp_path: Path) -> None:
    text = "[profiles.paper]\nkey = 'password.pem'\npassword_command = ['pass', 'secret']\nurl = 'wss://a.example/b@c'"
    assert cp.Profile.load("paper", path=write_config(tmp_path / "config.toml", text)).values["key"].endswith(".pem")
