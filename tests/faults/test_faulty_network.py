"""A client and an exchange, each in its own process, with a network between them that breaks in every way.

``CUTS=10000`` is the long run, ``make cuts``; ``SEED`` repeats one. Each world of :data:`FAULTS_OF_A_WORLD` has a new
exchange, a new client, and the next seed.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import cryptoproto as cp
from tests.support.certificates import self_signed
from tests.support.client_log import Story, check_events, check_outcomes, scratch_folder
from tests.support.fault_proxy import FAULTS, FAULTS_OVER_TLS, Fault, FaultProxy
from tests.support.lives import DEADLINE_S
from tests.support.pairs import Pair, Route, kept_port
from tests.support.run_summary import record_run

FAULTS_OF_A_WORLD = 250
CUTS = int(os.environ.get("CUTS", "60"))
SILENCE_S = 1.0

pytestmark = [pytest.mark.unmeasured, pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")]


@dataclass
class Totals:
    """What happened in all worlds of a run."""

    worlds: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    figures: Counter[str] = field(default_factory=Counter)


@pytest.mark.parametrize(("mode", "resend", "tls"), [("plain", "once", False), ("transaction", "never", True)])
async def test_no_fault_of_the_network_loses_or_doubles_anything(
    mode: str, resend: str, tls: bool, keys: dict[str, cp.PrivateKey]
) -> None:
    seed = int(os.environ.get("SEED", "0")) or random.SystemRandom().getrandbits(32)
    totals = Totals()
    begun = time.monotonic()
    wanted = CUTS // 2
    while (done := totals.faults.total()) < wanted:
        print(f"SEED={seed + totals.worlds}", flush=True)  # noqa: T201 - shown when the test fails
        await live_through(mode, resend, tls, keys, seed + totals.worlds, min(FAULTS_OF_A_WORLD, wanted - done), totals)
    record_run(
        f"cuts, {'wss' if tls else 'ws'}",
        seconds=time.monotonic() - begun,
        seeds=f"{seed} to {seed + totals.worlds - 1}",
        counts={**totals.faults, **totals.figures},
    )
    # It proves nothing unless enough has happened.
    assert totals.faults["cut"] > 0
    assert totals.figures["connections"] > wanted // 3
    assert totals.figures["orders, cancels and replaces with an outcome"] > wanted


async def live_through(
    mode: str, resend: str, tls: bool, keys: dict[str, cp.PrivateKey], seed: int, faults: int, totals: Totals
) -> None:
    """One world: *faults* one after the other, then peace, then the reckoning."""
    choice = random.Random(seed)
    with scratch_folder() as folder, kept_port() as port:
        certificates = certificate_folder(folder) if tls else None
        async with FaultProxy.to(port, tls=tls) as proxy:
            route = Route(port, f"{'wss' if tls else 'ws'}://127.0.0.1:{proxy.port}", SILENCE_S, certificates)
            async with Pair.of(folder, route, mode, resend, keys, choice) as pair:
                for _ in range(faults):
                    await meet(pair, proxy, Fault.drawn(choice, FAULTS_OVER_TLS if tls else FAULTS, 2 * SILENCE_S))
                await pair.log.grow(1, "flushed")  # what was broken goes on
                truth = await pair.settle()
        story = Story(pair.log.lines)
        check_events(mode, folder, pair.log.lines, truth)
    check_outcomes(story, truth)
    totals.worlds += 1
    totals.faults += proxy.struck
    totals.figures += Counter(
        {
            "connections": proxy.connections,
            "transactions": len(truth.history),
            "orders, cancels and replaces with an outcome": sum(map(len, story.verdicts.values())),
            "outcomes that were unknown at first": story.unknown,
            "late reports": story.reported,
        }
    )


def certificate_folder(folder: Path) -> Path:
    made = folder / "tls"
    made.mkdir()
    self_signed(made)
    return made


async def meet(pair: Pair, proxy: FaultProxy, fault: Fault) -> None:
    """Have *fault* strike, and every other time let the two trade on before the next one."""
    proxy.arm(fault)
    try:
        await asyncio.wait_for(fault.struck.wait(), DEADLINE_S)
    except TimeoutError:
        pytest.fail(f"nothing passes any more, before {fault}")
    assert not pair.log.over, pair.log.over
    if pair.choice.random() < 0.5:
        await pair.log.grow(pair.choice.randint(1, 60))
