"""Held bodies: bounds for each and for all together, deadlines, and the replay to the application."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable

import pytest
from starlette.types import Message

import cryptoproto as cp
from cryptoproto.apikeys.server.request_body import BodyBudget, HeldBody
from tests.support.virtual_time import virtual


def _sending(*chunks: bytes, more: bool = False) -> Callable[[], Awaitable[Message]]:
    """A ``receive`` that returns these chunks, and then waits forever if there are *more*."""
    parts = iter([*chunks])
    left = len(chunks)

    async def receive() -> Message:
        nonlocal left
        if not left:
            await asyncio.Event().wait()
        left -= 1
        return {"type": "http.request", "body": next(parts), "more_body": bool(left) or more}

    return receive


async def _stalled(body: HeldBody, *chunks: bytes) -> asyncio.Task[bool]:
    """A task that has read *chunks* and waits for more."""
    task = asyncio.create_task(body.read(_sending(*chunks, more=True), 1000))
    while len(body) < sum(map(len, chunks)):  # noqa: ASYNC110 - the tasks take turns, nothing is waited for
        await asyncio.sleep(0)
    return task


@virtual
async def test_a_body_is_read_hashed_and_replayed() -> None:
    budget = BodyBudget(1_000_000)
    hashed: list[bytes] = []
    data = bytes(range(256)) * 1000
    with budget.open(1_000_000) as body:
        assert await body.read(_sending(data[:1000], b"", data[1000:]), 5, hashed.append)
        assert (b"".join(hashed), bytes(body.data), budget.used) == (data, data, len(data))
        again = body.replay(_sending(b"afterwards"))
        parts = []
        for _ in itertools.count():
            message = await again()
            parts.append(message["body"])
            assert budget.used == len(data) - sum(map(len, parts))
            if not message["more_body"]:
                break
        assert (b"".join(parts), max(map(len, parts))) == (data, 65_536)
        assert (await again())["body"] == b"afterwards"
    assert budget.used == 0


@virtual
async def test_a_body_without_bytes() -> None:
    with BodyBudget(0).open(0) as body:
        assert await body.read(_sending(b""), 5)
        assert await body.replay(_sending())() == {"type": "http.request", "body": b"", "more_body": False}


@virtual
async def test_a_client_that_leaves() -> None:
    async def receive() -> Message:
        return {"type": "http.disconnect"}

    with BodyBudget(100).open(100) as body:
        assert not await body.read(receive, 5)


@virtual
async def test_a_body_has_a_limit() -> None:
    budget = BodyBudget(100)
    with budget.open(10) as body:
        body.refuse_declared(b"10")
        body.refuse_declared(b"")
        body.refuse_declared(b"many")
        for declared in (b"11", b"9" * 5000):
            with pytest.raises(cp.CredentialsRefused, match="status 413: the body is longer than 10 bytes"):
                body.refuse_declared(declared)
        with pytest.raises(cp.CredentialsRefused, match="status 413"):
            await body.read(_sending(b"x" * 6, b"x" * 5), 5)
    assert budget.used == 0


@virtual
async def test_a_stalled_body_is_given_up() -> None:
    loop = asyncio.get_running_loop()
    budget = BodyBudget(100)
    start = loop.time()
    with budget.open(100) as body, pytest.raises(cp.CredentialsRefused, match=r"status 408: .* complete after 5 s"):
        await body.read(_sending(b"x" * 60, more=True), 5)
    assert (loop.time() - start, budget.used) == (5, 0)


@virtual
async def test_a_body_that_trickles_in_is_given_up_as_well() -> None:
    async def receive() -> Message:
        await asyncio.sleep(1)
        return {"type": "http.request", "body": b"x", "more_body": True}

    with BodyBudget(100).open(100) as body, pytest.raises(cp.CredentialsRefused, match="status 408"):
        await body.read(receive, 5)


@virtual
async def test_long_bodies_give_way_to_short_ones() -> None:
    """Long bodies that stall cannot keep out short requests."""
    budget = BodyBudget(100)
    with budget.open(90) as long, budget.open(90) as longer, budget.open(90) as short, budget.open(90) as late:
        stalled = [await _stalled(long, b"x" * 40), await _stalled(longer, b"x" * 25, b"x" * 25)]
        assert await short.read(_sending(b"y" * 10), 5)
        assert budget.used == 100
        assert await late.read(_sending(b"y" * 20), 5)
        assert (len(long), len(longer), budget.used) == (40, 0, 70)
        assert (bytes(short.data), bytes(late.data)) == (b"y" * 10, b"y" * 20)
        for task in stalled:
            task.cancel()
        await asyncio.wait(stalled)
    assert budget.used == 0


@virtual
async def test_a_body_that_was_dropped_is_refused_when_more_of_it_arrives() -> None:
    budget = BodyBudget(100)
    more = asyncio.Event()

    async def receive() -> Message:
        if long.data:
            await more.wait()
        return {"type": "http.request", "body": b"x" * 60, "more_body": True}

    with budget.open(200) as long, budget.open(200) as short:
        reading = asyncio.create_task(long.read(receive, 50))
        while not long.data:  # noqa: ASYNC110 - the tasks take turns, nothing is waited for
            await asyncio.sleep(0)
        assert await short.read(_sending(b"y" * 50), 5)
        more.set()
        with pytest.raises(cp.CredentialsRefused, match=r"status 503: .*try again"):
            await reading


@virtual
async def test_the_longest_body_is_the_one_that_is_refused() -> None:
    budget = BodyBudget(100)
    with budget.open(200) as short, budget.open(200) as long:
        stalled = await _stalled(short, b"x" * 30)
        with pytest.raises(cp.CredentialsRefused, match="status 503"):
            await long.read(_sending(b"y" * 60, b"y" * 30), 5)
        assert len(short) == 30
        stalled.cancel()
        await asyncio.wait([stalled])


@virtual
async def test_a_complete_body_is_not_dropped() -> None:
    budget = BodyBudget(100)
    with budget.open(200) as complete, budget.open(200) as other:
        assert await complete.read(_sending(b"x" * 90), 5)
        with pytest.raises(cp.CredentialsRefused, match="status 503"):
            await other.read(_sending(b"y" * 20), 5)
        assert len(complete) == 90


@virtual
async def test_a_shorter_body_can_take_its_place() -> None:
    budget = BodyBudget(100)
    with budget.open(100) as body:
        await body.read(_sending(b"a=%zz&b=1"), 5)
        body.replace(b"b=1")
        assert budget.used == 3
        assert (await body.replay(_sending())())["body"] == b"b=1"
    assert budget.used == 0
