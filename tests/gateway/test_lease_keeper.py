from __future__ import annotations

import asyncio

import pytest
from nats.aio.client import Client as Nats
from nats.js.kv import KeyValue

from cryptoproto.exceptions import GatewayError
from cryptoproto.gateway.lease import Lease
from cryptoproto.gateway.lease_keeper import LeaseKeeper
from cryptoproto.gateway.nats_connection import close_nats
from tests.support.nats_server import NatsServer

LEASE_S = 0.6


@pytest.fixture
async def bucket(nc: Nats) -> KeyValue:
    return await nc.jetstream(timeout=2).create_key_value(bucket="leases")


def keeper(bucket: KeyValue, name: str) -> LeaseKeeper:
    return LeaseKeeper(bucket, "alice", Lease(name, LEASE_S, name), LEASE_S)


async def ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


async def test_a_standby_follows_after_a_release_and_when_the_owner_is_gone(bucket: KeyValue) -> None:
    first, second, third = (keeper(bucket, name) for name in ("one", "two", "three"))
    tasks = [asyncio.ensure_future(first.run())]
    await first.wait_held()
    tasks += [asyncio.ensure_future(second.run())]
    assert (first.holds, second.holds, second.fence) == (True, False, 0)
    before = first.fence
    await ended(tasks[0])
    assert await first.release(2)
    await second.wait_held()
    assert second.fence > before
    await ended(tasks[1])  # as if it were killed
    task = asyncio.ensure_future(third.run())
    await third.wait_held()
    assert not second.holds
    assert third.fence > before
    await ended(task)


async def test_giving_up_is_written_at_once(bucket: KeyValue) -> None:
    one = keeper(bucket, "one")
    task = asyncio.ensure_future(one.run())
    await one.wait_held()
    lost = asyncio.ensure_future(one.wait_lost())
    one.give_up()
    await lost
    assert not one.holds
    await ended(task)


async def test_a_lease_ends_by_itself_when_nats_is_gone(bucket: KeyValue, nats: NatsServer) -> None:
    one = keeper(bucket, "one")
    task = asyncio.ensure_future(one.run())
    await one.wait_held()
    nats.kill()
    await one.wait_lost()
    assert not one.holds
    await ended(task)
    assert not await one.release(0.1) or one.fence == 0


async def test_an_entry_that_was_deleted_is_taken(bucket: KeyValue) -> None:
    one = keeper(bucket, "one")
    task = asyncio.ensure_future(one.run())
    await one.wait_held()
    assert one.holder in ("", "one")
    await bucket.delete("alice")
    await one.wait_lost()
    await one.wait_held()
    await ended(task)


async def test_an_entry_that_is_no_lease_is_an_error(bucket: KeyValue) -> None:
    await bucket.put("alice", b"rubbish")
    with pytest.raises(GatewayError, match="is not a lease"):
        await keeper(bucket, "one").run()


async def test_a_connection_that_has_ended_for_good_is_an_error(bucket: KeyValue, nc: Nats) -> None:
    await close_nats(nc)
    one = keeper(bucket, "one")
    with pytest.raises(GatewayError, match="ended for good"):
        await one.run()


async def test_a_wait_after_a_release_lets_others_run(bucket: KeyValue) -> None:
    """As that of a gateway that stood back: it gave the lease up, and takes it again later."""
    one = keeper(bucket, "one")
    task = asyncio.ensure_future(one.run())
    await one.wait_held()
    await ended(task)
    assert await one.release(2)
    waiting = asyncio.ensure_future(one.wait_held())
    await asyncio.sleep(0)  # it waits before anybody keeps the lease
    task = asyncio.ensure_future(one.run())
    async with asyncio.timeout(20):
        await waiting
    await ended(task)


async def test_a_write_of_somebody_else_is_looked_at_at_once(bucket: KeyValue, nc: Nats) -> None:
    one, two = keeper(bucket, "one"), keeper(bucket, "two")
    await two.follow_writes(nc, "$KV.leases.alice")
    first = asyncio.ensure_future(one.run())
    await one.wait_held()
    second = asyncio.ensure_future(two.run())
    await ended(first)
    assert await one.release(2)
    async with asyncio.timeout(20):
        await two.wait_held()
    await ended(second)


async def test_an_ownership_is_over_if_the_same_member_follows(bucket: KeyValue) -> None:
    """It may have become the owner again before anybody looked."""
    one = keeper(bucket, "one")
    task = asyncio.ensure_future(one.run())
    await one.wait_held()
    fence = one.fence
    losing = asyncio.ensure_future(one.wait_lost())
    await asyncio.sleep(0)
    one._lease._fence = fence + 1  # lost, and taken again, in one step
    async with asyncio.timeout(10):
        await losing
        await one.wait_lost(fence)
        await one.wait_lost(0)
    await ended(task)
