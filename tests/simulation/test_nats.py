"""The simulated NATS keeps what a real one would keep when it fails."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
import nats.errors
import nats.js.errors
import pytest

from tests.support.simulation.event_loop import run
from tests.support.simulation.nats import Cluster, NatsLink

Acks = list[dict[str, Any]]


def in_a_world(test: Callable[[Cluster, NatsLink, Acks], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run *test* with a cluster that has the stream ``log``, a link, and the acknowledgements that arrive there."""

    async def world() -> None:
        cluster = Cluster(random.Random(1), asyncio.get_running_loop().create_task)
        cluster.add_stream("LOG", "log")
        link, acks = NatsLink(cluster, "here"), Acks()
        await link.listen("acks", lambda message: acks.append(msgspec.json.decode(message.data)))
        await test(cluster, link, acks)

    def checked() -> None:
        run(world)

    return checked


def post(link: NatsLink, data: bytes, last: int) -> None:
    link.post("log", data, "acks", {"Nats-Expected-Last-Sequence": str(last)})


@in_a_world
async def test_what_is_stored_last_before_a_leader_dies_is_not_acknowledged(
    cluster: Cluster, link: NatsLink, acks: Acks
) -> None:
    cluster.lose_leader(1)
    post(link, b"stored", 0)
    post(link, b"lost", 1)
    await asyncio.sleep(1)
    assert (cluster.messages("log"), acks) == ([b"stored"], [])
    cluster.elect_leader()
    post(link, b"refused", 0)
    post(link, b"next", 1)
    await asyncio.sleep(1)
    assert cluster.messages("log") == [b"stored", b"next"]
    assert [ack.get("seq") for ack in acks] == [None, 2]


@in_a_world
async def test_a_write_without_an_answer_may_have_happened(cluster: Cluster, link: NatsLink, acks: Acks) -> None:
    bucket = await link.key_value("leases")
    cluster.lose_leader(1)
    for _ in range(2):
        with pytest.raises(nats.errors.TimeoutError):
            await bucket.update("lease", b"mine", 0)
    cluster.elect_leader()
    assert (await bucket.get("lease")).value == b"mine"
    with pytest.raises(nats.js.errors.KeyWrongLastSequenceError):
        await bucket.update("lease", b"other", 0)


@in_a_world
async def test_a_read_shows_what_was_true_a_while_ago(cluster: Cluster, link: NatsLink, acks: Acks) -> None:
    bucket = await link.key_value("leases")
    first = await bucket.update("lease", b"old", 0)
    await asyncio.sleep(10)
    await bucket.update("lease", b"new", first)
    cluster.lag_s = 5.0
    assert {(await bucket.get("lease")).value for _ in range(20)} == {b"old"}
    cluster.lag_s = 0.0
    assert (await bucket.get("lease")).value == b"new"


@in_a_world
async def test_what_was_published_during_a_cut_comes_late_and_some_of_it_twice(
    cluster: Cluster, link: NatsLink, acks: Acks
) -> None:
    post(link, b"a", 0)
    await asyncio.sleep(1)
    link.cut()
    post(link, b"b", 1)
    await asyncio.sleep(1)
    assert cluster.messages("log") == [b"a"]
    link.restore(resend=True, again=1)
    await asyncio.sleep(1)
    assert cluster.messages("log") == [b"a", b"b"]
    assert [ack.get("seq") for ack in acks] == [1, None, 2]  # the second "a" is refused


@in_a_world
async def test_some_answers_are_lost(cluster: Cluster, link: NatsLink, acks: Acks) -> None:
    cluster.silence = 0.5
    for number in range(40):
        link.post("log", b"%d" % number, "acks")
    await asyncio.sleep(1)
    assert 0 < len(acks) < len(cluster.messages("log")) < 40
