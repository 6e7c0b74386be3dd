"""Commands as JSON."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

import cryptoproto as cp
from cryptoproto.exchange.commands import Command, SetInstruments, Submit
from cryptoproto.messages import CancelOrder, InstrumentRules


def test_commands_name_themselves() -> None:
    raw = msgspec.json.encode(Submit("alice", CancelOrder(7), 5))
    assert raw == b'{"command":"Submit","client_id":"alice","message":{"@type":"CancelOrder","order_id":7},"time_us":5}'
    command: Any = msgspec.json.decode(raw, type=Command)
    assert command == Submit("alice", CancelOrder(7), 5)


def test_impossible_rules_are_no_command() -> None:
    """The engine carries out every command that there is."""
    good = InstrumentRules("BTC_USD", *map(Decimal, ("0.01", "0.0001", "0.001", "1")))
    bad = msgspec.structs.replace(good, tick_size=Decimal(0))
    with pytest.raises(cp.ConfigurationError, match="BTC_USD: tick_size"):
        SetInstruments([good, bad], 1)
    raw = msgspec.json.encode(SetInstruments([good], 1)).replace(b'"0.01"', b'"0"')
    with pytest.raises(msgspec.ValidationError, match="BTC_USD: tick_size"):
        msgspec.json.decode(raw, type=Command)
