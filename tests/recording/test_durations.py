"""Durations as people write them."""

from __future__ import annotations

from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.recording.durations import seconds_of


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("5m", 300), ("1h30m", 5400), ("1d", 86_400), ("30m1h", 5400)]
)
def test_durations(text: str, seconds: int) -> None:
    assert seconds_of(text, "--for") == seconds


@pytest.mark.parametrize("text", ["", "5", "m", "1.5h", "-1m", "1 m", "1w", "0s", "9999999999d", 60, None])
def test_what_is_no_duration(text: Any) -> None:
    with pytest.raises(cp.ConfigurationError, match=r'--for=.* write it like "90s"'):
        seconds_of(text, "--for")
