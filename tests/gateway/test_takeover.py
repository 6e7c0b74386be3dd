"""Owners that are lost in every way, with strategies that are killed meanwhile: every outcome is the true one.

By default one kill and one stop. ``TAKEOVERS=100`` runs each way a hundred times; ``SEED`` repeats a run. The hosts
are processes on loopback, and in one test network namespaces.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Callable
from typing import TypeAlias

import msgspec
import pytest

import cryptoproto as cp
from cryptoproto.gateway.records import Checkpoint, Intent, LogRecord, Takeover
from tests.support.client_log import scratch_folder
from tests.support.desk_hosts import Namespaces
from tests.support.namespaces import Network, can_make_networks
from tests.support.nats_server import nats_cluster, nats_server
from tests.support.run_summary import record_run
from tests.support.takeovers import Desk
from tests.support.witness import Accepted, Deposed, check_senders

TAKEOVERS = int(os.environ.get("TAKEOVERS", "0"))
WAYS = ["killed", "stopped", "cut from NATS", "cut from the exchange"]
KILLS_OF_A_DESK = 20
"""The strategies of a desk trade more and more, and an exchange lists no more open orders than fit into a message."""
PLANS = {how: [how] * TAKEOVERS for how in WAYS} if TAKEOVERS else {"killed and stopped": ["killed", "stopped"]}

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    seed = int(os.environ.get("SEED", "0")) or random.SystemRandom().getrandbits(32)
    print(f"SEED={seed} {request.node.name}")  # noqa: T201 - shown when the test fails
    return seed


@pytest.fixture
def choice(seed: int) -> random.Random:
    return random.Random(seed)


Record: TypeAlias = Callable[[Counter[str]], None]


@pytest.fixture
def record(request: pytest.FixtureRequest, seed: int) -> Record:
    """Called at the end of a test with what it has counted, which is written down if it was a long run."""
    begun = time.monotonic()

    def write(counts: Counter[str]) -> None:
        if TAKEOVERS:
            record_run(request.node.name, seconds=time.monotonic() - begun, counts=counts, seeds=str(seed))

    return write


async def check_takeovers(desk: Desk, ways: list[str], record: Record) -> None:
    """Take the session over in each of *ways*, trading in between, and compare everything afterwards."""
    for how in ways:
        await desk.trade()
        await desk.take_over(how)
    await desk.trade()
    await desk.finish()
    checked = await desk.check()
    assert checked["fences"] > len(ways)
    assert checked["accepted"] > 0
    record(checked + Counter(takeovers=len(ways)))


@pytest.mark.parametrize("plan", list(PLANS))
async def test_every_outcome_is_true_after_each_takeover(
    plan: str, keys: dict[str, cp.PrivateKey], choice: random.Random, record: Record
) -> None:
    with scratch_folder() as folder, nats_server(folder) as nats:
        async with Desk.of(folder, [nats], keys, choice) as desk:
            await check_takeovers(desk, PLANS[plan], record)


@pytest.mark.skipif(not can_make_networks(), reason="only root can make network namespaces")
async def test_every_outcome_is_true_on_hosts_of_a_network(
    keys: dict[str, cp.PrivateKey], choice: random.Random, record: Record
) -> None:
    """NATS, the exchange, the owner and the standby have a network namespace each; the link of the owner is cut."""
    ways = ["link down", "killed", "stopped"] * max(TAKEOVERS // 10, 1)
    with (
        Network.of("nats", "exchange", "gateway-0", "gateway-1") as network,
        scratch_folder() as folder,
        nats_server(folder, host=network.address("nats"), before=network.command("nats")) as nats,
    ):
        async with Desk.of(folder, [nats], keys, choice, Namespaces(network, nats.url)) as desk:
            await check_takeovers(desk, ways, record)


def test_a_message_of_a_deposed_owner_is_noticed() -> None:
    """So the checks above can fail."""
    records: list[LogRecord] = [
        Takeover(1, "host:10:a"), Intent("one/a", "one", "place", msgspec.Raw(b"{}"), 1, 1),
        Takeover(2, "host:20:b"), Intent("one/b", "one", "place", msgspec.Raw(b"{}"), 2, 1),
    ]  # fmt: skip
    hosts = {10: "first", 20: "second"}
    first, second = Accepted(1, "first", b"{}"), Accepted(2, "second", b"{}")
    assert check_senders([first, second], records, hosts, [Deposed("first", 1, 1)]) == {1: 1, 2: 1}
    for accepted, deposed, words in (
        ([first, Accepted(2, "first", b"{}")], [], "not the owner"),
        ([first, Accepted(2, "second", b"[]")], [], "not what the log says"),
        ([first, Accepted(3, "second", b"{}")], [], "counted twice, or not"),
        ([first, second], [Deposed("first", 1, 0)], r"sent \[1\] after it was deposed"),
    ):
        with pytest.raises(AssertionError, match=words):
            check_senders(accepted, records, hosts, deposed)


def test_messages_whose_records_were_deleted_are_not_looked_up() -> None:
    records: list[LogRecord] = [
        Checkpoint(1, 7, 1, 0.0), Intent("one/b", "one", "place", msgspec.Raw(b"{}"), 2, 1),
        Takeover(2, "host:20:b"), Intent("one/c", "one", "place", msgspec.Raw(b"{}"), 3, 1),
    ]  # fmt: skip
    accepted = [Accepted(1, "first", b"{}"), Accepted(2, "first", b"{}"), Accepted(3, "second", b"{}")]
    assert check_senders(accepted, records, {20: "second"}, [Deposed("first", 1, 2)]) == {2: 1}
    with pytest.raises(AssertionError, match="not the owner"):
        check_senders(accepted, records, {20: "first"}, [])


@pytest.mark.skipif(not TAKEOVERS, reason="a cluster of three takes up to half a minute: set TAKEOVERS to run it")
async def test_every_outcome_is_true_while_one_nats_node_of_three_is_killed_after_the_other(
    keys: dict[str, cp.PrivateKey], choice: random.Random, record: Record
) -> None:
    counts: Counter[str] = Counter()
    for begun in range(0, TAKEOVERS, KILLS_OF_A_DESK):
        kills = min(KILLS_OF_A_DESK, TAKEOVERS - begun)
        with scratch_folder() as folder, nats_cluster(folder) as nodes:
            async with Desk.of(folder, nodes, keys, choice) as desk:
                for turn in range(kills):
                    if turn:
                        await desk.until_replicated(nodes)
                    node = choice.choice(nodes)
                    await desk.trade()
                    node.kill()
                    await desk.trade()
                    node.start()
                await desk.until_replicated(nodes)
                await desk.finish()
                checked = await desk.check()
        assert checked["accepted"] > 0
        counts.update(checked, **{"NATS nodes killed": kills})
    record(counts)
