"""A disk that is full or broken, under a client's store and an exchange's journal."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import cryptoproto as cp
from tests.support.client_log import Story, check_events, check_outcomes, scratch_folder
from tests.support.faulty_disk import DiskFault, FaultyDisk, compiled_library, needs_faulty_disk
from tests.support.lives import DEADLINE_S, ROOT, Lives
from tests.support.pairs import Pair, Route, kept_port
from tests.support.run_summary import record_run

pytestmark = pytest.mark.unmeasured

EVERY = int(os.environ.get("EVERY", "13"))  # 1 has each call fail in turn; make faults
DISK_FAULTS = int(os.environ.get("DISK_FAULTS", "4"))
CASES = [
    ("store NORMAL", DiskFault.FULL),
    ("store NORMAL", DiskFault.TORN_ERROR),
    ("store FULL", DiskFault.SYNC_ERROR),
    ("journal", DiskFault.FULL),
    ("journal", DiskFault.WRITE_ERROR),
    ("journal", DiskFault.SYNC_ERROR),
    ("journal", DiskFault.TORN_ERROR),
]


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled_library(tmp_path_factory.mktemp("library"))


@needs_faulty_disk
@pytest.mark.parametrize(("what", "fault"), CASES, ids=lambda part: getattr(part, "name", None))
def test_a_failing_disk_loses_and_doubles_nothing(
    what: str, fault: DiskFault, library: Path, memory_path: Path
) -> None:
    """The fault strikes at one call after the other; see ``tests/support/disk_victim.py``."""
    folder = memory_path / "disk"
    folder.mkdir()
    disk = FaultyDisk(memory_path / "order")
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.disk_victim", *what.split(), folder, disk.path, fault.name, str(EVERY)],
        env=disk.environment(library, folder), cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    record_run(f"failing disk, {what}, {fault.name}", seconds=time.monotonic() - begun, counts=counts)
    # It proves nothing unless enough has failed.
    assert counts["files"] > 1
    assert counts.get("errors", 0) >= counts["files"] - 1


@needs_faulty_disk
@pytest.mark.parametrize("fault", [DiskFault.FULL, DiskFault.SYNC_ERROR, DiskFault.TORN_ERROR, DiskFault.TORN_KILL])
async def test_an_exchange_and_a_client_outlive_their_disks(
    fault: DiskFault, library: Path, keys: dict[str, cp.PrivateKey]
) -> None:
    """Either has to be started again once it has ended with an error; then they agree on everything."""
    seed = int(os.environ.get("SEED", "0")) or random.SystemRandom().getrandbits(32)
    print(f"SEED={seed}")  # noqa: T201 - shown when the test fails
    choice = random.Random(seed)
    with scratch_folder() as folder, kept_port() as port:
        disks = {name: FaultyDisk(folder / f"{name}.order") for name in ("exchange", "bot")}
        environments = [disk.environment(library, folder) for disk in disks.values()]
        route = Route(port, f"ws://127.0.0.1:{port}")
        async with Pair.of(folder, route, "transaction", "once", keys, choice, *environments) as pair:
            for number in range(DISK_FAULTS):
                name = ("exchange", "bot")[number % 2]
                if name == "bot" and fault is DiskFault.SYNC_ERROR:
                    continue  # its store waits for no sync
                await break_disk(pair, getattr(pair, name), disks[name], fault)
            truth = await pair.settle()
        story = Story(pair.log.lines)
        check_events("transaction", folder, pair.log.lines, truth)
    check_outcomes(story, truth)
    assert len(story.verdicts) > DISK_FAULTS


async def break_disk(pair: Pair, lives: Lives, disk: FaultyDisk, fault: DiskFault) -> None:
    """Break the disk of a process at a random moment, and repair it; start the process again if it has ended."""
    await pair.log.grow(pair.choice.randint(5, 60), "told")
    pair.expect_end(lives)
    disk.order(fault, pair.choice.randrange(20))
    async with asyncio.timeout(DEADLINE_S):
        while not disk.struck:  # noqa: ASYNC110 - another process does it
            await asyncio.sleep(0.005)
    if lives is pair.bot:  # whose calls fail meanwhile; it need not end
        await asyncio.sleep(pair.choice.uniform(0.0, 0.1))
        disk.repair()
        if await pair.recovers(lives):
            return
    code = await lives.gone()
    disk.repair()
    if fault is DiskFault.TORN_KILL:
        assert code == -signal.SIGKILL
    else:
        assert code == 1
        assert ("the journal cannot be written" if lives is pair.exchange else "alice.db") in lives.error
        assert "disk is full" in lives.error or "disk I/O error" in lives.error
    await pair.begin(lives)
