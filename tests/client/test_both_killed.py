"""A client and its exchange, each killed at any moment, alone and together: they come back, and agree on everything."""

from __future__ import annotations

import asyncio
import os
import random
import time
from typing import Any

import pytest

import cryptoproto as cp
from tests.support.client_log import Story, check_events, check_outcomes, scratch_folder
from tests.support.pairs import Pair, Route, kept_port
from tests.support.run_summary import record_run

ROUNDS = int(os.environ.get("KILLS", "100")) // 4  # for each case, with a kill or two
MOMENTS = ("put", "settling", "settled", "told", "flushed")  # lines of the client's log

pytestmark = [pytest.mark.unmeasured, pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")]


@pytest.mark.parametrize(("mode", "resend"), [("plain", "never"), ("transaction", "once")])
async def test_both_are_killed_at_any_moment(mode: str, resend: str, keys: dict[str, cp.PrivateKey]) -> None:
    seed = int(os.environ.get("SEED", "0")) or random.SystemRandom().getrandbits(32)
    print(f"SEED={seed}")  # noqa: T201 - shown when the test fails
    begun = time.monotonic()
    with scratch_folder() as folder:
        with kept_port() as port:
            route = Route(port, f"ws://127.0.0.1:{port}")
            async with Pair.of(folder, route, mode, resend, keys, random.Random(seed)) as pair:
                for number in range(4 * ROUNDS):
                    if number >= ROUNDS and enough_has_happened(pair.log.lines, resend):
                        break
                    await die_and_come_back(pair)
                truth = await pair.settle()
        story = Story(pair.log.lines)
        handled_again = check_events(mode, folder, pair.log.lines, truth)
    check_outcomes(story, truth)
    counts = {
        "SIGKILLs of client or exchange": pair.kills,
        "transactions": len(truth.history),
        "orders, cancels and replaces with an outcome": sum(map(len, story.verdicts.values())),
        "outcomes that were unknown at first": story.unknown,
    }
    record_run(f"kills, {mode}", seconds=time.monotonic() - begun, seeds=str(seed), counts=counts)
    sent_again = sum(story.times_sent().values()) - len(story.times_sent())
    # It proves nothing unless enough has happened.
    assert pair.kills > ROUNDS
    assert story.lives > ROUNDS // 10
    assert len(truth.history) > 5 * ROUNDS
    assert len(story.verdicts) > ROUNDS
    assert story.reported > 0
    assert story.unknown > 0
    assert (sent_again > 0) is (resend == "once")
    assert (handled_again > 0) is (mode == "plain")
    assert any(verdicts == ["InsufficientFundsError"] for verdicts in story.verdicts.values())


async def die_and_come_back(pair: Pair) -> None:
    """Kill one of them or both at a random moment, and start them again in any order."""
    choice = pair.choice
    if choice.random() < 0.3:
        await asyncio.sleep(choice.uniform(0.0, 0.06))  # while it starts, or shakes hands, or resumes
    else:
        # Among the first things that happen after that, or later.
        await pair.log.grow(choice.choice((0, choice.randint(20, 200))), choice.choice(MOMENTS))
        if choice.random() < 0.5:
            await asyncio.sleep(choice.uniform(0.0, 0.002))
    victims = choice.choice(([pair.exchange], [pair.bot], [pair.exchange, pair.bot], [pair.bot, pair.exchange]))
    for lives in victims:
        lives.strike()
        if choice.random() < 0.5:
            await asyncio.sleep(choice.uniform(0.0, 0.05))  # in which the other meets it
    await pair.buried(victims)
    for lives in choice.sample(victims, len(victims)):
        await pair.begin(lives)


def enough_has_happened(lines: list[list[Any]], resend: str) -> bool:
    """Whether an outcome was unknown, and a message sent again: chance may need more kills for these."""
    orders = [line[3] for line in lines if line[0] == "put" and line[2] == "place"]
    is_unknown = any(line[0] == "told" and line[3] == "OutcomeUnknown" for line in lines)
    return is_unknown and (resend == "never" or len(set(orders)) < len(orders))
