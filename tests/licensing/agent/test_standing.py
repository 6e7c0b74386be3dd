"""The state of a license as a function of time."""

from __future__ import annotations

import pytest

import cryptoproto as cp
from cryptoproto.licensing import KeyPair, LicenseState, Schedule
from cryptoproto.licensing.agent.standing import Standing
from tests.support.licensing.samples import token_for
from tests.support.licensing.simulated_time import SECOND, START_NS

HOUR = 3600 * SECOND


@pytest.mark.parametrize(
    "change", [{"lock_period_s": 0}, {"renew_at": 0.9}, {"retry_interval_s": 0.0}, {"grace_s": -1.0}]
)
def test_schedules_that_cannot_be_kept(change: dict[str, float]) -> None:
    with pytest.raises(cp.ConfigurationError):
        Schedule(**change)


def standing_at_start(**schedule: float) -> Standing:
    return Standing(Schedule(**schedule), wall_ns=START_NS, steady_ns=0)


def test_states_follow_the_token_and_the_grace_time(gateway: KeyPair) -> None:
    standing = standing_at_start(grace_s=60.0)
    assert standing.state(0) is LicenseState.STARTING
    standing.attempted()
    assert standing.state(0) is LicenseState.GRACE
    standing.hold(token_for(gateway), 0)
    assert standing.state(2 * HOUR - 1) is LicenseState.LICENSED
    assert standing.state(2 * HOUR) is LicenseState.GRACE
    assert standing.state(2 * HOUR + 60 * SECOND) is LicenseState.EXPIRED
    assert standing.next_change(0) == 2 * HOUR
    assert standing.next_change(2 * HOUR) == 2 * HOUR + 60 * SECOND
    assert standing.next_change(2 * HOUR + 60 * SECOND) is None


def test_a_valid_token_is_not_replaced_by_one_that_expires_sooner(gateway: KeyPair) -> None:
    standing = standing_at_start()
    long, short = token_for(gateway, life_s=86_400), token_for(gateway, life_s=7200)
    standing.hold_longer(short, 0)
    assert standing.token == short
    standing.hold_longer(long, 0)
    standing.hold_longer(short, 0)
    assert standing.token == long
    standing.hold_longer(short, 24 * HOUR)  # the other one has expired
    assert standing.token == short


def test_the_lock_is_renewed_at_its_own_pace_behind_a_token_that_lasts_longer(gateway: KeyPair) -> None:
    standing = standing_at_start()
    long, short = token_for(gateway, life_s=86_400), token_for(gateway, life_s=7200)
    standing.hold(long, 0)
    assert standing.renewal(0.0, 0) == 6 * HOUR
    assert standing.renewal(0.0, 0, of=short) == HOUR // 2


def test_a_retry_follows_the_advice_of_the_manager_if_that_is_shorter() -> None:
    standing = standing_at_start()
    assert standing.retry(0.0, 0, None) == 60 * SECOND
    assert standing.retry(1.0, 0, None) == 72 * SECOND
    assert standing.retry(0.0, 0, 5.0) == int(5.51 * SECOND)
    assert standing.retry(0.0, 0, 500.0) == 60 * SECOND


def test_a_jump_of_the_wall_clock_counts_once() -> None:
    standing = standing_at_start()
    assert standing.jumped(START_NS + 29 * SECOND, 0) == 0.0
    assert standing.jumped(START_NS + HOUR, 0) == 3600.0
    assert standing.jumped(START_NS + HOUR, 0) == 0.0
    assert standing.now_ns(0) == START_NS + HOUR  # no better source is known yet


def test_after_the_manager_has_answered_its_time_counts() -> None:
    standing = standing_at_start()
    standing.confirm_time(START_NS + HOUR, 0, START_NS, 0)
    assert standing.best_now_ns(START_NS, SECOND) == START_NS + HOUR + SECOND
    assert standing.jumped(START_NS - HOUR, 0) == -3600.0
    assert standing.now_ns(0) == START_NS + HOUR
    standing.doubt_time()
    assert standing.best_now_ns(START_NS, SECOND) == START_NS
