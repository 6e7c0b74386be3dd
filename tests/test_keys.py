"""Keys: files, passwords, modes, and what a wrong one says."""

from __future__ import annotations

import base64
import os
import pickle
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

import cryptoproto as cp


def test_private_key_survives_a_file(tmp_path: Path, alice_key: cp.PrivateKey) -> None:
    path = tmp_path / "alice.pem"
    alice_key.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    loaded = cp.PrivateKey.load(path)
    assert loaded.public_key == alice_key.public_key
    assert alice_key.public_key.verify(loaded.sign(b"data"), b"data")


def test_private_key_file_is_private_whatever_the_umask(tmp_path: Path, alice_key: cp.PrivateKey) -> None:
    before = os.umask(0)
    try:
        alice_key.save(tmp_path / "alice.pem")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "alice.pem").stat().st_mode) == 0o600


def test_saving_never_overwrites_silently(tmp_path: Path, alice_key: cp.PrivateKey) -> None:
    path = tmp_path / "alice.pem"
    path.write_text("precious")
    with pytest.raises(cp.ConfigurationError, match="already exists"):
        alice_key.save(path)
    assert path.read_text() == "precious"
    assert [entry.name for entry in tmp_path.iterdir()] == ["alice.pem"]
    alice_key.save(path, overwrite=True)
    assert cp.PrivateKey.load(path).fingerprint == alice_key.fingerprint


def test_saving_into_a_missing_folder_says_so(tmp_path: Path, alice_key: cp.PrivateKey) -> None:
    with pytest.raises(cp.ConfigurationError, match="cannot be written: No such file or directory"):
        alice_key.save(tmp_path / "nowhere" / "alice.pem")


@pytest.mark.parametrize("password", ["correct horse", b"correct horse"])
def test_encrypted_pem(tmp_path: Path, alice_key: cp.PrivateKey, password: str | bytes) -> None:
    path = tmp_path / "alice.pem"
    alice_key.save(path, password=password)
    assert b"ENCRYPTED" in path.read_bytes()
    assert cp.PrivateKey.load(path, password=password).fingerprint == alice_key.fingerprint
    with pytest.raises(cp.ConfigurationError, match="is encrypted: pass password="):
        cp.PrivateKey.load(path)
    with pytest.raises(cp.ConfigurationError, match="wrong password"):
        cp.PrivateKey.load(path, password="wrong")


def test_password_for_a_plain_key_is_refused(alice_key: cp.PrivateKey) -> None:
    with pytest.raises(cp.ConfigurationError, match="is not encrypted"):
        cp.PrivateKey.from_pem(alice_key.to_pem(), password="needless")


def test_missing_file_names_the_file_and_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "nobody.pem"
    with pytest.raises(cp.ConfigurationError, match=rf"{path}: no such private key file; .*cryptoproto keygen"):
        cp.PrivateKey.load(path)
    with pytest.raises(cp.ConfigurationError, match="no such public key file"):
        cp.PublicKey.load(path)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o620, 0o610, 0o604, 0o602, 0o777])
def test_private_key_that_others_can_access_is_refused(tmp_path: Path, alice_key: cp.PrivateKey, mode: int) -> None:
    path = tmp_path / "alice.pem"
    alice_key.save(path)
    path.chmod(mode)
    with pytest.raises(
        cp.ConfigurationError,
        match=f"{path}: mode {mode:04o} gives other users access to the private key; run: chmod 600 {path}",
    ):
        cp.PrivateKey.load(path)


def test_a_folder_in_place_of_a_key(tmp_path: Path) -> None:
    with pytest.raises(cp.ConfigurationError, match="the public key cannot be read: Is a directory"):
        cp.PublicKey.load(tmp_path)
    with pytest.raises(cp.ConfigurationError, match="the private key cannot be read: Is a directory"):
        cp.PrivateKey.load(tmp_path)


def test_keys_of_the_wrong_half_or_kind(alice_key: cp.PrivateKey) -> None:
    with pytest.raises(cp.ConfigurationError, match="this is a private key, but a public key is expected"):
        cp.PublicKey.from_pem(alice_key.to_pem())
    with pytest.raises(cp.ConfigurationError, match="this is a public key, but a private key is expected"):
        cp.PrivateKey.from_pem(alice_key.public_key.to_pem())
    curve = ec.generate_private_key(ec.SECP256R1())
    private = curve.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = curve.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    with pytest.raises(cp.ConfigurationError, match="needs an RSA key"):
        cp.PrivateKey.from_pem(private)
    with pytest.raises(cp.ConfigurationError, match="needs an RSA key"):
        cp.PublicKey.from_pem(public)


