"""A client that is killed at any moment loses nothing, doubles nothing, and knows what became of its orders."""

from __future__ import annotations

import asyncio
import os
import random

import pytest

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from cryptoproto.history import History
from cryptoproto.messages import PlaceSellLimitOrder, encode
from tests.support.client_log import (
    Log,
    Story,
    Truth,
    check_events,
    check_history,
    check_outcomes,
    scratch_folder,
)
from tests.support.lives import Lives
from tests.support.trading import RICH

KILLS = int(os.environ.get("KILLS", "100"))

pytestmark = [pytest.mark.unmeasured, pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")]


@pytest.mark.parametrize("mode", ["plain", "transaction", "plain+history", "transaction+history"])
async def test_killed_at_any_moment(mode: str, alice_key: cp.PrivateKey, exchange_key: cp.PrivateKey) -> None:
    seed = int(os.environ.get("SEED", "0")) or random.SystemRandom().getrandbits(32)
    print(f"SEED={seed}")  # noqa: T201 - shown when the test fails
    choice = random.Random(seed)
    keeps_history = mode.endswith("+history")
    with scratch_folder() as folder:
        alice_key.save(folder / "alice.pem")
        exchange_key.public_key.save(folder / "exchange.pub")
        arguments = (folder / "alice.pem", folder / "exchange.pub", folder)
        through: set[int] = set()
        with Log.at(folder / "log") as log:
            lines = log.lines
            async with (
                Exchange(private_key=exchange_key) as exchange,
                Lives.of("tests.support.client_process", *arguments) as bot,
            ):
                exchange.register("alice", alice_key.public_key, RICH)
                exchange.register("bob", cp.PrivateKey.generate().public_key, {"BTC": "1000"})
                exchange.venue.submit("bob", 1, encode(PlaceSellLimitOrder("BTC_USD", 1000, 100)))
                for _ in range(KILLS // 2):
                    await bot.begin(exchange.url, mode, choice.choice(("never", "once")), choice.getrandbits(32), 0)
                    if choice.random() < 0.3:
                        await asyncio.sleep(choice.uniform(0.0, 0.2))  # while it starts, or shakes hands, or resumes
                    else:
                        await log.grow(choice.randint(1, 120))
                    if choice.random() < 0.3:
                        exchange.disconnect("alice", choice.choice((1001, 1012, 4001)))
                        await asyncio.sleep(choice.uniform(0.0, 0.1))
                    await bot.kill()
                    if keeps_history and (folder / "alice.db").exists():
                        through.add(check_history(folder, Truth.of(exchange)))
                link = exchange.links.by_client.get("alice")
                if link is not None:
                    await link.wait_closed()  # what the last one sent has been read then
                await bot.begin(exchange.url, mode, "never", 1, Truth.of(exchange).ids[-1])
                assert await bot.gone() == 0
                truth = Truth.of(exchange)
            log.drain()
        story = Story(lines)
        handled_again = check_events(mode.partition("+")[0], folder, lines, truth)
        if keeps_history:
            through.add(check_history(folder, truth))
            assert max(through) == truth.ids[-1]
            assert len(through) > KILLS // 10
            assert all(order.time_in_force for order in History.open(folder / "alice.db").orders())
    check_outcomes(story, truth)
    # It proves nothing unless enough has happened.
    assert story.lives > KILLS // 10
    assert mode.startswith("transaction") or handled_again > 0
    assert len(truth.history) > 5 * story.lives
    assert story.reported > 0
    assert len(story.verdicts) > KILLS
    assert any(story.verdicts.get(("place", number)) == ["done"] for number in story.replaced)
    assert any(verdicts == ["InsufficientFundsError"] for verdicts in story.verdicts.values())
