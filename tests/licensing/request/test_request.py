"""The request: deployments, meaning and what can be withheld."""

from __future__ import annotations

from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.licensing import (
    Deployment,
)


@pytest.mark.parametrize("change", [{"api": "a\n"}, {"is_uat": 1}, {"session_id": "x" * 65}, {"instance": 3}])
def test_deployments_that_cannot_be_sent(change: dict[str, Any]) -> None:
    with pytest.raises(cp.ConfigurationError):
        Deployment(**change)
