"""An environment without ``CRYPTOPROTO_*``."""

from __future__ import annotations

import pytest

from tests.support.config import clear_environment


@pytest.fixture(autouse=True)
def environment_without_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    clear_environment(monkeypatch)
