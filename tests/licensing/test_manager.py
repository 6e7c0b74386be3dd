"""The manager without its HTTP: who gets a license, who does not and why, and what administrators can do."""

from __future__ import annotations

import csv
import io
import json
import logging
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.licensing import (
    KeyPair,
    Keyring,
    LicenseDatabaseError,
    LicenseManager,
    LicenseRequest,
    LicenseToken,
    LicensingError,
    ManagerKey,
    NoAgreement,
    NoFreeLicense,
    TokenBinding,
    config_hash,
)
from cryptoproto.licensing.manager import Reply, to_csv
from cryptoproto.licensing.manager.reply import LARGEST_BODY
from cryptoproto.licensing.manager.throttle import Throttle
from cryptoproto.licensing.request.refusal import refusal_error
from cryptoproto.licensing.sealing.sealing import Channel, open_token, seal_request
from tests.licensing.samples import full_request
from tests.licensing.simulated_time import SECOND, START_NS, SimulatedClock

PACKAGE = "roq-deribit"


class Asker:
    """Sends requests of one gateway key straight into a manager."""

    def __init__(self, manager: LicenseManager, keys: KeyPair, clock: SimulatedClock) -> None:
        self.manager, self.keys, self.clock = manager, keys, clock
        self.key: ManagerKey = manager.generations[0].public
        self.count = 0

    def body(self, *logins: str, **changes: Any) -> bytes:
        self.count += 1
        package = changes.pop("package", PACKAGE)
        now = self.clock.true_ns()
        values = full_request(package, logins) | {
            "request_time_utc": now,
            "token_expiry_time_utc": now + 7200 * SECOND,
            "is_uat": False,
            "nonce": self.count.to_bytes(16, "big"),
        }
        return seal_request(LicenseRequest(values | changes).encode(), self.keys, self.key)

    def ask(self, *logins: str, **changes: Any) -> LicenseToken | str:
        """The token, or the reason of the refusal."""
        return self.outcome(self.manager.handle(self.body(*logins, **changes)))

    def outcome(self, reply: Reply) -> LicenseToken | str:
        if reply.status == 200:
            return LicenseToken.decode(open_token(reply.body, self.keys, self.key))
        return refusal_error(reply.status, reply.body).reason


@pytest.fixture
def asker(manager: LicenseManager, gateway: KeyPair, clock: SimulatedClock) -> Asker:
    return Asker(manager, gateway, clock)


def granted(outcome: LicenseToken | str) -> bool:
    return isinstance(outcome, LicenseToken)


# --- the published examples ---------------------------------------------------------------------------


def test_any_number_of_market_data_gateways(asker: Asker) -> None:
    asker.manager.administration.add_agreement(asker.keys.public_key, PACKAGE, licenses=0)
    for number in range(20):
        assert granted(asker.ask(session_id=f"md-{number}", symbols=number))
    assert asker.manager.administration.locks() == []
    assert asker.ask("A1") == "no_free_license"


def test_the_same_logins_with_another_api_are_the_same_license(asker: Asker) -> None:
    asker.manager.administration.add_agreement(asker.keys.public_key, PACKAGE, licenses=1)
    assert granted(asker.ask("A1", "A2", api="ws"))
    assert granted(asker.ask("A2", "A1", api="fix", session_id="other"))
    assert len(asker.manager.administration.locks()) == 1


def test_a_subset_of_the_accounts_is_another_license(asker: Asker) -> None:
    asker.manager.administration.add_agreement(asker.keys.public_key, PACKAGE, licenses=1)
    assert granted(asker.ask("A1", "A2", "A3"))
    assert asker.ask("A1", "A2") == "no_free_license"


def test_another_set_waits_until_the_lock_ends(asker: Asker, clock: SimulatedClock) -> None:
    asker.manager.administration.add_agreement(asker.keys.public_key, PACKAGE, licenses=1, lock_period_s=3600)
    first = asker.ask("A1", "A2")
    assert isinstance(first, LicenseToken)
    assert first.expires_at_utc_ns == START_NS + 3600 * SECOND
    clock._steady_ns = 3600 * SECOND - 1
    reply = asker.manager.handle(asker.body("A1"))
    assert refusal_error(reply.status, reply.body).retry_after_s == 0.0
    clock._steady_ns = 3600 * SECOND
    assert granted(asker.ask("A1"))
    assert asker.ask("A1", "A2") == "no_free_license"


