"""Agreements and locks: who gets a license, who does not, and when."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from cryptoproto.licensing import (
    KeyPair,
    Keyring,
    LicenseManager,
    LicenseToken,
)
from cryptoproto.licensing.manager import ledger
from cryptoproto.licensing.request.refusal import refusal_error
from tests.support.licensing.asker import PACKAGE, Asker, granted
from tests.support.licensing.simulated_time import SECOND, START_NS, SimulatedClock


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


def test_ended_locks_are_bounded(asker: Asker, clock: SimulatedClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "MOST_ENDED_LOCKS", 5)
    admin = asker.manager.administration
    admin.add_agreement(asker.keys.public_key, "*", licenses=1, lock_period_s=1)
    for number in range(20):
        clock._steady_ns += SECOND
        assert granted(asker.ask(f"A{number}"))
    assert len(admin.locks()) == 1
    ended = [lock.expires_ns for lock in admin.locks(ended=True)]
    assert len(ended) == 6
    assert min(ended) == START_NS + 16 * SECOND


def test_an_agreement_and_a_lock_as_plain_values(asker: Asker) -> None:
    agreement = asker.manager.administration.add_agreement(asker.keys.public_key, "*", licenses=1, note="Alice")
    assert agreement.to_plain()["created"] == "2026-09-21T14:13:20Z"
    assert agreement.to_plain()["revoked"] is None
    revoked = asker.manager.administration.revoke_agreement(agreement.id)
    assert revoked.to_plain()["revoked"] == "2026-09-21T14:13:20Z"
