"""The manager's keys: files and rotation."""

from __future__ import annotations

import json
import pickle
import stat
from pathlib import Path

import pytest

import cryptoproto as cp
from cryptoproto.licensing import Keyring
from tests.support.licensing.simulated_time import START_NS


def test_a_keyring_survives_its_file_and_rotates(tmp_path: Path) -> None:
    day = 86_400 * 10**9
    ring = Keyring.generate(START_NS)
    first = ring.active(START_NS)[0].public
    ring = ring.rotated(START_NS + day, overlap_s=30 * 86_400)
    path = tmp_path / "manager.json"
    ring.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    ring = Keyring.load(path)
    second = ring.active(START_NS + day)[0].public
    assert [each.public for each in ring.active(START_NS + 2 * day)] == [second, first]
    assert [each.public for each in ring.active(START_NS + 31 * day)] == [second]
    assert len(ring.rotated(START_NS + 2 * day, overlap_s=0).active(START_NS + 2 * day)) == 1
    content = json.loads(path.read_text())
    content["generations"][0]["verify_key"] = first.verify_key
    path.write_text(json.dumps(content))
    with pytest.raises(cp.ConfigurationError, match="do not belong together"):
        Keyring.load(path)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ({}, "no generations"),
        ({"generations": []}, "no generations"),
        ({"generations": [1]}, "an entry of generations is not an object"),
        ({"generations": [{}]}, "signing_key: expected text"),
    ],
)
def test_files_that_are_no_keyring(tmp_path: Path, content: object, complaint: str) -> None:
    path = tmp_path / "manager.json"
    path.write_text(json.dumps(content))
    path.chmod(0o600)
    with pytest.raises(cp.ConfigurationError, match=complaint):
        Keyring.load(path)


@pytest.mark.parametrize("change", [{"created_utc_ns": "now"}, {"retires_utc_ns": 1.5}])
def test_times_of_a_generation_are_whole_numbers(tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "manager.json"
    Keyring.generate(START_NS).save(path)
    content = json.loads(path.read_text())
    content["generations"][0] |= change
    path.write_text(json.dumps(content))
    with pytest.raises(cp.ConfigurationError, match="must be whole numbers"):
        Keyring.load(path)


def test_a_keyring_that_others_can_access_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "manager.json"
    Keyring.generate(START_NS).save(path)
    path.chmod(0o640)
    with pytest.raises(cp.ConfigurationError, match=f"mode 0640 .*chmod 600 {path}"):
        Keyring.load(path)


def test_nothing_of_a_keyring_is_shown() -> None:
    ring = Keyring.generate(START_NS)
    assert repr(ring) == "<Keyring of 1>"
    assert repr(ring.active(START_NS)[0]).startswith("<Generation ")
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(ring)
