"""What a script leaves behind: no connection, and no action that lasts."""

from __future__ import annotations

import cryptoproto as cp
from cryptoproto.conformance import Outcome, parse_script
from tests.support.conformance import run_on_own_peer


def test_connections_are_ended_even_if_a_script_fails(keys: dict[str, cp.PrivateKey]) -> None:
    text = "Title: t\nChecks: c\nPeer: exchange\n\nconnect alice\nconnect bob\nwatch feed\nalice< error 1"
    result = run_on_own_peer(parse_script(text, name="n", file="f"), cp.Protocol.V5, keys)
    assert result.outcome is Outcome.FAILED
    assert any("bob < lost" in line for line in result.transcript)
    assert any("feed < lost" in line for line in result.transcript)
