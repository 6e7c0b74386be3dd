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
from cryptoproto.licensing.manager.database import Database
from tests.support.licensing.asker import Asker
from tests.support.licensing.simulated_time import START_NS, SimulatedClock


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


def test_a_database_of_the_first_version_is_upgraded(tmp_path: Path, gateway: KeyPair) -> None:
    path, ring = tmp_path / "licenses.db", Keyring.generate(START_NS)
    with LicenseManager(path, ring) as manager:
        manager.administration.add_agreement(gateway.public_key, "*", licenses=1)
        with manager._database.transaction() as connection:
            connection.execute("DROP TABLE refusals")
            connection.execute("PRAGMA user_version = 1")
    with LicenseManager(path, ring, clock=lambda: START_NS) as manager:
        asker = Asker(manager, gateway, SimulatedClock())
        assert asker.outcome(manager.handle(asker.body("A1")[:-1])) == "malformed"
        assert [row.refused for row in manager.usage()] == [1]


def test_a_commit_that_fails_is_rolled_back(tmp_path: Path) -> None:
    database = Database(tmp_path / "licenses.db")

    def fail_at_the_commit() -> None:
        with database.transaction() as connection:
            connection.execute("PRAGMA defer_foreign_keys = ON")
            connection.execute("INSERT INTO locks VALUES ('k', 'p', x'00', 0, 99, 1, 1, 1, '')")

    with pytest.raises(LicenseDatabaseError, match="FOREIGN KEY"):
        fail_at_the_commit()
    with database.reading() as connection:
        assert connection.execute("SELECT count(*) FROM locks").fetchone() == (0,)
        assert not connection.in_transaction
    database.close()


def test_a_transaction_whose_block_fails_is_rolled_back() -> None:
    database = Database(":memory:")

    def fail() -> None:
        with database.transaction() as connection:
            connection.execute("INSERT INTO refusals VALUES ('d', 'k', 'r', 1, 1, 1)")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with database.reading() as connection:
        assert connection.execute("SELECT count(*) FROM refusals").fetchone() == (0,)
    database.close()


def test_a_database_with_two_names_is_refused(tmp_path: Path) -> None:
    """SQLite names its log after the database. Two names mean two logs, and in the end a damaged database."""
    path, ring = tmp_path / "licenses.db", Keyring.generate(START_NS)
    with LicenseManager(path, ring):
        (tmp_path / "other.db").hardlink_to(path)
        for name in ("other.db", "licenses.db"):
            with pytest.raises(LicenseDatabaseError, match=f"{name}: has 2 names .hard links."):
                LicenseManager(tmp_path / name, ring)
        (tmp_path / "other.db").unlink()
        (tmp_path / "link.db").symlink_to(path)
        with LicenseManager(tmp_path / "link.db", ring) as manager:  # SQLite follows it to the one name
            assert manager.administration.locks() == []
    assert sorted(each.name for each in tmp_path.iterdir()) == ["licenses.db", "link.db"]


def test_a_closed_database_raises_the_documented_error(gateway: KeyPair) -> None:
    manager = LicenseManager(":memory:", Keyring.generate(START_NS))
    manager.close()
    with pytest.raises(LicenseDatabaseError, match="closed database"):
        manager.usage()
    with pytest.raises(LicenseDatabaseError, match="closed database"):
        manager.administration.add_agreement(gateway.public_key, "*", licenses=1)


def test_a_folder_is_not_called_a_file_with_two_names(tmp_path: Path) -> None:
    with pytest.raises(LicenseDatabaseError, match="this is a folder; give the name"):
        Database(tmp_path)
