"""A client that is killed at any moment loses nothing, doubles nothing, and knows what became of its orders."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from cryptoproto.messages import BuyOrderPlaced, InsufficientFunds, PlaceSellLimitOrder, decode, encode
from tests.trading import RICH

KILLS = int(os.environ.get("KILLS", "100"))
ROOT = Path(__file__).parent.parent
DEADLINE_S = 60.0

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where waiting for the disk costs nothing: a killed process loses nothing that the system was given."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Path(folder)


class Truth:
    """What the exchange knows of alice."""

    def __init__(self, exchange: Exchange) -> None:
        record = exchange.venue.client("alice")
        assert record is not None
        self.ids = [each.transaction_id for each in record.history]
        messages = [decode(each.payload) for each in record.history]
        self.accepted = [message.client_order_id for message in messages if isinstance(message, BuyOrderPlaced)]
        self.refused = sum(isinstance(message, InsufficientFunds) for message in messages)


class Killer:
    """Has clients forked, and kills them."""

    def __init__(self, folder: Path, process: asyncio.subprocess.Process, exchange: Exchange) -> None:
        self.folder = folder
        self.process = process
        self.exchange = exchange

    async def heard(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        async with asyncio.timeout(DEADLINE_S):
            said: dict[str, Any] = json.loads(await self.process.stdout.readline())
        return said

    async def begin(self, mode: str, seed: int, last: int = 0) -> int:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{self.exchange.url} {mode} {seed} {last}\n".encode())
        pid: int = (await self.heard())["pid"]
        return pid

    def said(self) -> list[list[Any]]:
        path = self.folder / "log"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.mark.parametrize("mode", ["plain", "transaction"])
async def test_killed_at_any_moment(
    mode: str, folder: Path, alice_key: cp.PrivateKey, exchange_key: cp.PrivateKey
) -> None:
    seed = int(os.environ.get("SEED", "0")) or random.SystemRandom().getrandbits(32)
    print(f"SEED={seed}")  # noqa: T201 - shown when the test fails
    choice = random.Random(seed)
    alice_key.save(folder / "alice.pem")
    (folder / "exchange.pub").write_text(exchange_key.public_key.to_pem().decode())
    async with Exchange(private_key=exchange_key) as exchange:
        exchange.register("alice", alice_key.public_key, RICH)
        exchange.register("bob", cp.PrivateKey.generate().public_key, {"BTC": "1000"})
        exchange.venue.submit("bob", 1, encode(PlaceSellLimitOrder("BTC_USD", 1000, 100)))
        arguments = [str(folder / "alice.pem"), str(folder / "exchange.pub"), str(folder)]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.client_process", *arguments,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=ROOT,
        )  # fmt: skip
        killer = Killer(folder, process, exchange)
        for number in range(KILLS // 2):
            pid = await killer.begin(mode, choice.getrandbits(32))
            await asyncio.sleep(choice.uniform(0.0, 0.2))
            if choice.random() < 0.3:
                exchange.disconnect("alice", choice.choice((1001, 1012, 4001)))
                await asyncio.sleep(choice.uniform(0.0, 0.1))
            os.kill(pid, signal.SIGKILL)
            assert (await killer.heard())["gone"] == -signal.SIGKILL, f"it ended by itself, run {number}, {seed=}"
        exchange.deposit("alice", "USD", 1)  # may come too late for the last one
        await killer.begin(mode, 1, Truth(exchange).ids[-1])
        assert (await killer.heard())["gone"] == 0
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()
        truth = Truth(exchange)
    said = killer.said()
    check_events(mode, folder, said, truth)
    check_outcomes(said, truth)


def check_events(mode: str, folder: Path, said: list[list[Any]], truth: Truth) -> None:
    if mode == "transaction":
        with closing(sqlite3.connect(folder / "alice.db")) as db:
            handled = [number for (number,) in db.execute("SELECT transaction_id FROM handled ORDER BY rowid")]
        assert handled == truth.ids  # each once, in order
        return
    place = {transaction_id: place for place, transaction_id in enumerate(truth.ids)}
    with closing(sqlite3.connect(folder / "handled.db")) as db:
        table = [number for (number,) in db.execute("SELECT transaction_id FROM plainly ORDER BY rowid")]
    runs: list[list[int]] = []
    durable, since = -1, 0
    for what, *words in said:
        if what == "started":
            runs.append([])
        elif what == "flushed" and words[0] is not None:
            durable = max(durable, place[words[0]])
        elif what == "handling":
            here = place[words[0]]
            if not runs[-1]:
                # Behind what was flushed, and before or at what is new: nothing lost, and no more again than that.
                assert durable < here <= since
            else:
                assert here == runs[-1][-1] + 1
            runs[-1].append(here)
            since = max(since, here + 1)
    assert since == len(truth.ids)
    handled_again = sum(map(len, runs)) - since
    assert set(table) == set(truth.ids)
    assert len(table) >= len(truth.ids)
    # It proves nothing unless enough has happened.
    assert len(runs) > KILLS // 10
    assert handled_again > 0
    assert since > 5 * len(runs)


def check_outcomes(said: list[list[Any]], truth: Truth) -> None:
    accepted = set(truth.accepted)
    assert len(accepted) == len(truth.accepted), "an order was accepted twice"
    poor = {words[0] for what, *words in said if what == "poor"}
    asked = poor | {words[0] for what, *words in said if what == "placing"}
    assert accepted <= asked
    assert not accepted & poor
    verdicts: dict[int, set[str]] = {}
    for what, *words in said:
        if what in ("told", "reported") and words[0] is not None:
            number, verdict = words
            verdicts.setdefault(number, set()).add(verdict)
    for number, verdict_s in verdicts.items():
        (verdict,) = verdict_s  # never one thing first and another then
        if verdict == "accepted":
            assert number in accepted
        elif verdict == "InsufficientFunds":
            assert number in poor
        else:
            assert verdict == "RequestNotSent", (number, verdict)
            assert number not in accepted
    assert ["outbox", []] in said[-4:]
    # Of most orders the truth was told; not of those whose process was killed between knowing and saying.
    told_late = {words[0] for what, *words in said if what == "reported"}
    silent = asked - set(verdicts)
    assert len(silent) <= 3 * KILLS
    assert told_late
    assert len(verdicts) > KILLS
    refused = sum(verdict == {"InsufficientFunds"} for verdict in verdicts.values())
    assert 0 < refused <= truth.refused
