"""API keys of the gateway, and files that change while it runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

import cryptoproto as cp
from cryptoproto.apikeys.server import ApiKey, ApiKeysConfig, KeyStore, load_config
from cryptoproto.apikeys.server.key_store import name_digest
from tests.support.apikeys.clocks import Clock
from tests.support.apikeys.samples import PLACEHOLDERS, base64_of

FILE_SOURCE = """\
security:
  authorization:
    source: FILE # valid values: FILE, CONFIG
    file-source:
      path: {path}
"""


USERS_JSON = """\
{
"apiKeys" : [ {
"name" : "api key name",
"key" : "api key",
"user" : "api key user"
} ]
}
"""


def _write(tmp_path: Path, text: str, name: str = "application.yaml") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


SHORT_PUBLIC_KEY = (  # a modulus of 768 bits
    "MHwwDQYJKoZIhvcNAQEBBQADawAwaAJhAJuBDnZuydKGY8qCjdX0s7LksGzmB0HHqHzkLIIYBy6MNb+ZLcnpxhZhLnaWps7MG3jl"
    "EGFzEdijws5vRH7U1XseL+uJQUw0PBAnxNHDhrvEzWE+MNjxat+Rt1hKImWx9QIDAQAB"
)


def test_a_public_key_that_is_too_short_says_so(tmp_path: Path) -> None:
    short = cp.PrivateKey(rsa.generate_private_key(public_exponent=65537, key_size=1024)).public_key
    assert ApiKey.parse("a", base64_of(short.to_der()), "u").public_key == short
    with pytest.raises(cp.ConfigurationError, match="RSA-768 is too short"):
        ApiKey.parse("a", SHORT_PUBLIC_KEY, "u")


def test_pem_is_accepted(alice_key: cp.PrivateKey) -> None:
    assert ApiKey.parse("a", alice_key.public_key.to_pem().decode(), "u").public_key == alice_key.public_key


def _names(config: ApiKeysConfig, *names: str) -> list[bool]:
    return [config.keys.get(name) is not None for name in names]


@pytest.mark.parametrize("source", ["CONFIG", "FILE"])
def test_keys_are_read_again_without_a_restart(
    tmp_path: Path, source: str, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    if source == "FILE":
        path = _write(tmp_path, USERS_JSON, "tbwg.users.json")
        config = load_config(_write(tmp_path, FILE_SOURCE.format(path=path.name)), clock=clock)
    else:
        path = _write(tmp_path, PLACEHOLDERS)
        config = load_config(path, clock=clock)
    text = path.read_text()
    assert _names(config, "api key name", "new") == [True, False]

    path.write_text(text.replace("api key name", "new"))
    os.utime(path, ns=(1, 1))  # whatever the resolution of the file system's clock
    assert _names(config, "api key name", "new") == [True, False]  # not looked at again within a second
    clock.now += 1
    assert _names(config, "api key name", "new") == [False, True]

    path.write_text(text[:-20])
    if source == "CONFIG":
        path.write_text("security: [")
    os.utime(path, ns=(2, 2))
    clock.now += 1
    assert _names(config, "new") == [True]
    assert "the API keys were not reloaded" in caplog.text

    path.unlink()
    clock.now += 1
    assert _names(config, "new") == [True]

    path.write_text(text)
    clock.now += 1
    assert _names(config, "api key name", "new") == [True, False]


def test_a_long_secret_is_not_mistaken_for_a_public_key() -> None:
    for secret in ("A" * 200, "x!" * 100):
        key = ApiKey.parse("a", secret, "u")
        assert (key.secret, key.public_key) == (secret.encode(), None)


@pytest.mark.parametrize(("name", "key"), [("", "s"), ("a", "")])
def test_a_key_has_a_name_and_a_key(name: str, key: str) -> None:
    with pytest.raises(cp.ConfigurationError, match="must have a name and a key"):
        ApiKey.parse(name, key, "u")


def test_an_unchanged_file_is_not_read_again(tmp_path: Path, clock: Clock) -> None:
    path = _write(tmp_path, "x")
    reads: list[int] = []

    def read() -> dict[str, ApiKey]:
        reads.append(1)
        return {"a": ApiKey.parse("a", "s", "u")}

    store = KeyStore(read, files=[path], clock=clock)
    for _ in range(3):
        clock.now += 1
        assert store.get_by_digest(name_digest("a")) == store.get("a") is not None
    assert (len(reads), store.get_by_digest(name_digest("b"))) == (1, None)
