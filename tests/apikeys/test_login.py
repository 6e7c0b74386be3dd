"""The client's half of a login: replies that are accepted or refused, and private keys."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

import cryptoproto as cp
from cryptoproto.apikeys import ClientLogin, LoginOutcome
from cryptoproto.apikeys.diffie_hellman import to_base64
from cryptoproto.apikeys.login import api_private_key, attempt_body
from tests.support.apikeys.samples import SEED_PUBLIC_KEY, SMALL_GROUP, SMALL_LIMITS, base64_of


def _attempt(**changes: Any) -> bytes:
    reply: dict[str, Any] = {
        "session_id": "e5b0b5a0-0000-4000-8000-000000000000",
        "challenge": base64.b64encode(bytes(range(32))).decode(),
        "dh_base": to_base64(SMALL_GROUP.base),
        "dh_modulus": to_base64(SMALL_GROUP.modulus),
        "ttl": "10000",
    }
    reply.update(changes)
    return json.dumps({name: value for name, value in reply.items() if value is not None}).encode()


def _confirm(**changes: Any) -> bytes:
    return json.dumps({"dh_key": to_base64(12345), "keepalive_timeout": "100000", **changes}).encode()


def _login(attempt: bytes) -> ClientLogin:
    return ClientLogin(attempt, limits=SMALL_LIMITS, random_below=lambda below: min(77, below - 1))


def test_the_attempt_names_the_key() -> None:
    assert json.loads(attempt_body("TEST_SESSION_API_KEY")) == {"api_key_id": "TEST_SESSION_API_KEY"}


def test_the_answer_signs_the_decoded_challenge(alice_key: cp.PrivateKey) -> None:
    answer = json.loads(_login(_attempt()).answer(alice_key))
    assert answer["session_id"] == "e5b0b5a0-0000-4000-8000-000000000000"
    assert alice_key.public_key.verify_pkcs1(base64.b64decode(answer["signature"]), bytes(range(32)))
    assert answer["dh_key"] == to_base64(pow(SMALL_GROUP.base, 79, SMALL_GROUP.modulus))


@pytest.mark.parametrize("timeout", ["100000", 100000, 100000.0, "100000.0"])
@pytest.mark.parametrize("ttl", ["10000", 10000, 1790000000000, None])
def test_numbers_come_as_numbers_or_strings(alice_key: cp.PrivateKey, timeout: Any, ttl: Any) -> None:
    login = _login(_attempt(ttl=ttl))
    login.answer(alice_key)
    outcome = login.finish(_confirm(keepalive_timeout=timeout))
    assert outcome.keepalive_s == 100.0
    assert int.from_bytes(outcome.secret, "big") == pow(12345, 79, SMALL_GROUP.modulus)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"session_id": None}, "unreadable: Object missing required field `session_id`"),
        ({"session_id": "two words"}, "no header can carry"),
        ({"session_id": "a\r\nX-Evil: 1"}, "no header can carry"),
        ({"session_id": ""}, "no header can carry"),
        ({"challenge": "?"}, "challenge is not base64"),
        ({"challenge": ""}, "challenge has 0 bytes"),
        ({"challenge": "AAAA"}, "challenge has 3 bytes"),
        ({"challenge": "A" * 100_000}, "challenge has 75000 bytes"),
        ({"challenge": "A" * 400_000}, "the maximum is 262144"),
        ({"dh_base": ""}, "dh_base is empty"),
        ({"dh_modulus": "?"}, "dh_modulus is not base64"),
        ({"dh_modulus": "A" * 20_000}, "dh_modulus is longer"),
        ({"dh_modulus": 17}, "unreadable"),
    ],
)
def test_attempt_replies_that_are_refused(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(cp.DecodeError, match=complaint):
        _login(_attempt(**changes))


@pytest.mark.parametrize("modulus", [0, 1, 2, 3, 4, 15, 2**64 + 1])
def test_weak_moduli_are_refused(alice_key: cp.PrivateKey, modulus: int) -> None:
    with pytest.raises(cp.DecodeError, match=r"too weak|not a prime"):
        _login(_attempt(dh_modulus=to_base64(modulus))).answer(alice_key)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"dh_key": to_base64(0)}, "outside 2 to p-2"),
        ({"dh_key": to_base64(1)}, "outside 2 to p-2"),
        ({"dh_key": to_base64(SMALL_GROUP.modulus - 1)}, "outside 2 to p-2"),
        ({"dh_key": to_base64(SMALL_GROUP.modulus)}, "outside 2 to p-2"),
        ({"dh_key": "no base64"}, "dh_key is not base64"),
        ({"keepalive_timeout": "soon"}, "keepalive_timeout is not a number"),
        ({"keepalive_timeout": 0}, "out of bounds"),
        ({"keepalive_timeout": -5}, "out of bounds"),
        ({"keepalive_timeout": "nan"}, "out of bounds"),
        ({"keepalive_timeout": None}, "unreadable"),
        ({"keepalive_timeout": 10**400}, "keepalive_timeout is not a number"),
        ({"keepalive_timeout": "9" * 400}, "out of bounds"),
    ],
)
def test_confirm_replies_that_are_refused(alice_key: cp.PrivateKey, changes: dict[str, Any], complaint: str) -> None:
    login = _login(_attempt())
    login.answer(alice_key)
    with pytest.raises(cp.DecodeError, match=complaint):
        login.finish(_confirm(**changes))


@pytest.mark.parametrize("reply", [b"", b"{", b"[]", b"\xff", b"null", b'{"x":' + b"[" * 5000])
def test_replies_that_are_not_json_objects(reply: bytes) -> None:
    with pytest.raises(cp.DecodeError, match="unreadable"):
        ClientLogin(reply)


def test_private_keys_in_every_form(alice_key: cp.PrivateKey) -> None:
    text = base64_of(alice_key.to_der())
    wrapped = "\n".join(text[start : start + 64] for start in range(0, len(text), 64))
    for form in (alice_key, text, wrapped, alice_key.to_der(), alice_key.to_pem(), alice_key.to_pem().decode()):
        assert api_private_key(form).fingerprint == alice_key.fingerprint


def test_keys_as_short_as_the_printed_one_are_for_api_keys_alone() -> None:
    assert cp.PublicKey.from_der(SEED_PUBLIC_KEY, minimum_bits=1024).bits == 1024
    with pytest.raises(cp.ConfigurationError, match="RSA-1024 is too short; use 2048"):
        cp.PublicKey.from_der(SEED_PUBLIC_KEY)
    short = cp.PrivateKey(rsa.generate_private_key(public_exponent=65537, key_size=1024))
    assert api_private_key(base64_of(short.to_der())).bits == 1024
    with pytest.raises(cp.ConfigurationError, match="RSA-1024 is too short; use 2048"):
        cp.PrivateKey.from_der(short.to_der())
    shorter = cp.PrivateKey.from_der(short.to_der(), minimum_bits=512)
    signature = shorter.sign_pkcs1(b"challenge")
    assert shorter.public_key.verify_pkcs1(signature, b"challenge")
    assert not shorter.public_key.verify_pkcs1(signature, b"another")
    assert not shorter.public_key.verify_pkcs1(b"", b"challenge")


@pytest.mark.parametrize("rubbish", ["", "?", "AAAA", "schlüssel", SEED_PUBLIC_KEY, b"", b"\x30"])
def test_invalid_private_keys(rubbish: str | bytes) -> None:
    with pytest.raises(cp.ConfigurationError, match="the given private key") as caught:
        api_private_key(rubbish)
    assert "MIGf" not in str(caught.value)


def test_a_private_key_is_not_a_public_key(alice_key: cp.PrivateKey) -> None:
    with pytest.raises(cp.ConfigurationError, match="DER public key"):
        cp.PublicKey.from_der(alice_key.to_der())
    with pytest.raises(cp.ConfigurationError, match="must be a PrivateKey, base64 text or DER bytes"):
        api_private_key(None)  # type: ignore[arg-type]


def test_nothing_secret_is_shown() -> None:
    login = _login(_attempt())
    assert repr(login) == "<ClientLogin>"
    outcome = LoginOutcome("session", b"secret", 1.0)
    assert "secret" not in repr(outcome)
