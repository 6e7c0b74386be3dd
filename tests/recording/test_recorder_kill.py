"""A recorder killed at any moment loses at most the last block, and nothing that is torn is ever played back."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path
from typing import Any

import pytest

from cryptoproto.recording.block import Snapshot, StateRecord
from cryptoproto.recording.recording_file import BlockRead, RecordingReader
from tests.support.lives import Lives
from tests.support.recorder_process import MOST_IN_A_BLOCK
from tests.support.recordings import Market

pytestmark = pytest.mark.unmeasured

KILLS = int(os.environ.get("KILLS", "100")) // 5


class Life:
    """What one recorder has told: how many updates it was given, and how many of them are on disk."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.given = 0
        self.kept = 0

    def heard(self, told: dict[str, Any]) -> None:
        self.given = told.get("given", self.given)
        self.kept = told.get("kept", self.kept)


async def live_and_die(lives: Lives, life: Life, blocks: int, grace_s: float) -> None:
    """Let a recorder write some blocks, and kill it a moment later."""
    await lives.begin(life.seed)
    for _ in range(2 * blocks + 1):
        life.heard(await lives.told())
    await asyncio.sleep(grace_s)  # the moment of the kill is what the seed decides; nothing waits for it
    lives.strike()
    while "gone" not in (told := await lives.told()):
        life.heard(told)


def sessions(path: Path) -> tuple[list[list[object]], bool]:
    """The updates of each recorder, and whether the file ends with a torn block."""
    found: list[list[object]] = []
    with RecordingReader(path) as reader:
        for read in reader.blocks():
            assert isinstance(read, BlockRead), read
            for _, entry in reader.entries(read):
                if isinstance(entry, StateRecord):
                    if entry.kind == "begin":
                        found.append([])
                elif not (isinstance(entry, Snapshot) and entry.is_key):
                    found[-1].append(entry.message if isinstance(entry, Snapshot) else entry)
        return found, reader.torn is not None


async def test_a_killed_recorder_loses_at_most_the_last_block(tmp_path: Path) -> None:
    seed = int(os.environ.get("KILL_SEED", random.SystemRandom().randrange(2**32)))
    print(f"KILL_SEED={seed}")  # noqa: T201 - repeats a failure
    choice = random.Random(seed)
    path = tmp_path / "a.rec"
    lived: list[Life] = []
    torn = 0
    before = 0
    async with Lives.of("tests.support.recorder_process", path) as lives:
        for _ in range(KILLS):
            life = Life(choice.randrange(2**32))
            await live_and_die(lives, life, choice.randrange(6), choice.random() * 0.01)
            found, is_torn = sessions(path)
            torn += is_torn
            assert len(found) in (before, before + 1)
            updates = found[-1] if len(found) > before else []
            assert life.kept <= len(updates) <= life.given
            assert life.given - len(updates) <= MOST_IN_A_BLOCK
            if len(found) > before:
                lived.append(life)
            before = len(found)
    found, _ = sessions(path)  # also of those that a later recorder has continued
    assert len(found) == len(lived)
    for life, updates in zip(lived, found, strict=True):
        assert updates == Market(life.seed).take(len(updates))
        assert life.kept <= len(updates)
    assert sum(map(len, found)) > KILLS, "or nothing was tested"
    assert torn or KILLS < 20, "no kill struck within a block"
