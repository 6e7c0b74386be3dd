"""Commands as JSON."""

from __future__ import annotations

from typing import Any

import msgspec

from cryptoproto.exchange.commands import Command, Submit
from cryptoproto.messages import CancelOrder


def test_commands_name_themselves() -> None:
    raw = msgspec.json.encode(Submit("alice", CancelOrder(7), 5))
    assert raw == b'{"command":"Submit","client_id":"alice","message":{"@type":"CancelOrder","order_id":7},"time_us":5}'
    command: Any = msgspec.json.decode(raw, type=Command)
    assert command == Submit("alice", CancelOrder(7), 5)
