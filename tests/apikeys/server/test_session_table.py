"""Logins in progress and live sessions: bounds, ends, nonces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cryptoproto.apikeys.server import (
    ApiKey,
    SessionSettings,
    SessionTable,
)
from cryptoproto.apikeys.server.key_store import name_digest
from tests.support.apikeys.clocks import Clock


def _table(clock: Callable[[], float], **bounds: Any) -> SessionTable:
    return SessionTable(SessionSettings(challenge_size=16), clock=clock, **bounds)


def test_a_flood_of_attempts_cannot_displace_an_honest_login(clock: Clock) -> None:
    table = _table(clock)
    honest = table.begin("honest")
    for number in range(20_000):
        table.begin("honest" if number % 2 else "other")
    assert table.pending(honest.session_id, "honest") == honest
    assert table.confirm(honest)


def test_every_login_has_another_id_and_challenge(clock: Clock) -> None:
    table, other = _table(clock), _table(clock)
    logins = [table.begin("k") for _ in range(100)]
    assert len({login.session_id for login in logins}) == len({login.challenge for login in logins}) == 100
    assert {len(login.challenge) for login in logins} == {16}
    assert table.key_digest(logins[0].session_id) == name_digest("k")
    assert other.pending(logins[0].session_id, "k") is None  # another gateway, or this one before its restart


def test_a_login_is_confirmed_once_and_in_time(clock: Clock) -> None:
    table = _table(clock)
    first, second = table.begin("k"), table.begin("k")
    assert table.confirm(first)
    assert not table.confirm(first)
    assert table.pending(first.session_id, "k") is None
    assert table.pending(second.session_id, "other") is None
    clock.now += 9.99
    assert table.pending(second.session_id, "k") == second
    clock.now += 0.01
    assert table.pending(second.session_id, "k") is None


def test_confirmed_logins_are_remembered_until_their_time_is_over(clock: Clock) -> None:
    table = _table(clock, max_confirmed=2)
    logins = [table.begin("k") for _ in range(3)]
    assert [table.confirm(login) for login in logins] == [True, True, False]
    clock.now += 10
    assert table.confirm(table.begin("k"))


@pytest.mark.parametrize("spoil", ["", "nobody", "ü", "A" * 76, "one more", "flip"])
def test_forged_session_ids(clock: Clock, spoil: str) -> None:
    table = _table(clock)
    good = table.begin("k").session_id
    forged = {"one more": good + "AAAA", "flip": good[:10] + ("A" if good[10] != "A" else "B") + good[11:]}
    assert table.pending(forged.get(spoil, spoil), "k") is None


def test_only_one_spelling_of_a_session_id_is_accepted(clock: Clock) -> None:
    """Otherwise a second spelling could be confirmed again."""
    table = _table(clock)
    good = table.begin("k").session_id
    assert "=" not in good
    for other in (good + "=", good + "==", f" {good}", f"{good}\n"):
        assert table.pending(other, "k") is None


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


def test_nothing_secret_is_shown(clock: Clock) -> None:
    table = _table(clock)
    table.establish("a", ApiKey.parse("one", "hunter2", "u"), b"hunter2")
    shown = repr(table.find("a")) + repr(table.begin("k"))
    assert "hunter2" not in shown
    assert "challenge" not in shown
