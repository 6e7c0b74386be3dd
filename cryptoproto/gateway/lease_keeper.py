"""Keeps a :class:`~cryptoproto.gateway.lease.Lease` in a NATS key-value bucket."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple, Self, TypeVar

import msgspec
import nats.errors
import nats.js.errors
from nats.aio.client import Client as Nats
from nats.aio.msg import Msg
from nats.js.kv import KeyValue

from ..exceptions import GatewayError
from ..messages import MALFORMED
from .lease import Entry, Lease, LeaseRecord, Read, Wait, Write

__all__ = ["LeaseKeeper", "Member"]

logger: logging.Logger = logging.getLogger("cryptoproto.gateway")

_TRIES: Final = 6
"""A request may take this part of the lease, so an owner has four tries before it has to stop."""
_PAUSE_S: Final = 0.05
"""The pause after a request without an answer, or with one that changes nothing."""

T = TypeVar("T")


class Member(NamedTuple):
    """A process that competes for a lease.

    Attributes:
        name: its host and process, for people.
        id: unique for each start.
    """

    name: str
    id: str

    @classmethod
    def this_process(cls) -> Self:
        """A new member, in this process."""
        name = f"{socket.gethostname()}:{os.getpid()}"
        return cls(name, f"{name}:{secrets.token_hex(4)}")


class LeaseKeeper:
    """Does what the lease says, for as long as :meth:`run` runs.

    Args:
        bucket: where the entry is.
        key: its name.
        lease: this member's view of it.
        lease_s: its length in seconds.
        clock: seconds; a monotonic clock that goes on while the process is stopped.
    """

    def __init__(
        self, bucket: KeyValue, key: str, lease: Lease, lease_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._bucket = bucket
        self._key = key
        self._lease = lease
        self._timeout_s = lease_s / _TRIES
        self._clock = clock
        self._changed = asyncio.Event()
        self._awake = asyncio.Event()
        self._holder = ""

    @property
    def holds(self) -> bool:
        """Whether this member owns the session at this moment."""
        return self._lease.holds(self._clock())

    @property
    def fence(self) -> int:
        """The fence of this member's ownership; 0 if it is not the owner."""
        return (self._lease.fence or 0) if self.holds else 0

    @property
    def holder(self) -> str:
        """The host and process that wrote the entry last, as far as this member has read; for people."""
        return self._holder

    async def run(self) -> None:
        """Take the lease when that is possible, and renew it.

        Raises:
            GatewayError: the entry is not a lease, or the connection to NATS has ended for good.
        """
        while True:
            step = self._lease.step(self._clock())
            if isinstance(step, Wait):
                await self._pause(max(step.until - self._clock(), 0.001))
            elif isinstance(step, Read):
                await self._read()
            else:
                await self._write(step)
            self._notify()

    async def _pause(self, seconds: float) -> None:
        """Wait, but go on at once if there is something to look at."""
        self._awake.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._awake.wait()
        except TimeoutError:
            pass

    async def follow_writes(self, nc: Nats, subject: str) -> None:
        """Look at the entry whenever something is written on *subject*."""

        async def on_written(_: Msg) -> None:
            self.look()

        await nc.subscribe(subject, cb=on_written)

    def look(self) -> None:
        """Somebody has written the entry: read it now, instead of a tenth of the lease later."""
        self._lease.look(self._clock())
        self._awake.set()

    async def wait_held(self) -> None:
        """Wait until this member is the owner."""
        while not self.holds:
            await self._changed.wait()

    async def wait_lost(self, fence: int | None = None) -> None:
        """Wait until the ownership with *fence*, or the present one, is over, also if NATS does not answer.

        It is over, too, if this member has become the owner again meanwhile, with another fence.
        """
        fence = self.fence if fence is None else fence
        while fence and self.fence == fence:
            try:
                async with asyncio.timeout(max(self._lease.held_until - self._clock(), 0.001)):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def release(self, timeout: float) -> bool:
        """Give the lease up, so that a standby can follow at once. Call it when :meth:`run` has ended.

        Returns false if NATS did not confirm it within *timeout* seconds; a standby then waits for the whole lease.
        """
        self._lease.release(self._clock())
        self._notify()
        try:
            async with asyncio.timeout(timeout):
                while self._lease.is_releasing:
                    step = self._lease.step(self._clock())
                    if isinstance(step, Write):
                        await self._write(step)
                    else:
                        await self._read()
        except (TimeoutError, GatewayError):
            return False
        return True

    def give_up(self) -> None:
        """Own nothing from this moment on; :meth:`run` lets the others know."""
        self._lease.release(self._clock())
        self._awake.set()
        self._notify()

    def _notify(self) -> None:
        """Wake those who wait now. If the event stayed set, a later wait would be a loop in which nobody else runs."""
        self._changed.set()
        self._changed.clear()

    async def _read(self) -> None:
        try:
            found = await self._answer(self._bucket.get(self._key))
        except nats.js.errors.KeyNotFoundError as error:
            deleted = None  # by an operator: the entry has a revision, and anybody may write it
            if error.entry is not None:
                deleted = Entry(error.entry.revision or 0, LeaseRecord("", released=True))
            self._lease.on_entry(deleted, self._clock())
            return
        if found is None:
            return
        try:
            record = msgspec.json.decode(found.value or b"", type=LeaseRecord)
        except MALFORMED as error:
            raise GatewayError(f"the entry {self._key} of the bucket {self._bucket._name} is not a lease") from error
        self._holder = record.name
        self._lease.on_entry(Entry(found.revision or 0, record), self._clock())

    async def _write(self, write: Write) -> None:
        sent_at = self._clock()
        try:
            revision = await self._answer(
                self._bucket.update(self._key, msgspec.json.encode(write.record), last=write.last)
            )
        except nats.js.errors.KeyWrongLastSequenceError:
            self._lease.on_refused(self._clock())
            return
        if revision is not None:
            self._lease.on_written(write, revision, sent_at)

    async def _answer(self, request: Awaitable[T]) -> T | None:
        """The answer to *request*, or ``None`` if there is none in time, which the lease then knows."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return await request
        except nats.js.errors.KeyValueError:
            raise
        except nats.errors.ConnectionClosedError as error:
            raise GatewayError("the connection to NATS has ended for good: it refuses this user") from error
        except (TimeoutError, nats.errors.Error) as error:
            logger.debug("the lease: %s", str(error) or "no answer from NATS")
            self._lease.on_no_answer(self._clock())
            await asyncio.sleep(_PAUSE_S)
            return None
