"""Events by the batch: one read each, with the guarantees of the iteration over single events."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

import cryptoproto as cp
from tests.support.peer import Script, ids, settle

V5 = cp.Protocol.V5


async def test_a_batch_is_what_one_read_has_brought(
    script: Script, alice_key: cp.PrivateKey, protocol: cp.Protocol
) -> None:
    async with script.connect(alice_key, protocol=protocol) as connection:
        batches = connection.batches()
        script.peer.events(1, 30)
        script.peer.broadcast(b'{"@type":"News"}')
        await settle()
        script.peer.event(31)
        script.peer.event(32)
        await settle()
        assert connection.queued == 33
        assert ids(await anext(batches)) == [*range(1, 31), None]
        assert connection.queued == 2
        assert ids(await anext(batches)) == [31, 32]
        script.peer.event(33)
        assert ids(await anext(batches)) == [33]


async def test_events_are_the_same_as_one_by_one(script: Script, alice_key: cp.PrivateKey) -> None:
    script.greeting = [lambda peer: peer.events(1, 250)]
    async with script.connect(alice_key, protocol=V5) as connection:
        single = [await anext(connection) for _ in range(250)]
    batched: list[cp.Event] = []
    async with script.connect(alice_key, protocol=V5) as connection:
        async for batch in connection.batches():
            assert batch
            batched += batch
            if len(batched) == 250:
                break
    assert [(each.transaction_id, each.timestamp, each.message, each.raw) for each in batched] == [
        (each.transaction_id, each.timestamp, each.message, each.raw) for each in single
    ]


async def test_a_reader_may_go_from_one_to_the_other(script: Script, alice_key: cp.PrivateKey) -> None:
    async with script.connect(alice_key, protocol=V5) as connection:
        script.peer.events(1, 5)
        await settle()
        script.peer.events(6, 9)
        await settle()
        assert (await anext(connection)).transaction_id == 1
        assert ids(await anext(connection.batches())) == [2, 3, 4, 5], "what is left of the read"
        assert (await anext(connection)).transaction_id == 6
        assert ids(await anext(connection.batches())) == [7, 8, 9]


@pytest.mark.parametrize("first", ["events", "batches"])
async def test_a_second_task_gets_an_error(first: str, script: Script, alice_key: cp.PrivateKey) -> None:
    async with script.connect(alice_key, protocol=V5) as connection:
        batches = connection.batches()
        waiting = asyncio.ensure_future(anext(batches) if first == "batches" else anext(connection))
        await asyncio.sleep(0)
        with pytest.raises(cp.ConfigurationError, match="another task is iterating over this connection"):
            await (anext(connection) if first == "batches" else anext(batches))
        script.peer.event(1)
        await waiting


async def test_batches_need_the_events(script: Script, alice_key: cp.PrivateKey) -> None:
    async with script.connect(alice_key, protocol=V5, on_event=lambda event: None) as connection:
        with pytest.raises(cp.ConfigurationError, match="events go to on_event"):
            connection.batches()


async def test_cancelling_loses_nothing(script: Script, alice_key: cp.PrivateKey) -> None:
    async with script.connect(alice_key, protocol=V5) as connection:
        batches = connection.batches()
        taken: list[int | None] = []
        number = 0
        for turn in range(1, 101):
            taking = asyncio.ensure_future(anext(batches))
            if turn % 3:
                await asyncio.sleep(0)
            script.peer.events(number + 1, number + turn % 4)
            number += turn % 4
            for _ in range(turn % 5):
                await asyncio.sleep(0)
            taking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                taken += ids(await taking)
        await settle()
        while connection.queued:
            taken += ids(await anext(batches))
        assert taken == list(range(1, number + 1))


async def test_a_slow_reader_stops_the_socket_and_loses_nothing(
    script: Script, alice_key: cp.PrivateKey, protocol: cp.Protocol
) -> None:
    async with script.connect(alice_key, protocol=protocol, max_queue=150) as connection:
        script.peer.events(1, 1000)
        await settle()
        reads = [script.peer.client_reads]
        assert connection.queued == 200, "two reads"
        batches = connection.batches()
        taken = ids(await anext(batches))
        reads.append(script.peer.client_reads)
        taken += ids(await anext(batches))
        reads.append(script.peer.client_reads)
        assert reads == [False, False, True], "reading goes on at half"
        while len(taken) < 1000:
            taken += ids(await anext(batches))
        assert taken == list(range(1, 1001))


@pytest.mark.parametrize("end", ["error", "rubbish", "json", "closed", "lost"])
async def test_what_came_before_the_end_comes_before_the_error(
    end: str, script: Script, alice_key: cp.PrivateKey
) -> None:
    async with script.connect(alice_key, protocol=V5) as connection:
        script.peer.events(1, 10)
        error: type[cp.CryptoprotoError]
        if end == "error":
            script.peer.error(2, "no")
            error = cp.InvalidPayload
        elif end == "rubbish":
            script.peer.link.send(b"rubbish!" * 8)
            error = cp.DecodeError
        elif end == "json":
            script.peer.event(11, b"{")
            error = cp.DecodeError
        elif end == "closed":
            script.peer.close(4009)
            error = cp.RateLimited
        else:
            script.peer.lose()
            error = cp.ConnectionClosed
        script.peer.events(12, 15)
        batches = connection.batches()
        assert ids(await anext(batches)) == list(range(1, 11))
        for _ in range(2):
            with pytest.raises(error):
                await anext(batches)


async def test_closing_ends_the_iteration(script: Script, alice_key: cp.PrivateKey) -> None:
    async with script.connect(alice_key, protocol=V5) as connection:
        script.peer.events(1, 3)
        await settle()
        await connection.close()
        assert [ids(batch) async for batch in connection.batches()] == [[1, 2, 3]]
