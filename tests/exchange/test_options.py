"""Options of the exchange that cannot be used."""

from __future__ import annotations

import re
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.exchange import Exchange


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rate_limit": "5"}, "rate_limit='5' must be a number of messages a second, or None"),
        ({"rate_limit": 0}, "rate_limit=0 must be greater than zero, or None"),
        ({"rate_limit": True}, "rate_limit=True must be a number"),
        ({"handshake_rate": -1}, "handshake_rate=-1 must be greater than zero"),
        ({"private_key": "key"}, "private_key must be a PrivateKey, not str"),
        ({"port": 65_536}, "port=65536 must be a port"),
        ({"market_data_port": True}, "market_data_port=True must be a port"),
        ({"port": 5000, "market_data_port": 5000}, "port and market_data_port are both 5000"),
        ({"ping_timeout": 0}, "ping_timeout=0 must be a number of seconds"),
        ({"stall_timeout": 0}, "stall_timeout=0 must be a number of seconds"),
        ({"max_message_size": 100}, "max_message_size=100 must be a whole number"),
        (
            {"instruments": [cp.Instrument("X_Y")]},
            "instruments: X_Y is not traded here; name it in trade_pairs=, ",
        ),
        ({"instruments": ["BTC_USD"]}, "instruments must be a list of Instrument objects, and 'BTC_USD' is a str"),
        ({"max_open_orders": 0}, "max_open_orders=0 must be a whole number, 1 or more"),
        (
            {"max_open_orders": 14_000},
            (
                "max_open_orders=14000: the list of so many orders does not fit into a message of "
                "max_message_size=1048576 bytes; the most is 5456"
            ),
        ),
    ],
    ids=str,
)
def test_options_that_cannot_be_used(options: dict[str, Any], words: str) -> None:
    with pytest.raises(cp.ConfigurationError, match=re.escape(words)):
        Exchange(**options)