# --- agreements ----------------------------------------------------------------------------------------


def test_no_agreement(asker: Asker) -> None:
    admin = asker.manager.administration
    assert asker.ask("A1") == "no_agreement"
    admin.add_agreement(KeyPair.generate().public_key, "*", licenses=9)
    assert asker.ask("A1") == "no_agreement"
    admin.add_agreement(asker.keys.public_key, "roq-by*", licenses=9)
    assert asker.ask("A1") == "no_agreement"
    assert asker.ask() == "no_agreement"  # market data is not for everybody either
    assert granted(asker.ask("A1", package="roq-bybit"))
    assert asker.ask("A1", package="ROQ-bybit") == "no_agreement"


def test_an_unknown_key_is_turned_away_before_its_box_is_opened(asker: Asker, gateway: KeyPair) -> None:
    body = asker.body("A1")
    rubbish = body[:32] + bytes(len(body) - 32)
    assert asker.outcome(asker.manager.handle(rubbish)) == "no_agreement"
    asker.manager.administration.add_agreement(gateway.public_key, "*", licenses=1)
    assert asker.outcome(asker.manager.handle(rubbish)) == "malformed"


def test_uat_and_production_are_separate_agreements(asker: Asker) -> None:
    asker.manager.administration.add_agreement(asker.keys.public_key, "*", licenses=1, uat=True)
    assert asker.ask("A1") == "no_agreement"
    assert granted(asker.ask("A1", is_uat=True))
    asker.manager.administration.add_agreement(asker.keys.public_key, "*", licenses=1)
    assert granted(asker.ask("A1"))
    assert len(asker.manager.administration.locks()) == 2


def test_licenses_of_several_agreements_add_up(asker: Asker) -> None:
    admin = asker.manager.administration
    admin.add_agreement(asker.keys.public_key, "roq-*", licenses=1)
    admin.add_agreement(asker.keys.public_key, PACKAGE, licenses=1)
    assert granted(asker.ask("A1"))
    assert granted(asker.ask("A2"))
    assert asker.ask("A3") == "no_free_license"
    assert granted(asker.ask("A1"))


def test_revoking_ends_locks_and_further_tokens(asker: Asker) -> None:
    admin = asker.manager.administration
    agreement = admin.add_agreement(asker.keys.public_key, "*", licenses=1)
    assert granted(asker.ask("A1"))
    assert admin.revoke_agreement(agreement.id).revoked_ns is not None
    assert admin.locks() == []
    assert asker.ask("A1") == "no_agreement"
    assert admin.agreements() == []
    assert [each.id for each in admin.agreements(revoked=True)] == [agreement.id]
    for number in (agreement.id, 99):
        with pytest.raises(LicensingError, match="no agreement"):
            admin.revoke_agreement(number)


@pytest.mark.parametrize(
    "change", [{"licenses": -1}, {"lock_period_s": 0.5}, {"lock_period_s": 32 * 86_400}, {"package": ""}, {"key": "x"}]
)
def test_terms_that_cannot_be_meant(manager: LicenseManager, gateway: KeyPair, change: dict[str, Any]) -> None:
    terms: dict[str, Any] = {"key": gateway.public_key, "package": "*", "licenses": 1, "lock_period_s": 60.0} | change
    with pytest.raises(cp.ConfigurationError):
        manager.administration.add_agreement(
            terms["key"], terms["package"], licenses=terms["licenses"], lock_period_s=terms["lock_period_s"]
        )
    assert manager.administration.audit() == []


# --- locks ---------------------------------------------------------------------------------------------


