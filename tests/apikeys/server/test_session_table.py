"""Logins in progress and live sessions: bounds, ends, nonces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cryptoproto.apikeys.server import (
    ApiKey,
    Gatekeeper,
    SessionSettings,
    SessionTable,
)
from tests.support.apikeys.clocks import Clock


def _table(clock: Callable[[], float], **bounds: Any) -> SessionTable:
    return SessionTable(SessionSettings(challenge_size=16), clock=clock, **bounds)


def test_logins_under_way_are_bounded_and_end(clock: Clock) -> None:
    table = _table(clock, max_pending=3)
    logins = [table.begin("k") for _ in range(5)]
    assert table.pending_count == 3
    assert [table.take_pending(login.session_id) is not None for login in logins] == [False, False, True, True, True]
    table.begin("k")
    clock.now += 10
    table.begin("k")
    assert table.pending_count == 1  # what had ended was cleared away


def test_sessions_of_one_key_are_bounded_and_end(clock: Clock) -> None:
    table = _table(clock, max_sessions_per_key=2)
    one, other = ApiKey.parse("one", "s", "u"), ApiKey.parse("other", "s", "u")
    table.establish("other", other, b"secret")
    for name in ("a", "b"):
        table.establish(name, one, b"secret")
    session = table.find("a")
    assert session is not None
    assert table.advance(session, 1)
    table.establish("c", one, b"secret")
    assert [table.find(name) is not None for name in ("a", "b", "c", "other")] == [True, False, True, True]
    clock.now += 100
    assert table.find("a") is None
    assert table.session_count == 0


def test_a_nonce_is_used_once(clock: Clock) -> None:
    table = _table(clock)
    table.establish("a", ApiKey.parse("one", "s", "u"), b"secret")
    session = table.find("a")
    assert session is not None
    assert [table.advance(session, nonce) for nonce in (5, 5, 4, 6)] == [True, False, False, True]
    table.end("a")
    assert not table.advance(session, 7)  # it has ended meanwhile


def test_nothing_secret_is_shown(clock: Clock, session_gatekeeper: Gatekeeper) -> None:
    table = _table(clock)
    table.establish("a", ApiKey.parse("one", "hunter2", "u"), b"hunter2")
    shown = repr(table.find("a")) + repr(table.begin("k")) + repr(session_gatekeeper)
    assert "hunter2" not in shown
    assert "challenge" not in shown
