"""The clock of a recording."""

from __future__ import annotations

import asyncio

from cryptoproto.recording.recorded_clock import RecordedClock
from tests.support.virtual_time import virtual


@virtual
async def test_time_passes_from_the_first_update_on() -> None:
    clock = RecordedClock(5_000_000_000, speed=10)
    await asyncio.sleep(3)
    assert not clock.has_begun
    assert clock() == 5_000_000_000
    clock.begin(7_000_000_000)
    assert clock() == 7_000_000_000
    await asyncio.sleep(0.25)
    assert clock() == 9_500_000_000


@virtual
async def test_time_is_exact_to_the_microsecond() -> None:
    await asyncio.sleep(0.1)
    clock = RecordedClock(0)
    clock.begin(1_700_000_000_000_000_000)
    await asyncio.sleep(0.123456)
    assert clock() == 1_700_000_000_123_456_000
