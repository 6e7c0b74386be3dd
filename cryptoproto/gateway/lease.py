"""Who owns the exchange session: a lease in one entry of a key-value bucket. No I/O, no clock: time is an argument.

Every write is a compare-and-set on the entry's revision, and nothing but the result of a write decides. A read only
says what to try next, so it may be old.

- The owner renews after a third of the lease. It counts from the moment it *sent* the last write that succeeded, and
  stops by itself once two thirds have passed.
- A standby takes over after it has seen the same revision for the whole lease, on its own clock, or at once if the
  owner has released the lease. Its write fails if the owner renewed in between.

So an owner has stopped for a third of the lease before anybody can follow, as long as no clock runs a third faster than
another. The revision of the write that began an ownership is its *fence*: fences only grow.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple, TypeAlias

import msgspec

from ..exceptions import ConfigurationError

__all__ = ["Entry", "Lease", "LeaseRecord", "Read", "Step", "Wait", "Write", "check_length"]

_READS: Final = 10
"""How often a standby reads the entry during one lease: a release is noticed within a tenth of it."""
_SHORTEST_S: Final = 0.5


def check_length(lease_s: float) -> None:
    """Check the length of a lease.

    Raises:
        ConfigurationError: it is too short for the round trips of a renewal.
    """
    if not lease_s >= _SHORTEST_S:  # as NaN is not
        raise ConfigurationError(f"lease_s={lease_s} must be at least {_SHORTEST_S}: a renewal takes a few round trips")


class LeaseRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """The value of the entry.

    Attributes:
        member: who wrote it; unique for each start of a process.
        released: the writer has given the lease up; anybody may take it at once.
        name: the writer's host and process, for people.
    """

    member: str
    released: bool = False
    name: str = ""


class Entry(NamedTuple):
    """The entry as it was read."""

    revision: int
    record: LeaseRecord


class Read(msgspec.Struct, frozen=True):
    """Read the entry, and pass it to :meth:`Lease.on_entry`."""


class Write(msgspec.Struct, frozen=True):
    """Write *record* if the entry still has revision *last* (0 = there is no entry).

    Report the result with :meth:`Lease.on_written` or :meth:`Lease.on_refused`. If there is no result, report
    :meth:`Lease.on_no_answer`: the write may have happened.
    """

    record: LeaseRecord
    last: int


class Wait(msgspec.Struct, frozen=True):
    """There is nothing to do before the time *until*."""

    until: float


Step: TypeAlias = Read | Write | Wait


class Lease:
    """One member's view of the lease.

    Do what :meth:`step` says and report the result, again and again. Ask :meth:`holds` immediately before anything that
    only the owner may do.

    Args:
        member: unique for each start of a process.
        lease_s: the length of the lease in seconds; the same for all members.
        name: for people, stored beside *member*.
    """

    __slots__ = (
        "_fence",
        "_held_until",
        "_lease_s",
        "_member",
        "_name",
        "_next_read",
        "_releasing",
        "_renew_at",
        "_seen",
        "_since",
    )

    def __init__(self, member: str, lease_s: float, name: str = "") -> None:
        check_length(lease_s)
        self._member = member
        self._name = name
        self._lease_s = lease_s
        self._fence: int | None = None
        self._held_until = 0.0
        self._renew_at = 0.0
        self._releasing = False  # the release has to be written, perhaps again
        self._next_read = -math.inf
        self._seen: Entry | None = None  # the newest entry that this member knows; None = there is none, or unknown
        self._since = -math.inf  # when it was first seen; on the first start nobody has to wait for an empty entry

    @property
    def fence(self) -> int | None:
        """The revision that began this member's ownership, or ``None``. Valid only while :meth:`holds` is true."""
        return self._fence

    @property
    def held_until(self) -> float:
        """When the ownership ends unless it is renewed."""
        return self._held_until

    def holds(self, now: float) -> bool:
        """Whether this member owns the session at the time *now*."""
        return self._fence is not None and now < self._held_until

    def step(self, now: float) -> Step:
        """What to do next."""
        if self._fence is not None and now >= self._held_until:
            self._stand_by(now)
        if self._fence is not None:
            if now < self._renew_at:
                return Wait(self._renew_at)
            return Read() if self._seen is None else self._write()
        if now >= self._next_read:
            return Read()
        if self._releasing and self._seen is not None:
            return self._write(released=True)
        if self._may_take(now):
            return self._write()
        return Wait(min(self._next_read, self._since + self._lease_s))

    def _write(self, *, released: bool = False) -> Write:
        return Write(LeaseRecord(self._member, released, self._name), self._seen.revision if self._seen else 0)

    def _may_take(self, now: float) -> bool:
        if now - self._since >= self._lease_s:
            return True
        seen = self._seen
        if seen is None:
            return False
        if seen.record.member == self._member:
            # A write whose answer was lost, or an ownership that lapsed: nobody else relies on it.
            return not seen.record.released
        return seen.record.released

    # Results

    def on_entry(self, entry: Entry | None, now: float) -> None:
        """The entry was read; ``None`` if there is none."""
        self._next_read = now + self._lease_s / _READS
        if entry is None:
            if self._fence is not None or self._seen is not None:  # somebody has deleted it
                self._stand_by(now)
                self._seen, self._next_read = None, now + self._lease_s / _READS
        elif self._seen is None or entry.revision > self._seen.revision:
            self._seen, self._since = entry, now
            if entry.record.member != self._member or entry.record.released:
                self._releasing = False
                if self._fence is not None:
                    self._stand_by(now)

    def on_written(self, write: Write, revision: int, sent_at: float) -> None:
        """*write*, which left at *sent_at*, succeeded and made *revision*."""
        self._seen, self._since = Entry(revision, write.record), sent_at
        if write.record.released:
            self._releasing = False
            return
        if self._fence is None:
            self._fence = revision
        self._held_until = sent_at + self._lease_s * 2 / 3
        self._renew_at = sent_at + self._lease_s / 3

    def on_refused(self, now: float) -> None:
        """The entry no longer had the revision that the write expected: read it to learn who has written."""
        self.on_no_answer(now)

    def on_no_answer(self, now: float) -> None:
        """A read or write had no answer. An owner reads next: its own write may have happened."""
        if self._fence is not None:
            self._seen = None
        self._next_read = now

    def look(self, now: float) -> None:
        """Somebody has perhaps written the entry: a standby reads it now. An owner notices by its next write."""
        if self._fence is None:
            self._next_read = min(self._next_read, now)

    # The end

    def release(self, now: float) -> None:
        """Give the lease up: this member owns nothing from here on, and :meth:`step` says how to let others know.

        This member takes the lease back only if nobody else has done so for a whole lease.
        """
        if self.holds(now):
            self._releasing = True
        self._stand_by(now)
        if self._seen is not None:
            self._next_read = now + self._lease_s / _READS  # the revision is known: the next step is the release

    @property
    def is_releasing(self) -> bool:
        """Whether a release still has to be written."""
        return self._releasing

    def _stand_by(self, now: float) -> None:
        self._fence = None
        self._since = now
        self._next_read = now
