"""What a client under test is asked to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.conformance import Arrivals, ClientUnderTest, Outcome, parse_script, run_script
from cryptoproto.conformance.seen import Seen

pytestmark = pytest.mark.usefixtures("clean_loop")


class Noting:
    """A control that notes the actions, and whose client does nothing."""

    def __init__(self) -> None:
        self.actions: list[dict[str, Any]] = []

    async def do(self, action: Mapping[str, Any]) -> str | None:
        self.actions.append(dict(action))
        return None

    async def report(self, timeout: float) -> Seen | None:
        return None

    def forget_reports(self) -> None:
        pass


async def test_actions(keys: dict[str, cp.PrivateKey]) -> None:
    control = Noting()
    connect = {"url": "ws://127.0.0.1:1", "private_key": "a.pem", "server_key": "x.pub"}
    peer = ClientUnderTest("alice", keys["alice"].public_key, keys["exchange"], Arrivals(), control, connect)
    text = (
        "Title: t\nChecks: c\nPeer: client\n\ndo connect resume=7\ndo send CancelOrder order_id=5\n"
        "do request UserBalanceRequest [tag a] [timeout 2]\ndo close\nreport nothing for 0 s\n< close"
    )
    result = await run_script(parse_script(text, name="n", file="f"), cp.Protocol.V5, peer)
    assert (result.outcome, result.reason) == (Outcome.FAILED, "there is no connection yet")
    assert control.actions == [
        {"do": "connect", **connect, "client_id": "alice", "protocol": "v5", "resume": 7},
        {"do": "send", "message": {"@type": "CancelOrder", "order_id": 5}},
        {"do": "request", "tag": "a", "timeout": 2, "message": {"@type": "UserBalanceRequest"}},
        {"do": "close"},
        {"do": "reset"},
    ]