def test_a_shorter_wish_is_granted_and_a_longer_one_is_not(asker: Asker) -> None:
    asker.manager.administration.add_agreement(asker.keys.public_key, "*", licenses=1, lock_period_s=3600)
    now = asker.clock.true_ns()
    short = asker.ask("A1", token_expiry_time_utc=now + 60 * SECOND)
    long = asker.ask("A1", token_expiry_time_utc=now + 86_400 * SECOND)
    none = asker.ask("A1", token_expiry_time_utc=now)
    lives = [token.life_ns // SECOND for token in (short, long, none) if isinstance(token, LicenseToken)]
    assert lives == [60, 3600, 1]


def test_a_lock_outlives_every_token_that_was_given_out_for_it(asker: Asker) -> None:
    asker.manager.administration.add_agreement(asker.keys.public_key, "*", licenses=1, lock_period_s=3600)
    assert granted(asker.ask("A1"))
    assert granted(asker.ask("A1", token_expiry_time_utc=asker.clock.true_ns() + SECOND))
    assert asker.manager.administration.locks()[0].expires_ns == START_NS + 3600 * SECOND


def test_a_released_lock_is_free_at_once(asker: Asker) -> None:
    admin = asker.manager.administration
    admin.add_agreement(asker.keys.public_key, "*", licenses=1)
    assert granted(asker.ask("A1"))
    lock = admin.locks()[0]
    admin.release(lock.binding)
    assert granted(asker.ask("A2"))
    with pytest.raises(LicensingError, match="no such lock"):
        admin.release(lock.binding)
    assert admin.locks()[0].to_plain()["config_hash"] == config_hash(PACKAGE, ["A2"]).hex()


def test_ended_locks_can_be_listed(asker: Asker, clock: SimulatedClock) -> None:
    admin = asker.manager.administration
    admin.add_agreement(asker.keys.public_key, "*", licenses=1, lock_period_s=60)
    assert granted(asker.ask("A1"))
    clock._steady_ns = 60 * SECOND
    assert admin.locks() == []
    assert len(admin.locks(ended=True)) == 1


def test_decisions_of_several_processes_on_one_file_are_one_after_another(tmp_path: Path, gateway: KeyPair) -> None:
    """Each manager has its own connection, as a second server or an administrator's command would."""
    ring, clock = Keyring.generate(START_NS), SimulatedClock()
    managers = [LicenseManager(tmp_path / "db", ring, clock=clock.true_ns) for _ in range(4)]
    managers[0].administration.add_agreement(gateway.public_key, "*", licenses=5)
    outcomes: list[LicenseToken | str] = []

    def ask(number: int) -> None:
        asker = Asker(managers[number], gateway, clock)
        asker.count = number * 1000
        outcomes.extend([asker.ask(f"A{number}-{login}") for login in range(10)])

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(map(granted, outcomes)) == 5
    assert outcomes.count("no_free_license") == 35
    assert len(managers[0].administration.locks()) == 5
    for manager in managers:
        manager.close()


# --- requests that are refused -------------------------------------------------------------------------


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


def test_a_throttle_forgets_names_and_not_permits() -> None:
    throttle = Throttle(2.0, burst=2)
    assert [throttle.wait_s("a", 0) for _ in range(3)] == [0.0, 0.0, 0.5]
    assert throttle.wait_s("b", 0) == 0.0
    assert throttle.wait_s("a", SECOND // 2) == 0.0
    assert throttle.wait_s("a", SECOND // 4) > 0  # a clock that steps back gives nothing away
    for number in range(20_000):
        throttle.wait_s(f"flood {number}", SECOND)
    assert len(throttle._buckets) <= 10_000


# --- keys rotate ---------------------------------------------------------------------------------------


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


# --- tokens by hand, usage, audit ----------------------------------------------------------------------


def test_a_token_made_by_hand(asker: Asker, gateway: KeyPair) -> None:
    admin = asker.manager.administration
    generation = asker.manager.generations[0]
    binding = TokenBinding(gateway.public_key, PACKAGE, config_hash(PACKAGE, ["A1"]))
    with pytest.raises(NoAgreement):
        admin.grant(generation, binding, period_s=86_400)
    admin.add_agreement(gateway.public_key, "*", licenses=1)
    token, box = admin.grant(generation, binding, period_s=86_400)
    opened = LicenseToken.decode(open_token(box, gateway, generation.public))
    assert opened == token
    opened.check_usable(binding, START_NS)
    assert token.request_nonce is None
    assert admin.locks()[0].expires_ns == token.expires_at_utc_ns == START_NS + 86_400 * SECOND
    other = TokenBinding(gateway.public_key, PACKAGE, config_hash(PACKAGE, ["A2"]))
    with pytest.raises(NoFreeLicense):
        admin.grant(generation, other, period_s=60)
    admin.grant(generation, other, period_s=60, without_lock=True)
    assert len(admin.locks()) == 1
    with pytest.raises(cp.ConfigurationError, match="between 1 second"):
        admin.grant(generation, other, period_s=0)


def test_every_change_leaves_a_row(asker: Asker, gateway: KeyPair) -> None:
    admin = asker.manager.administration
    agreement = admin.add_agreement(gateway.public_key, "*", licenses=1, note="Alice")
    asker.ask("A1")
    admin.release(admin.locks()[0].binding)
    binding = TokenBinding(gateway.public_key, PACKAGE, config_hash(PACKAGE, ["A1"]))
    token, _ = admin.grant(asker.manager.generations[0], binding, period_s=60)
    admin.revoke_agreement(agreement.id)
    rows = admin.audit()
    assert [row.action for row in rows] == ["agreement add", "release", "grant", "agreement revoke"]
    assert {row.actor for row in rows} == {"tester"}
    assert rows[2].detail["token_id"] == token.token_id
    assert rows[2].to_plain()["at"] == "2026-09-21T14:13:20Z"


def test_usage_is_forgotten_in_the_end(asker: Asker, clock: SimulatedClock) -> None:
    asker.manager.administration.add_agreement(asker.keys.public_key, "*", licenses=1)
    asker.ask("A1")
    clock._steady_ns = 402 * 86_400 * SECOND
    asker.ask("A1")
    assert [row.day for row in asker.manager.usage()] == ["2027-10-28"]


def test_usage_is_kept_per_day_and_run(asker: Asker, clock: SimulatedClock) -> None:
    asker.manager.administration.add_agreement(asker.keys.public_key, "*", licenses=1)
    asker.ask("A1", session_id="s1", create_order=5)
    asker.ask("A1", session_id="s1", create_order=7, hostname="=cmd()")
    asker.ask("A2", session_id="s2")
    clock._steady_ns = 86_400 * SECOND
    asker.ask("A1", session_id="s1")
    rows = asker.manager.usage()
    assert [(row.day, row.session_id, row.granted, row.refused, row.last_reason) for row in rows] == [
        ("2026-09-21", "s1", 2, 0, None),
        ("2026-09-21", "s2", 0, 1, "no_free_license"),
        ("2026-09-22", "s1", 1, 0, None),
    ]
    assert rows[0].facts["create_order"] == 7
    assert "nonce" not in rows[0].facts
    assert asker.manager.usage(since="2026-09-22") == rows[2:]
    assert asker.manager.usage(public_key=KeyPair.generate().public_key) == []
    table = list(csv.DictReader(io.StringIO(to_csv(rows))))
    assert table[0]["hostname"] == "'=cmd()"
    assert json.loads(table[0]["cpu_affinity"]) == [0, 1, 65_535]
    assert table[1]["last_reason"] == "no_free_license"


# --- the database --------------------------------------------------------------------------------------


def test_the_database_is_private_and_known_again(tmp_path: Path, gateway: KeyPair) -> None:
    path = tmp_path / "licenses.db"
    ring = Keyring.generate(START_NS)
    with LicenseManager(path, ring) as manager:
        manager.administration.add_agreement(gateway.public_key, "*", licenses=1)
        assert {stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()} == {0o600}
    with LicenseManager(path, ring) as manager:
        assert len(manager.administration.agreements(public_key=gateway.public_key)) == 1
        with manager._database.transaction() as connection:
            connection.execute("PRAGMA user_version = 7")
    with pytest.raises(LicenseDatabaseError, match="version 7"):
        LicenseManager(path, ring)


def test_files_that_are_no_license_database(tmp_path: Path) -> None:
    ring = Keyring.generate(START_NS)
    (tmp_path / "text").write_text("hello " * 1000)
    with pytest.raises(LicenseDatabaseError, match="cannot be used"):
        LicenseManager(tmp_path / "text", ring)
    with pytest.raises(LicenseDatabaseError, match="does the folder exist"):
        LicenseManager(tmp_path / "none" / "db", ring)
    import sqlite3

    with sqlite3.connect(tmp_path / "other") as connection:
        connection.execute("CREATE TABLE t (x)")
    connection.close()
    with pytest.raises(LicenseDatabaseError, match="something else"):
        LicenseManager(tmp_path / "other", ring)


def test_a_database_that_fails_is_a_503_and_nothing_leaves(asker: Asker, caplog: pytest.LogCaptureFixture) -> None:
    asker.manager.administration.add_agreement(asker.keys.public_key, "*", licenses=1)
    with asker.manager._database.transaction() as connection:
        connection.execute("DROP TABLE locks")
    with caplog.at_level(logging.ERROR):
        reply = asker.manager.handle(asker.body("A1"))
    assert "no such table" in caplog.text
    assert reply.status == 503
    assert json.loads(reply.body)["reason"] == "unavailable"
