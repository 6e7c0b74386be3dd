"""The manager's SQLite file."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from cryptoproto.licensing import (
    KeyPair,
    Keyring,
    LicenseDatabaseError,
    LicenseManager,
)
from tests.support.licensing.simulated_time import START_NS


def test_the_database_is_private_and_known_again(tmp_path: Path, gateway: KeyPair) -> None:
    path = tmp_path / "licenses.db"
    ring = Keyring.generate(START_NS)
    with LicenseManager(path, ring) as manager:
        manager.administration.add_agreement(gateway.public_key, "*", licenses=1)
        assert {stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()} == {0o600}
    with LicenseManager(path, ring) as manager:
        assert len(manager.administration.agreements(public_key=gateway.public_key)) == 1
        with manager._database.transaction() as connection:
            connection.execute("PRAGMA user_version = 7")
    with pytest.raises(LicenseDatabaseError, match="version 7"):
        LicenseManager(path, ring)


def test_files_that_are_no_license_database(tmp_path: Path) -> None:
    ring = Keyring.generate(START_NS)
    (tmp_path / "text").write_text("hello " * 1000)
    with pytest.raises(LicenseDatabaseError, match="cannot be used"):
        LicenseManager(tmp_path / "text", ring)
    with pytest.raises(LicenseDatabaseError, match="does the folder exist"):
        LicenseManager(tmp_path / "none" / "db", ring)
    import sqlite3

    with sqlite3.connect(tmp_path / "other") as connection:
        connection.execute("CREATE TABLE t (x)")
    connection.close()
    with pytest.raises(LicenseDatabaseError, match="another program"):
        LicenseManager(tmp_path / "other", ring)
