"""The manager's keys: files and rotation."""

from __future__ import annotations

import json
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
