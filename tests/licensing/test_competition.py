"""Sixty-four agents and eight licenses on simulated time."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from cryptoproto.licensing import KeyPair, Keyring, LicenseAgent, LicenseManager, Schedule
from cryptoproto.licensing.agent import composer
from tests.support.licensing.simulated_time import SECOND, START_NS, SimulatedClock
from tests.support.licensing.worlds import InMemory

AGENTS, LICENSES, PERIOD_S = 64, 8, 120.0


async def test_64_agents_and_8_licenses(
    manager: LicenseManager, gateway: KeyPair, keyring: Keyring, clock: SimulatedClock, tmp_path: Path
) -> None:
    """Every agent has logins of its own, trades for one lock period and leaves; its lock then runs out.

    At every moment at most eight locks are in force, a refusal is only ever given while all eight are, and a lock
    that ends is taken within the second over which the waiting agents spread, or nobody waits.
    """
    rng = random.Random(64)
    manager.administration.add_agreement(gateway.public_key, "*", licenses=LICENSES, lock_period_s=PERIOD_S)
    network = InMemory(lm=manager)
    waiting = AGENTS
    served: set[int] = set()
    idle_since: int | None = None

    def check() -> None:
        nonlocal idle_since
        used = len(manager.administration.locks())
        assert used <= LICENSES
        if used == LICENSES or waiting == 0:
            idle_since = None
        elif idle_since is None:
            idle_since = clock.true_ns()
        else:
            assert clock.true_ns() - idle_since <= 1.02 * SECOND

    original = manager.handle

    def handle_and_check(body: bytes) -> object:
        reply = original(body)
        if reply.status == 400:
            assert reply.refusal is not None
            assert reply.refusal.reason == "no_free_license"
            assert len(manager.administration.locks()) == LICENSES
        return reply

    async def work(number: int) -> None:
        nonlocal waiting
        agent = LicenseAgent(
            ["https://lm"],
            keys=gateway,
            manager_key=keyring.active(START_NS)[0].public,
            package="gw",
            logins=[f"A{number}"],
            cache_dir=tmp_path,
            schedule=Schedule(lock_period_s=PERIOD_S, renew_at=0.8, retry_interval_s=50 + 40 * rng.random()),
            clock=clock,
            transport=network,
        )
        async with agent:
            await agent.licensed()
            waiting -= 1
            served.add(number)
            agent.ensure()
        clock.leave()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(composer, "moving_facts", lambda _: {})  # asking the kernel is most of the test's time
        patch.setattr(manager, "handle", handle_and_check)
        asyncio.get_running_loop().set_debug(False)  # a traceback per callback of 64 agents would be half the time
        clock.sleepers_expected = AGENTS
        tasks = [asyncio.create_task(work(number)) for number in range(AGENTS)]
        horizon = clock.steady_ns() + int((AGENTS / LICENSES + 1) * PERIOD_S * SECOND)
        while waiting and await clock.step(horizon):
            check()
        await asyncio.gather(*tasks)
    assert len(served) == AGENTS
    # Eight at a time, one period each: the last wave starts seven periods and seven spreads after the first.
    waves = AGENTS // LICENSES - 1
    assert clock.steady_ns() <= int((waves * PERIOD_S + waves * 1.02 + 1) * SECOND)
