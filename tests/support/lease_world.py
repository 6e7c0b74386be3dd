"""A seeded world of members that compete for one lease, on virtual time.

The bucket does compare-and-set. Requests and answers are late or lost, processes are stopped and go on, the clocks of
the members differ in rate and offset, owners release. Members use their lease as the gateway does, and try to send all
the time.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from cryptoproto.gateway.lease import Entry, Lease, Read, Wait, Write

__all__ = ["LeaseWorld", "Sent"]

LEASE_S = 2.0
TIMEOUT_S = 0.5


@dataclass(frozen=True)
class Sent:
    """An owner sent something that has an effect."""

    at: float
    member: str
    fence: int


@dataclass
class _Member:
    name: str
    lease: Lease
    rate: float
    offset: float
    stopped_until: float = 0.0
    request: int = 0  # the number of the request that it waits for


@dataclass
class LeaseWorld:
    """Runs the members; :attr:`violations` lists what must not happen, in words."""

    seed: int
    members: int = 3
    faults: bool = True
    sent: list[Sent] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    now: float = 0.0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._entry: Entry | None = None
        self._revision = 0
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count(1)
        self._members = [
            _Member(
                f"m{number}",
                Lease(f"m{number}", LEASE_S),
                rate=self._random.uniform(0.9, 1.1),
                offset=self._random.uniform(0, 1000),
            )
            for number in range(self.members)
        ]
        for member in self._members:
            self._at(self._random.uniform(0, 0.5), member, partial(self._turn, member))
            self._at(self._random.uniform(0, 0.1), member, partial(self._try_to_send, member))
        self._at(self._random.uniform(0, 3), None, self._fault)

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self._queue and self._queue[0][0] <= end:
            self.now, _, action = heapq.heappop(self._queue)
            action()
        self.now = end

    def owners(self) -> list[str]:
        return [each.name for each in self._members if each.lease.holds(self._clock(each))]

    def _clock(self, member: _Member) -> float:
        return member.offset + self.now * member.rate

    def _at(self, delay: float, member: _Member | None, action: Callable[[], None]) -> None:
        """Run *action* later; if its member is stopped then, when the member goes on."""

        def run() -> None:
            if member is not None and self.now < member.stopped_until:
                self._push(member.stopped_until, run)
            else:
                action()

        self._push(self.now + delay, run)

    def _push(self, at: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (at, next(self._numbers), action))

    # What members do

    def _turn(self, member: _Member) -> None:
        step = member.lease.step(self._clock(member))
        if isinstance(step, Wait):
            delay = max((step.until - self._clock(member)) / member.rate, 0.001)
            self._at(delay, member, lambda: self._turn(member))
            return
        member.request = number = next(self._numbers)
        sent_at = self._clock(member)
        if not self._is_lost():
            self._at(self._latency(), None, lambda: self._serve(member, number, step, sent_at))
        self._at(TIMEOUT_S, member, lambda: self._give_up(member, number))

    def _serve(self, member: _Member, number: int, step: Read | Write, sent_at: float) -> None:
        """The bucket handles a request, and answers unless the answer is lost."""
        answer: Callable[[], None]
        if isinstance(step, Read):
            answer = partial(self._on_entry, member, self._entry)
        elif step.last == (self._entry.revision if self._entry else 0):
            self._revision += self._random.randint(1, 3)  # the bucket has other entries
            self._entry = Entry(self._revision, step.record)
            answer = partial(member.lease.on_written, step, self._revision, sent_at)
        else:
            answer = partial(self._on_refused, member)
        if not self._is_lost():
            self._at(self._latency(), member, lambda: self._answered(member, number, answer))

    def _on_entry(self, member: _Member, entry: Entry | None) -> None:
        member.lease.on_entry(entry, self._clock(member))

    def _on_refused(self, member: _Member) -> None:
        member.lease.on_refused(self._clock(member))

    def _answered(self, member: _Member, number: int, answer: Callable[[], None]) -> None:
        if member.request == number:
            member.request = 0
            answer()
            self._turn(member)

    def _give_up(self, member: _Member, number: int) -> None:
        if member.request == number:
            member.request = 0
            member.lease.on_no_answer(self._clock(member))
            self._turn(member)

    def _try_to_send(self, member: _Member) -> None:
        if member.lease.holds(self._clock(member)):
            fence = member.lease.fence or 0
            self._check(member, fence)
            self.sent.append(Sent(self.now, member.name, fence))
        self._at(self._random.uniform(0.01, 0.2), member, lambda: self._try_to_send(member))

    def _check(self, member: _Member, fence: int) -> None:
        if self._entry is None or self._entry.record.member != member.name:
            self.violations.append(f"{member.name} sent at {self.now:.3f}, but the lease is {self._entry}")
        if self.sent and fence < self.sent[-1].fence:
            self.violations.append(f"{member.name} sent with fence {fence} after {self.sent[-1]}")

    # Faults

    def _is_lost(self) -> bool:
        return self.faults and self._random.random() < 0.05

    def _latency(self) -> float:
        slow = self.faults and self._random.random() < 0.05
        return self._random.uniform(0.1, 3.0) if slow else self._random.uniform(0.0005, 0.02)

    def _fault(self) -> None:
        if self.faults:
            member = self._random.choice(self._members)
            if self._random.random() < 0.5:
                member.stopped_until = self.now + self._random.uniform(0.1, 3 * LEASE_S)
            else:
                member.lease.release(self._clock(member))
        self._at(self._random.uniform(0.5, 4), None, self._fault)
