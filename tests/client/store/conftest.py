"""Files for stores, and one that is open."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cryptoproto.client.store.sqlite import SqliteStore
from tests.support.stores import ALICE


@pytest.fixture
def tmp_path(memory_path: Path) -> Path:
    return memory_path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "alice.db"


@pytest.fixture
def sqlite(path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(path)
    store.open(*ALICE)
    yield store
    store.close()
