"""Client order ids: unique across processes, restarts, forks and clocks that jump."""

from __future__ import annotations

import os
import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cryptoproto as cp
from cryptoproto.client.order_ids import ClientOrderIds

NOW_NS = 1_800_000_000 * 10**9


class Clock:
    def __init__(self, now_ns: int = NOW_NS) -> None:
        self.now_ns = now_ns

    def __call__(self) -> int:
        return self.now_ns


def drawing(seed: int) -> ClientOrderIds:
    return ClientOrderIds(clock=Clock(), random=random.Random(seed).randbytes)


def test_they_are_positive_and_fit_into_64_bits() -> None:
    for now_ns in (0, NOW_NS, 3_776_000_000 * 10**9):
        ids = ClientOrderIds(clock=Clock(now_ns), random=lambda count: b"\xff" * count)
        for _ in range(100):
            assert 0 < ids.next() < 2**63


def test_a_clock_beyond_their_range_is_an_error() -> None:
    with pytest.raises(cp.ConfigurationError, match="2089"):
        ClientOrderIds(clock=Clock(4_000_000_000 * 10**9)).next()


@given(st.lists(st.tuples(st.integers(-(10**13), 10**13), st.integers(1, 70)), max_size=20))
def test_they_grow_whatever_the_clock_does(jumps: list[tuple[int, int]]) -> None:
    clock = Clock()
    ids = ClientOrderIds(clock=clock)
    made: list[int] = []
    for jump_ns, count in jumps:
        clock.now_ns += jump_ns
        made.extend(ids.next() for _ in range(count))
    assert all(earlier < later for earlier, later in pairwise(made))


def test_processes_that_run_at_the_same_time_share_no_id() -> None:
    clock = Clock()
    choice = random.Random(1)
    processes = [ClientOrderIds(clock=clock, random=choice.randbytes) for _ in range(20)]
    made: list[int] = []
    for _ in range(2000):
        clock.now_ns += choice.choice((0, 100_000, 20_000_000))
        made.extend(process.next() for process in processes)
    assert len(set(made)) == len(made)


def test_restarts_share_no_id_even_with_the_same_random_bits() -> None:
    clock = Clock()
    made: list[int] = []
    for _ in range(500):
        clock.now_ns += 10_000_000  # no process starts faster than that
        ids = ClientOrderIds(clock=clock, random=lambda count: b"\x07" * count)
        made.extend(ids.next() for _ in range(30))
    assert len(set(made)) == len(made)


def test_restarts_with_a_clock_that_was_set_back() -> None:
    clock = Clock()
    choice = random.Random(2)
    made: list[int] = []
    for _ in range(500):
        clock.now_ns = NOW_NS + choice.randint(0, 10**9)
        ids = ClientOrderIds(clock=clock, random=choice.randbytes)
        made.extend(ids.next() for _ in range(100))
    assert len(set(made)) == len(made)


def test_a_burst_outruns_the_clock_and_stays_unique() -> None:
    first, second = drawing(1), drawing(2)
    made = [ids.next() for _ in range(50_000) for ids in (first, second)]
    assert len(set(made)) == len(made)


def test_a_forked_child_makes_others() -> None:
    clock = Clock()
    choice = random.Random(3)
    process = 1
    ids = ClientOrderIds(clock=clock, random=choice.randbytes, process=lambda: process)
    before = [ids.next() for _ in range(10)]
    # What the parent goes on with, and what the child would, from the same state.
    state = ids._last, ids._node
    parent = [ids.next() for _ in range(1000)]
    ids._last, ids._node = state
    process = 2
    child = [ids.next() for _ in range(1000)]
    made = before + parent + child
    assert len(set(made)) == len(made)
    assert min(child) > max(before)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_real_fork() -> None:
    ids = ClientOrderIds()
    ids.next()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, b"".join(ids.next().to_bytes(8) for _ in range(100)))
        os._exit(0)
    mine = {ids.next() for _ in range(100)}
    os.waitpid(child, 0)
    raw = os.read(reader, 800)
    os.close(reader)
    os.close(writer)
    theirs = {int.from_bytes(raw[at : at + 8]) for at in range(0, 800, 8)}
    assert len(mine | theirs) == 200


def test_by_default_they_are_of_this_process_and_moment() -> None:
    ids = ClientOrderIds()
    made = {ids.next() for _ in range(1000)} | {ClientOrderIds().next() for _ in range(50)}
    assert len(made) == 1050
