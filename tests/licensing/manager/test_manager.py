"""The manager without its HTTP: who gets a license, who does not and why, and what administrators can do."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

import cryptoproto as cp
from cryptoproto.licensing import (
    KeyPair,
    Keyring,
    LicenseManager,
)
from cryptoproto.licensing.manager.reply import LARGEST_BODY
from cryptoproto.licensing.sealing.sealing import Channel
from tests.support.licensing.asker import Asker, granted
from tests.support.licensing.simulated_time import SECOND, START_NS, SimulatedClock


def test_an_unknown_key_is_turned_away_before_its_box_is_opened(asker: Asker, gateway: KeyPair) -> None:
    body = asker.body("A1")
    rubbish = body[:32] + bytes(len(body) - 32)
    assert asker.outcome(asker.manager.handle(rubbish)) == "no_agreement"
    asker.manager.administration.add_agreement(gateway.public_key, "*", licenses=1)
    assert asker.outcome(asker.manager.handle(rubbish)) == "malformed"


def test_a_replayed_request_is_stale(asker: Asker) -> None:
    asker.manager.administration.add_agreement(asker.keys.public_key, "*", licenses=1)
    body = asker.body("A1")
    assert granted(asker.outcome(asker.manager.handle(body)))
    assert asker.outcome(asker.manager.handle(body)) == "stale"
    again, third = asker.body("A1"), asker.body("A1")
    replies = asker.manager.handle_batch([again, again, third])
    assert [reply.status for reply in replies] == [200, 400, 200]


def test_a_replay_is_refused_as_long_as_its_time_would_pass(asker: Asker, clock: SimulatedClock) -> None:
    asker.manager.administration.add_agreement(asker.keys.public_key, "*", licenses=1)
    body = asker.body("A1", request_time_utc=START_NS + 300 * SECOND)
    assert granted(asker.outcome(asker.manager.handle(body)))
    for moment_s in (1, 300, 600):
        clock._steady_ns = moment_s * SECOND
        assert granted(asker.ask("A1"))  # another request, which prunes old nonces
        assert asker.outcome(asker.manager.handle(body)) == "stale"


def test_replays_are_refused_after_a_restart(tmp_path: Path, gateway: KeyPair, clock: SimulatedClock) -> None:
    ring = Keyring.generate(START_NS)
    with LicenseManager(tmp_path / "db", ring, clock=clock.true_ns) as manager:
        manager.administration.add_agreement(gateway.public_key, "*", licenses=1)
        asker = Asker(manager, gateway, clock)
        body = asker.body("A1")
        assert granted(asker.outcome(manager.handle(body)))
    with LicenseManager(tmp_path / "db", ring, clock=clock.true_ns) as manager:
        assert asker.outcome(manager.handle(body)) == "stale"


@pytest.mark.parametrize(("off_s", "reason"), [(-301, "stale"), (-299, None), (299, None), (301, "stale")])
def test_the_time_of_a_request_is_near_ours(asker: Asker, off_s: int, reason: str | None) -> None:
    asker.manager.administration.add_agreement(asker.keys.public_key, "*", licenses=1)
    outcome = asker.ask("A1", request_time_utc=START_NS + off_s * SECOND)
    assert granted(outcome) if reason is None else outcome == reason


def test_malformed_requests(asker: Asker, gateway: KeyPair) -> None:
    asker.manager.administration.add_agreement(gateway.public_key, "*", licenses=1)
    channel = Channel(gateway, asker.key.box_key)
    own = asker.body()[:32]
    good = asker.body("A1")
    bodies = {
        "empty": b"",
        "too short": good[:71],
        "cut": good[:-1],
        "another manager's": own + Channel(gateway, KeyPair.generate().public_key).seal(b"x" * 100),
        "no FlatBuffers": own + channel.seal(b"x" * 100),
        "accounts without logins": asker.body(accounts=2),
        "logins without accounts": asker.body("A1", accounts=0),
        "falling histogram": asker.body("A1", internal_latency_count_inf=0),
        "no time": asker.body("A1", request_time_utc=0),
        "ends before it begins": asker.body("A1", token_expiry_time_utc=START_NS - 1),
    }
    for name, body in bodies.items():
        assert asker.outcome(asker.manager.handle(body)) == "malformed", name
    assert asker.outcome(asker.manager.handle(bytes(LARGEST_BODY + 1))) == "too_large"
    assert asker.manager.administration.locks() == []


def test_a_key_that_asks_too_often_waits(asker: Asker, clock: SimulatedClock) -> None:
    asker.manager.administration.add_agreement(asker.keys.public_key, "*", licenses=1)
    outcomes = [asker.ask("A1") for _ in range(101)]
    assert outcomes[100] == "too_many_requests"
    assert all(map(granted, outcomes[:100]))
    clock._steady_ns = SECOND
    assert granted(asker.ask("A1"))


def test_keys_rotate_with_an_overlap(tmp_path: Path, gateway: KeyPair, clock: SimulatedClock) -> None:
    path = tmp_path / "manager.json"
    ring = Keyring.generate(START_NS)
    ring.save(path)
    with LicenseManager(":memory:", path, clock=clock.true_ns) as manager:
        manager.administration.add_agreement(gateway.public_key, "*", licenses=1)
        old = Asker(manager, gateway, clock)
        assert granted(old.ask("A1"))
        ring.rotated(START_NS, overlap_s=600).save(path, overwrite=True)
        new = Asker(manager, gateway, clock)  # reads the new file by itself
        new.count = 1000
        assert new.key != old.key
        assert granted(old.ask("A1"))  # answered with the old keys, which is what the old agent has pinned
        assert granted(new.ask("A1"))
        clock._steady_ns = 600 * SECOND
        assert old.ask("A1") == "malformed"
        assert granted(new.ask("A1"))
        path.write_text("{")
        assert granted(new.ask("A1"))  # a broken file leaves the last keys in use
        path.unlink()
        assert granted(new.ask("A1"))


def test_retired_keys_say_so(manager: LicenseManager, clock: SimulatedClock) -> None:
    ring = Keyring(tuple(Keyring.generate(START_NS).rotated(START_NS, 10).active(START_NS)[1:]))
    with LicenseManager(":memory:", ring, clock=clock.true_ns) as other:
        clock._steady_ns = 10 * SECOND
        with pytest.raises(cp.ConfigurationError, match="retired"):
            _ = other.generations


def test_a_database_that_fails_is_a_503_and_nothing_leaves(asker: Asker, caplog: pytest.LogCaptureFixture) -> None:
    asker.manager.administration.add_agreement(asker.keys.public_key, "*", licenses=1)
    with asker.manager._database.transaction() as connection:
        connection.execute("DROP TABLE locks")
    with caplog.at_level(logging.ERROR):
        reply = asker.manager.handle(asker.body("A1"))
    assert "no such table" in caplog.text
    assert reply.status == 503
    assert json.loads(reply.body)["reason"] == "unavailable"


@pytest.mark.parametrize("change", [{"freshness_s": 0.0}, {"requests_per_second": 0.0}])
def test_limits_must_be_above_zero(keyring: Keyring, change: dict[str, float]) -> None:
    with pytest.raises(cp.ConfigurationError, match="must be above zero"):
        LicenseManager(":memory:", keyring, **change)  # type: ignore[arg-type]
