"""Addresses of managers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.licensing import (
    KeyPair,
    Keyring,
    LicenseAgent,
)
from tests.support.licensing.simulated_time import START_NS


@pytest.mark.parametrize(
    ("urls", "complaint"),
    [
        ([], "pass a list"),
        ("https://lm", "pass a list"),
        (["lm.example.com"], "not an http or https"),
        (["ftp://lm"], "not an http or https"),
        (["http://lm.example.com"], "not encrypted"),
        (["https://user:hunter2@lm"], "remove the user and password"),
        (["http://lm:port/"], "not a valid address"),
    ],
)
def test_addresses_that_cannot_be_used(
    gateway: KeyPair, keyring: Keyring, tmp_path: Path, urls: Any, complaint: str
) -> None:
    key = keyring.active(START_NS)[0].public
    with pytest.raises(cp.ConfigurationError, match=complaint) as caught:
        LicenseAgent(urls, keys=gateway, manager_key=key, package="p", cache_dir=tmp_path)
    assert "hunter2" not in str(caught.value)
