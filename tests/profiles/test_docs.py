"""docs/profiles.md: its file can be read, and its tables are complete."""

from __future__ import annotations

import re
from pathlib import Path

import cryptoproto as cp
from cryptoproto.profiles.environment import VARIABLES
from cryptoproto.profiles.values import KEYS, InstrumentValues, LimitValues
from tests.support.config import write_config

PAGE = (Path(__file__).parents[2] / "docs/profiles.md").read_text()


def test_the_file_on_the_page_can_be_read(tmp_path: Path) -> None:
    (block,) = re.findall(r"^```toml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    profile = cp.Profile.load("paper", path=write_config(tmp_path / "config.toml", block))
    assert profile.missing("url", "client_id", "key", "server_key", "instruments") == []


def test_every_key_and_every_variable_is_on_the_page() -> None:
    keys, _, variables = PAGE.partition("## What counts more")
    rows = {name for row in re.findall(r"^\| (`.*?) \|", keys, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert rows == set(KEYS)
    for table, fields in (("instruments", InstrumentValues), ("limits", LimitValues)):
        (row,) = re.findall(rf"^\| `{table}` \| (.*?) \|", keys, re.MULTILINE)
        assert set(re.findall(r"`(\w+)`", row)) == set(fields.__annotations__)
    for key, variable in VARIABLES.items():
        assert f"| `{variable}` | `{key}` |" in variables