@pytest.mark.parametrize("rubbish", [b"", b"rubbish", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"])
def test_rubbish_is_refused(rubbish: bytes) -> None:
    with pytest.raises(cp.ConfigurationError, match="not a PEM public key"):
        cp.PublicKey.from_pem(rubbish)
    if b"PUBLIC" not in rubbish:
        with pytest.raises(cp.ConfigurationError, match="not a PEM private key"):
            cp.PrivateKey.from_pem(rubbish)


def test_short_keys_are_refused() -> None:
    short = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    pem = short.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(cp.ConfigurationError, match="RSA-1024 is too short"):
        cp.PrivateKey.from_pem(pem)
    with pytest.raises(cp.ConfigurationError, match="2048 to 16384"):
        cp.PrivateKey.generate(bits=1024)


def test_encrypt_and_decrypt(alice_key: cp.PrivateKey, bob_key: cp.PrivateKey) -> None:
    public = alice_key.public_key
    assert public.max_plaintext == 214
    assert alice_key.decrypt(public.encrypt(b"x" * 214)) == b"x" * 214
    with pytest.raises(cp.ConfigurationError, match="215 bytes are too long for RSA-2048"):
        public.encrypt(b"x" * 215)
    with pytest.raises(cp.InvalidKey):
        bob_key.decrypt(public.encrypt(b"secret"))
    with pytest.raises(cp.InvalidKey):
        alice_key.decrypt(b"not even a block")


def test_signatures(alice_key: cp.PrivateKey, bob_key: cp.PrivateKey) -> None:
    signature = alice_key.sign(b"data")
    assert alice_key.public_key.verify(signature, b"data")
    assert not alice_key.public_key.verify(signature, b"other")
    assert not bob_key.public_key.verify(signature, b"data")
    assert not alice_key.public_key.verify(b"", b"data")


def test_nothing_of_a_key_is_shown(alice_key: cp.PrivateKey) -> None:
    assert repr(alice_key) == "<PrivateKey RSA-2048>"
    assert repr(alice_key.public_key) == "<PublicKey RSA-2048>"
    shown = repr(alice_key) + repr(alice_key.public_key)
    assert alice_key.fingerprint not in shown
    assert alice_key.bits == 2048
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(alice_key)


def test_public_keys_compare_by_value(tmp_path: Path, alice_key: cp.PrivateKey, bob_key: cp.PrivateKey) -> None:
    path = tmp_path / "alice.pub"
    alice_key.public_key.save(path)
    again = cp.PublicKey.load(path)
    assert again == alice_key.public_key
    assert len({again, alice_key.public_key, bob_key.public_key}) == 2
    assert again != "something else"
    assert again.fingerprint.startswith("SHA256:")


def test_signatures_for_gateways(alice_key: cp.PrivateKey, bob_key: cp.PrivateKey) -> None:
    signature = alice_key.sign_pkcs1(b"data")
    assert alice_key.public_key.verify_pkcs1(signature, b"data")
    assert not alice_key.public_key.verify_pkcs1(signature, b"other")
    assert not bob_key.public_key.verify_pkcs1(signature, b"data")
    assert not alice_key.public_key.verify(signature, b"data")


def test_keys_survive_der(alice_key: cp.PrivateKey) -> None:
    """As bytes, as base64, and as base64 with the line breaks of a terminal."""
    private, public = alice_key.to_der(), alice_key.public_key.to_der()
    for der in (private, base64.b64encode(private).decode(), base64.encodebytes(private).decode()):
        assert cp.PrivateKey.from_der(der).fingerprint == alice_key.fingerprint
    for der in (public, base64.b64encode(public).decode(), base64.encodebytes(public).decode()):
        assert cp.PublicKey.from_der(der) == alice_key.public_key


def test_der_of_the_wrong_half_or_kind(alice_key: cp.PrivateKey) -> None:
    with pytest.raises(cp.ConfigurationError, match="the given private key: not a DER private key"):
        cp.PrivateKey.from_der(alice_key.public_key.to_der())
    with pytest.raises(cp.ConfigurationError, match="the given public key: not a DER public key"):
        cp.PublicKey.from_der(alice_key.to_der())
    for text in (alice_key.to_pem().decode(), "\u00e9"):
        with pytest.raises(cp.ConfigurationError, match=r"not base64.*use from_pem"):
            cp.PrivateKey.from_der(text)
    curve = ec.generate_private_key(ec.SECP256R1())
    private = curve.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = curve.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    with pytest.raises(cp.ConfigurationError, match="needs an RSA key"):
        cp.PrivateKey.from_der(private)
    with pytest.raises(cp.ConfigurationError, match="needs an RSA key"):
        cp.PublicKey.from_der(public)


def test_short_keys_only_if_asked_for() -> None:
    short = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    private = short.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(cp.ConfigurationError, match="RSA-1024 is too short; use 2048 bits or more"):
        cp.PrivateKey.from_der(private)
    key = cp.PrivateKey.from_der(private, minimum_bits=1024)
    assert key.bits == 1024
    assert cp.PublicKey.from_der(key.public_key.to_der(), minimum_bits=1024) == key.public_key
    with pytest.raises(cp.ConfigurationError, match="RSA-1024 is too short"):
        cp.PublicKey.from_der(key.public_key.to_der())


def test_a_trusted_key_skips_the_slow_check_and_nothing_else(alice_key: cp.PrivateKey) -> None:
    assert cp.PrivateKey.from_pem(alice_key.to_pem(), trusted=True).fingerprint == alice_key.fingerprint
    with pytest.raises(cp.ConfigurationError, match="not a PEM private key"):
        cp.PrivateKey.from_pem(b"rubbish", trusted=True)
