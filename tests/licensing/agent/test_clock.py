"""The clocks of the machine."""

from __future__ import annotations

import time

import pytest

from cryptoproto.licensing.agent.clock import SystemClock


def test_the_wall_clock_is_utc() -> None:
    before = time.time_ns()
    assert before <= SystemClock().wall_ns() <= time.time_ns()


def test_the_steady_clock_counts_suspends_if_the_system_does(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SystemClock()
    assert clock.steady_ns() <= clock.steady_ns()
    monkeypatch.delattr(time, "CLOCK_BOOTTIME", raising=False)
    before = time.monotonic_ns()
    assert before <= clock.steady_ns() <= time.monotonic_ns()


async def test_sleep_returns_after_its_time() -> None:
    clock = SystemClock()
    before = time.monotonic_ns()
    await clock.sleep(0.001)
    assert time.monotonic_ns() - before >= 1_000_000
