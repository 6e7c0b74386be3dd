"""The lease: what a member may do when, and worlds of members that compete for it."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from cryptoproto.exceptions import ConfigurationError
from cryptoproto.gateway.lease import Entry, Lease, LeaseRecord, Read, Wait, Write
from tests.support.lease_world import LeaseWorld
from tests.support.run_summary import record_run

SEEDS = int(os.environ.get("SEEDS", "300"))
START = int(os.environ.get("START", "0"))


def other(revision: int, *, released: bool = False) -> Entry:
    return Entry(revision, LeaseRecord("other", released))


def owner(at: float = 0.0) -> Lease:
    """A member that has owned the lease of thirty seconds since *at*."""
    lease = Lease("me", 30.0)
    lease.on_entry(None, at)
    write = lease.step(at)
    assert isinstance(write, Write)
    lease.on_written(write, 7, at)
    return lease


def test_the_first_member_creates_the_entry_and_its_revision_is_the_fence() -> None:
    lease = Lease("me", 30.0, "host:1")
    assert lease.step(0.0) == Read()
    lease.on_entry(None, 1.0)
    write = lease.step(1.0)
    assert write == Write(LeaseRecord("me", name="host:1"), last=0)
    assert not lease.holds(1.0)
    lease.on_written(write, 7, 1.0)
    assert lease.holds(2.0)
    assert lease.fence == 7


def test_an_owner_renews_after_a_third_and_keeps_its_fence() -> None:
    lease = owner()
    assert lease.step(5.0) == Wait(10.0)
    renewal = lease.step(10.0)
    assert renewal == Write(LeaseRecord("me"), last=7)
    lease.on_written(renewal, 9, 10.0)
    assert lease.fence == 7
    assert lease.held_until == 30.0
    assert lease.step(20.0) == Write(LeaseRecord("me"), last=9)


def test_an_owner_stops_after_two_thirds_without_a_renewal() -> None:
    lease = owner()
    assert lease.holds(19.99)
    assert not lease.holds(20.0)
    assert lease.step(20.0) == Read()
    assert lease.fence is None


def test_a_renewal_counts_from_when_it_was_sent() -> None:
    lease = owner()
    renewal = lease.step(10.0)
    assert isinstance(renewal, Write)
    lease.on_written(renewal, 8, 10.0)  # the answer may have come much later
    assert lease.held_until == 30.0


def test_a_standby_waits_for_the_whole_lease() -> None:
    lease = Lease("me", 30.0)
    lease.on_entry(other(5), 100.0)
    assert lease.step(101.0) == Wait(103.0)
    lease.on_entry(other(5), 129.0)
    assert lease.step(129.5) == Wait(130.0)
    assert lease.step(130.0) == Write(LeaseRecord("me"), last=5)


def test_a_new_revision_begins_the_wait_anew() -> None:
    lease = Lease("me", 30.0)
    lease.on_entry(other(5), 100.0)
    lease.on_entry(other(6), 129.0)
    assert lease.step(131.0) == Wait(132.0)
    lease.on_entry(other(6), 159.0)
    assert lease.step(159.0) == Write(LeaseRecord("me"), last=6)


def test_an_older_revision_is_ignored() -> None:
    lease = Lease("me", 30.0)
    lease.on_entry(other(6), 100.0)
    lease.on_entry(other(5, released=True), 110.0)
    assert isinstance(lease.step(110.0), Wait)


def test_a_released_lease_is_taken_at_once() -> None:
    lease = Lease("me", 30.0)
    lease.on_entry(other(5, released=True), 100.0)
    assert lease.step(100.0) == Write(LeaseRecord("me"), last=5)


def test_a_takeover_that_is_refused_reads_again() -> None:
    lease = Lease("me", 30.0)
    lease.on_entry(other(5), 100.0)
    lease.step(130.0)
    lease.on_refused(131.0)
    assert lease.step(131.0) == Read()
    lease.on_entry(other(6), 131.0)
    assert isinstance(lease.step(132.0), Wait)


def test_a_takeover_whose_answer_was_lost_is_found_by_reading() -> None:
    lease = Lease("me", 30.0)
    lease.on_entry(other(5), 100.0)
    lease.step(130.0)
    lease.on_no_answer(135.0)
    assert lease.step(135.0) == Read()
    lease.on_entry(Entry(6, LeaseRecord("me")), 135.0)
    assert not lease.holds(135.0)  # only an answer to a write makes an owner
    assert lease.step(135.0) == Write(LeaseRecord("me"), last=6)


def test_an_owner_whose_renewal_had_no_answer_reads_and_renews() -> None:
    lease = owner()
    lease.step(10.0)
    lease.on_no_answer(15.0)
    assert lease.holds(15.0)
    assert lease.step(15.0) == Read()
    lease.on_entry(Entry(8, LeaseRecord("me")), 16.0)
    assert lease.step(16.0) == Write(LeaseRecord("me"), last=8)


def test_an_owner_that_was_replaced_stops_at_once() -> None:
    lease = owner()
    lease.step(10.0)
    lease.on_refused(11.0)
    assert lease.step(11.0) == Read()
    lease.on_entry(other(8), 12.0)
    assert not lease.holds(12.0)
    assert isinstance(lease.step(16.0), Wait | Read)


def test_an_owner_whose_entry_was_deleted_stops_and_waits() -> None:
    lease = owner()
    lease.on_no_answer(10.0)
    lease.on_entry(None, 11.0)
    assert not lease.holds(11.0)
    assert lease.step(12.0) == Wait(14.0)
    lease.on_entry(None, 42.0)
    assert lease.step(42.0) == Write(LeaseRecord("me"), last=0)


def test_release_ends_the_ownership_before_it_is_written() -> None:
    lease = owner()
    lease.release(5.0)
    assert not lease.holds(5.0)
    was_releasing = [lease.is_releasing]
    write = lease.step(5.0)
    assert write == Write(LeaseRecord("me", released=True), last=7)
    lease.on_written(write, 8, 5.0)
    assert [*was_releasing, lease.is_releasing] == [True, False]
    assert lease.fence is None


def test_a_release_without_an_answer_is_written_again() -> None:
    lease = owner()
    lease.release(5.0)
    lease.step(5.0)
    lease.on_no_answer(6.0)
    assert lease.step(6.0) == Read()
    lease.on_entry(Entry(7, LeaseRecord("me")), 7.0)
    assert lease.step(7.0) == Write(LeaseRecord("me", released=True), last=7)
    lease.on_no_answer(8.0)
    lease.on_entry(Entry(8, LeaseRecord("me", released=True)), 9.0)  # it had happened
    assert not lease.is_releasing


def test_who_released_takes_the_lease_back_only_after_a_whole_lease() -> None:
    lease = owner()
    lease.release(5.0)
    write = lease.step(5.0)
    assert isinstance(write, Write)
    lease.on_written(write, 8, 5.0)
    lease.on_entry(Entry(8, LeaseRecord("me", released=True)), 10.0)
    assert isinstance(lease.step(10.0), Wait)
    lease.on_entry(Entry(8, LeaseRecord("me", released=True)), 34.0)
    assert lease.step(35.0) == Write(LeaseRecord("me"), last=8)


def test_a_standby_releases_nothing() -> None:
    lease = Lease("me", 30.0)
    lease.on_entry(other(5), 0.0)
    lease.release(5.0)
    assert not lease.is_releasing


def test_a_lease_has_a_length() -> None:
    with pytest.raises(ConfigurationError, match="lease_s=0"):
        Lease("me", 0)


@pytest.fixture(scope="module")
def count(request: pytest.FixtureRequest) -> Iterator[Counter[str]]:
    """What the worlds come to; written down if all that were asked for have passed."""
    counts: Counter[str] = Counter()
    begun = time.monotonic()
    yield counts
    if counts["worlds"] == SEEDS:
        seeds = f"{START} to {START + SEEDS - 1}"
        record_run("worlds of the lease", seconds=time.monotonic() - begun, counts=counts, seeds=seeds)


@pytest.mark.unmeasured
@pytest.mark.parametrize("seed", range(START, START + SEEDS, 50))
def test_two_owners_never_send_at_once(seed: int, count: Counter[str]) -> None:
    """With `SEEDS=10000`, ten thousand worlds; a failure names its seed."""
    for number in range(seed, min(seed + 50, START + SEEDS)):
        world = LeaseWorld(number, members=2 + number % 3)
        world.run(60.0)
        assert not world.violations, f"seed {number}: {world.violations[0]}"
        assert world.sent, f"seed {number}: nobody ever owned the lease"
        world.faults = False
        world.run(20.0)
        assert len(world.owners()) == 1, f"seed {number}: {world.owners()} when the faults were over"
        count.update({"worlds": 1, "messages": len(world.sent), "fences": len({each.fence for each in world.sent})})


def test_the_world_notices_an_owner_that_does_not_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Lease, "holds", lambda self, now: self.fence is not None)
    assert any(violations(seed) for seed in range(20))


def violations(seed: int) -> list[str]:
    world = LeaseWorld(seed)
    world.run(60.0)
    return world.violations
