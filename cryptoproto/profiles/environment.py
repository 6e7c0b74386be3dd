"""The variables ``CRYPTOPROTO_*`` that stand for keys of a profile."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

from .values import check_value

__all__ = ["VARIABLES", "environment_values"]

VARIABLES: Final[Mapping[str, str]] = {
    "url": "CRYPTOPROTO_URL",
    "client_id": "CRYPTOPROTO_CLIENT_ID",
    "key": "CRYPTOPROTO_KEY",
    "server_key": "CRYPTOPROTO_SERVER_KEY",
    "protocol": "CRYPTOPROTO_PROTOCOL",
    "market_data_url": "CRYPTOPROTO_MARKET_DATA_URL",
    "store": "CRYPTOPROTO_STORE",
    "nats": "CRYPTOPROTO_NATS",
}
"""The variable of each key that has one. An empty variable counts as not set."""


def environment_values(environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """The checked values that the environment gives.

    Raises:
        ConfigurationError: a variable cannot be used; the error names it.
    """
    return {
        key: check_value(key, environment[variable], variable)
        for key, variable in VARIABLES.items()
        if environment.get(variable)
    }
