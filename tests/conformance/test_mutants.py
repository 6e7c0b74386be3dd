"""The scripts notice faulty peers: each fault below is found by the scripts that are named beside it."""

from __future__ import annotations

import pytest

import cryptoproto as cp
from cryptoproto.conformance import Outcome, Script, load_scripts
from cryptoproto.conformance.seen import Seen
from tests.support.conformance import run_on_own_peer
from tests.support.conformance_mutants import CLIENT, EXCHANGE

pytestmark = pytest.mark.unmeasured

EXCHANGE_SCRIPTS = {script.name: script for script in load_scripts(peer="exchange")}
CLIENT_SCRIPTS = {script.name: script for script in load_scripts(peer="client")}
ALL = EXCHANGE_SCRIPTS | CLIENT_SCRIPTS


@pytest.mark.parametrize(
    ("peer", "fault"), [("exchange", name) for name in EXCHANGE] + [("client", name) for name in CLIENT]
)
def test_a_fault_is_found(
    peer: str, fault: str, keys: dict[str, cp.PrivateKey], monkeypatch: pytest.MonkeyPatch
) -> None:
    patch, names = (EXCHANGE if peer == "exchange" else CLIENT)[fault]
    patch(monkeypatch)
    for name in names:
        script = ALL[f"{peer}/{name}"]
        result = run_on_own_peer(script, script.protocols[-1], keys)
        wanted = Outcome.FAILED if script.strict else Outcome.NOT_STRICT
        assert result.outcome is wanted, f"{name} does not notice that the peer {fault}"
        assert "expected" in result.reason or "got" in result.reason


@pytest.mark.parametrize("script", ALL.values(), ids=lambda script: script.name)
def test_each_script_fails_if_what_is_received_is_a_little_different(
    script: Script, keys: dict[str, cp.PrivateKey]
) -> None:
    result = run_on_own_peer(script, script.protocols[-1], keys, on_seen=a_little_different)
    assert result.outcome in (Outcome.FAILED, Outcome.NOT_STRICT), result.transcript


def a_little_different(seen: Seen) -> Seen:
    """Another close code, error type, name or number; for a hello and the signs without content, another kind."""
    if seen.kind in ("close", "error", "version"):
        return Seen(seen.kind, arguments=(seen.arguments[0] + 1, *seen.arguments[1:]))
    if seen.name:
        return Seen(seen.kind, f"{seen.name}X", seen.fields, numbers=seen.numbers)
    if seen.kind in ("ended", "connected", "failed", "throttling"):
        fields = {name: value + 1 if isinstance(value, int) else "x" for name, value in seen.fields.items()}
        return Seen(seen.kind, fields=fields)
    return Seen("unreadable", arguments=(seen.kind,))
