"""A client and its exchange, each killed at any moment, alone and together: they come back, and agree on everything."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

import cryptoproto as cp
from tests.support.client_log import Log, Story, Truth, check_events, check_outcomes, scratch_folder
from tests.support.journals import crash_copy
from tests.support.lives import Lives

ROUNDS = int(os.environ.get("KILLS", "100")) // 4  # for each case, with a kill or two
MOMENTS = ("put", "settling", "settled", "told", "flushed")  # lines of the client's log

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


@contextmanager
def kept_port() -> Iterator[int]:
    """A port to listen on, again and again, which nobody else is given while nobody listens on it."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        port: int = holder.getsockname()[1]
        if sys.platform != "linux":  # where nobody could listen on it
            holder.close()
        yield port


class Pair:
    """An exchange and its client, with the files that they come back to."""

    def __init__(
        self, folder: Path, port: int, exchange: Lives, bot: Lives, log: Log, choice: random.Random, words: str
    ) -> None:
        self.journal = folder / "exchange.db"
        self.exchange = exchange
        self.bot = bot
        self.log = log
        self.kills = 0
        self._copies = folder / "copies"
        self._port = port
        self._choice = choice
        self._words = words
        exchange.on_end = bot.on_end = self._on_end

    def _on_end(self, code: int) -> None:
        if code != -signal.SIGKILL:
            self.log.end(f"a process ended by itself with {code}")

    @classmethod
    @asynccontextmanager
    async def of(
        cls, folder: Path, mode: str, resend: str, keys: dict[str, cp.PrivateKey], choice: random.Random
    ) -> AsyncIterator[Pair]:
        """Both are running."""
        keys["alice"].save(folder / "alice.pem")
        for client_id in ("alice", "bob"):
            keys[client_id].public_key.save(folder / f"{client_id}.pub")
        files = [folder / name for name in ("exchange.db", "alice.pub", "bob.pub")]
        with kept_port() as port, Log.at(folder / "log") as log:
            async with Lives.of("tests.support.exchange_process", *files) as exchange:
                await exchange.begin(port, 1)
                (folder / "exchange.pub").write_text((await exchange.told())["public_key"])
                files = [folder / "alice.pem", folder / "exchange.pub", folder]
                async with Lives.of("tests.support.client_process", *files) as bot:
                    pair = cls(folder, port, exchange, bot, log, choice, f"{mode} {resend}")
                    await pair.begin(bot)
                    yield pair

    async def begin(self, lives: Lives, *, last: int = 0, quiet: bool = False) -> None:
        """Start it on its files; a *quiet* exchange has no trading of its own."""
        seed = self._choice.getrandbits(32)
        if lives is self.exchange:
            await lives.begin(self._port, 0 if quiet else 1 + seed)
        else:
            await lives.begin(f"ws://127.0.0.1:{self._port}", self._words, seed, last)

    async def die_and_come_back(self) -> None:
        """Kill one of them or both at a random moment, and start them again in any order."""
        choice = self._choice
        if choice.random() < 0.3:
            await asyncio.sleep(choice.uniform(0.0, 0.06))  # while it starts, or shakes hands, or resumes
        else:
            # Among the first things that happen after that, or later.
            await self.log.grow(choice.choice((0, choice.randint(20, 200))), choice.choice(MOMENTS))
            if choice.random() < 0.5:
                await asyncio.sleep(choice.uniform(0.0, 0.002))
        victims = choice.choice(([self.exchange], [self.bot], [self.exchange, self.bot], [self.bot, self.exchange]))
        for lives in victims:
            lives.strike()
            if choice.random() < 0.5:
                await asyncio.sleep(choice.uniform(0.0, 0.05))  # in which the other meets it
        await self.buried(victims)
        for lives in choice.sample(victims, len(victims)):
            await self.begin(lives)

    async def buried(self, victims: list[Lives]) -> None:
        for lives in victims:
            assert await lives.gone() == -signal.SIGKILL, "it ended by itself"
        self.kills += len(victims)

    async def settle(self) -> Truth:
        """Kill both a last time, and let the client hear of everything; what the journal says then."""
        self.exchange.strike()
        self.bot.strike()
        await self.buried([self.exchange, self.bot])
        before = Truth.in_journal(crash_copy(self.journal, self._copies))
        await self.begin(self.exchange, quiet=True)
        await self.begin(self.bot, last=before.ids[-1])
        assert await self.bot.gone() == 0
        await self.exchange.kill()
        after = Truth.in_journal(crash_copy(self.journal, self._copies))
        assert before == after, "what had happened was changed, or a process that asked for nothing has sent something"
        self.log.drain()
        return after


@pytest.mark.parametrize(("mode", "resend"), [("plain", "never"), ("transaction", "once")])
async def test_both_are_killed_at_any_moment(mode: str, resend: str, keys: dict[str, cp.PrivateKey]) -> None:
    seed = int(os.environ.get("SEED", "0")) or random.SystemRandom().getrandbits(32)
    print(f"SEED={seed}")  # noqa: T201 - shown when the test fails
    with scratch_folder() as folder:
        async with Pair.of(folder, mode, resend, keys, random.Random(seed)) as pair:
            for number in range(4 * ROUNDS):
                if number >= ROUNDS and enough_has_happened(pair.log.lines, resend):
                    break
                await pair.die_and_come_back()
            truth = await pair.settle()
        story = Story(pair.log.lines)
        handled_again = check_events(mode, folder, pair.log.lines, truth)
    check_outcomes(story, truth)
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


def enough_has_happened(lines: list[list[Any]], resend: str) -> bool:
    """Whether an outcome was unknown, and a message sent again: chance may need more kills for these."""
    orders = [line[3] for line in lines if line[0] == "put" and line[2] == "place"]
    is_unknown = any(line[0] == "told" and line[3] == "OutcomeUnknown" for line in lines)
    return is_unknown and (resend == "never" or len(set(orders)) < len(orders))
