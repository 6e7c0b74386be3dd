"""Gateway keys and pinned manager keys: files, strict decoding, nothing shown."""

from __future__ import annotations

import base64
import json
import os
import pickle
import stat
from pathlib import Path

import pytest
from nacl.public import PrivateKey

import cryptoproto as cp
from cryptoproto.licensing import KeyPair, Keyring, ManagerKey
from cryptoproto.licensing.sealing.key_text import encode_key
from tests.support.licensing.simulated_time import START_NS


def test_a_pair_survives_its_file(tmp_path: Path) -> None:
    pair = KeyPair.generate()
    path = tmp_path / "keys.json"
    before = os.umask(0)
    try:
        pair.save(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    content = json.loads(path.read_text())
    assert set(content) == {"public_key", "secret_key"}
    assert all(len(text) == 44 and text.endswith("=") for text in content.values())
    again = KeyPair.load(path)
    assert again.public_key == pair.public_key == content["public_key"]
    raw = base64.urlsafe_b64decode(content["secret_key"])
    assert bytes(PrivateKey(raw).public_key) == base64.urlsafe_b64decode(content["public_key"])


def test_saving_never_overwrites_silently(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text("precious")
    with pytest.raises(cp.ConfigurationError, match="already exists"):
        KeyPair.generate().save(path)
    assert path.read_text() == "precious"
    assert [entry.name for entry in tmp_path.iterdir()] == ["keys.json"]
    pair = KeyPair.generate()
    pair.save(path, overwrite=True)
    assert KeyPair.load(path).public_key == pair.public_key


def test_a_key_file_that_everybody_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    KeyPair.generate().save(path)
    path.chmod(0o604)
    with pytest.raises(cp.ConfigurationError, match=f"chmod 600 {path}"):
        KeyPair.load(path)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "not a key file"),
        ("[]", "not a key file"),
        ("[" * 50_000, "not a key file"),
        ("{}", "no public_key"),
        ('{"public_key": 1, "secret_key": 2}', "secret_key: expected text"),
        ('{"public_key": "A", "secret_key": "B"}', "secret_key: has 1 characters"),
    ],
)
def test_a_file_of_something_else(tmp_path: Path, content: str, complaint: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(cp.ConfigurationError, match=complaint):
        KeyPair.load(path)


def test_halves_of_different_pairs(tmp_path: Path) -> None:
    one, other = KeyPair.generate(), KeyPair.generate()
    path = tmp_path / "keys.json"
    path.write_text(json.dumps(one.to_fields() | {"public_key": other.public_key}))
    path.chmod(0o600)
    with pytest.raises(cp.ConfigurationError, match="do not belong together"):
        KeyPair.load(path)


def test_a_missing_file_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(cp.ConfigurationError, match=r"no such key file; .*cryptoproto license keygen"):
        KeyPair.load(tmp_path / "none.json")
    with pytest.raises(cp.ConfigurationError, match="cannot be read"):
        KeyPair.load(tmp_path)


def test_nothing_of_a_secret_is_shown() -> None:
    pair = KeyPair.generate()
    secret = pair.to_fields()["secret_key"]
    assert secret not in repr(pair)
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(pair)
    ring = Keyring.generate(START_NS)
    assert "Keyring of 1" in repr(ring)
    assert repr(ring.active(START_NS)[0]).startswith("<Generation ")
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(ring)


def test_the_pinned_key_in_all_its_forms(tmp_path: Path) -> None:
    ring = Keyring.generate(START_NS)
    key = ring.active(START_NS)[0].public
    public, secret = tmp_path / "manager.pub.json", tmp_path / "manager.json"
    public.write_text(json.dumps(ring.public_fields(START_NS)))
    ring.save(secret)
    assert len(key.text()) == 89
    as_long_as_a_text = tmp_path / "d" / ("m" * (len(key.text()) - len(str(tmp_path / "d")) - 1))
    if len(str(as_long_as_a_text)) == len(key.text()):
        as_long_as_a_text.parent.mkdir()
        as_long_as_a_text.write_text(public.read_text())
        assert ManagerKey.all_from(str(as_long_as_a_text)) == (key,)
    for form in (key, [key], key.text(), f" {key.text()}\n", public, str(public)):
        assert ManagerKey.all_from(form) == (key,)
    with pytest.raises(cp.ConfigurationError, match="secret keys; pass the manager's public file"):
        ManagerKey.all_from(secret)
    with pytest.raises(cp.ConfigurationError, match="joined by a dot"):
        ManagerKey.parse(key.box_key)
    with pytest.raises(cp.ConfigurationError, match="pass a ManagerKey"):
        ManagerKey.all_from([])
    with pytest.raises(cp.ConfigurationError, match="low order"):
        ManagerKey(encode_key(bytes(32)), key.verify_key)
    for content, complaint in (("{}", "no manager_keys"), ('{"manager_keys": [{}]}', "lacks its box_key")):
        public.write_text(content)
        with pytest.raises(cp.ConfigurationError, match=complaint):
            ManagerKey.load(public)


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_key_file_that_others_can_access_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "keys.json"
    KeyPair.generate().save(path)
    path.chmod(mode)
    with pytest.raises(cp.ConfigurationError, match=f"mode {mode:04o} gives other users access .*chmod 600 {path}"):
        KeyPair.load(path)


def test_a_shared_key_with_a_point_that_protects_nothing() -> None:
    with pytest.raises(cp.ConfigurationError, match="not a valid X25519 point"):
        KeyPair.generate().shared_key(bytes(32))


def test_public_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(cp.ConfigurationError, match="no such manager key file; ask the licensor"):
        ManagerKey.load(tmp_path / "none.json")
    with pytest.raises(cp.ConfigurationError, match="the manager key file cannot be read: Is a directory"):
        ManagerKey.load(tmp_path)
    large = tmp_path / "large.json"
    large.write_bytes(b" " * 65_537)
    with pytest.raises(cp.ConfigurationError, match="not a manager key file"):
        ManagerKey.load(large)


def test_a_public_file_in_place_of_the_secret_one(tmp_path: Path) -> None:
    path = tmp_path / "manager.pub.json"
    path.write_text('{"manager_key": "x"}')
    path.chmod(0o644)
    with pytest.raises(
        cp.ConfigurationError, match=r"manager\.pub\.json: this file has no secret key; pass the secret"
    ):
        KeyPair.load(path)
    path.write_text('{"secret_key": "x"}')
    with pytest.raises(cp.ConfigurationError, match="chmod 600"):
        KeyPair.load(path)
