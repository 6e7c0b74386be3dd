"""Pings and silence, in virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

from cryptoproto.transport import Heartbeat
from tests.support.virtual_time import virtual


class Case:
    """A heartbeat, and when it did what."""

    def __init__(self, *, interval: float = 4.0, timeout: float | None = 10.0, **options: Any) -> None:
        self.loop = asyncio.get_running_loop()
        self.pings: list[float] = []
        self.silences: list[float] = []
        self.deaf = False
        self.answered_after: float | None = None
        self.heartbeat = Heartbeat(
            self.loop,
            interval=interval,
            timeout=timeout,
            ping=self._ping,
            deaf=lambda: self.deaf,
            on_silence=lambda: self.silences.append(self.loop.time()),
            **options,
        )
        self.heartbeat.start()

    def _ping(self) -> None:
        self.pings.append(self.loop.time())
        if self.answered_after is not None:
            self.loop.call_later(self.answered_after, self._hear)

    def _hear(self) -> None:
        self.heartbeat.heard = True


@virtual
async def test_a_ping_every_interval() -> None:
    case = Case()
    case.answered_after = 0.1
    await asyncio.sleep(21)
    assert case.pings == [4, 8, 12, 16, 20]
    assert case.silences == []
    case.heartbeat.stop()


@virtual
async def test_silence_is_reported_once_after_the_timeout() -> None:
    case = Case()
    await asyncio.sleep(1000)
    assert case.pings == [4, 8]
    assert case.silences == [10]


@virtual
async def test_a_silence_after_an_answer_counts_from_the_answer() -> None:
    case = Case()
    case.answered_after = 0.1
    await asyncio.sleep(20.5)  # answered at 20.1, noticed at the next ping
    case.answered_after = None
    await asyncio.sleep(1000)
    assert len(case.silences) == 1
    assert 30 <= case.silences[0] <= 34


@virtual
async def test_a_ping_has_time_to_be_answered_before_the_link_is_given_up() -> None:
    case = Case(interval=20.0, timeout=10.0)
    await asyncio.sleep(29)
    assert case.pings == [20]
    assert case.silences == []
    await asyncio.sleep(2)
    assert case.silences == [30]


@virtual
async def test_without_a_timeout_silence_is_not_reported() -> None:
    case = Case(timeout=None)
    await asyncio.sleep(101)
    assert len(case.pings) == 25
    assert case.silences == []
    case.heartbeat.stop()


@virtual
async def test_an_end_that_does_not_read_cannot_tell_silence() -> None:
    case = Case()
    case.deaf = True
    await asyncio.sleep(100)
    assert case.silences == []
    case.deaf = False
    await asyncio.sleep(20)
    assert len(case.silences) == 1


@virtual
async def test_after_stop_nothing_happens() -> None:
    case = Case()
    await asyncio.sleep(5)
    case.heartbeat.stop()
    case.heartbeat.stop()
    await asyncio.sleep(100)
    assert case.pings == [4]
    assert case.silences == []


@virtual
async def test_a_ping_between_deadline_and_interval_is_not_early() -> None:
    case = Case(interval=3.0, timeout=4.0)
    await asyncio.sleep(3.5)
    case.heartbeat.heard = True
    await asyncio.sleep(100)
    assert case.pings[:2] == [3, 6]
    assert len(case.silences) == 1


@virtual
async def test_what_is_received_between_two_pings_moves_the_deadline() -> None:
    case = Case()
    await asyncio.sleep(9)
    case.heartbeat.heard = True  # noticed at 10, when the deadline of the ping at 4 is over
    await asyncio.sleep(11)
    assert case.pings[:3] == [4, 8, 12]
    assert case.silences == [20]
