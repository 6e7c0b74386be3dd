"""The state of a license as a function of time."""

from __future__ import annotations

import pytest

import cryptoproto as cp
from cryptoproto.licensing import (
    Schedule,
)


@pytest.mark.parametrize(
    "change", [{"lock_period_s": 0}, {"renew_at": 0.9}, {"retry_interval_s": 0.0}, {"grace_s": -1.0}]
)
def test_schedules_that_cannot_be_kept(change: dict[str, float]) -> None:
    with pytest.raises(cp.ConfigurationError):
        Schedule(**change)
