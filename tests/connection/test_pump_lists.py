"""Events that are handed over by the list: what one read has brought, before anything that came behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

import cryptoproto as cp
from cryptoproto.connection.connection import Connection
from cryptoproto.connection.options import ConnectOptions
from cryptoproto.messages import Message, Unknown
from tests.support.peer import Script, settle

Lists = list[list[int | None]]


@asynccontextmanager
async def connected(
    script: Script, key: cp.PrivateKey, on_events: Callable[[list[cp.Event]], None]
) -> AsyncIterator[Connection]:
    options = ConnectOptions(
        url="ws://127.0.0.1:1",
        client_id="alice",
        private_key=key,
        server_key=script.private_key.public_key,
        protocol=cp.Protocol.V5,
        transport=script.opener(),
    )
    async with Connection(options, on_events=on_events) as connection:
        await connection.open()
        await script.peer.until(script.peer.live.done)
        yield connection


def noting(lists: Lists) -> Callable[[list[cp.Event]], None]:
    return lambda events: lists.append([event.transaction_id for event in events])


async def test_what_one_read_has_brought_comes_in_one_list(script: Script, alice_key: cp.PrivateKey) -> None:
    lists: Lists = []
    async with connected(script, alice_key, noting(lists)):
        script.peer.events(1, 4)
        script.peer.broadcast(b'{"@type":"News"}')
        await settle()
        script.peer.event(5)
        await settle()
        assert lists == [[1, 2, 3, 4, None], [5]]


@pytest.mark.parametrize("last", ["ping", "throttling", "pong"])
async def test_nothing_waits_where_the_read_ends_with_something_else(
    last: str, script: Script, alice_key: cp.PrivateKey
) -> None:
    lists: Lists = []
    async with connected(script, alice_key, noting(lists)):
        script.peer.events(1, 3)
        if last == "throttling":
            script.peer.throttle(0)
        else:
            script.peer.link.ping()
        await settle()
        assert lists == [[1, 2, 3]]


async def test_a_response_comes_behind_the_events_before_it(script: Script, alice_key: cp.PrivateKey) -> None:
    heard: list[object] = []

    def at(_: Message | Unknown) -> None:
        heard.append("response")

    async with connected(script, alice_key, lambda events: heard.extend(event.transaction_id for event in events)) as c:
        asked = asyncio.create_task(c.request_at(cp.UserBalanceRequest(), at))
        await script.peer.until(lambda: len(script.peer.requests) == 1)
        script.peer.events(1, 2)
        script.peer.reply(1)
        script.peer.events(3, 4)
        await asked
        assert heard == [1, 2, "response", 3, 4]


@pytest.mark.parametrize("end", ["closed", "error", "rubbish", "lost", "here"])
async def test_what_came_before_the_end_is_handed_over(end: str, script: Script, alice_key: cp.PrivateKey) -> None:
    lists: Lists = []
    async with connected(script, alice_key, noting(lists)) as connection:
        script.peer.events(1, 3)
        if end == "closed":
            script.peer.close(4009)
        elif end == "error":
            script.peer.error(2, "no")
        elif end == "rubbish":
            script.peer.link.send(b"rubbish!" * 4)
        elif end == "lost":
            script.peer.lose()
        else:
            await settle()
            await connection.close()
        await connection.wait_closed()
        assert lists == [[1, 2, 3]]


async def test_nothing_follows_what_could_not_be_taken(script: Script, alice_key: cp.PrivateKey) -> None:
    lists: Lists = []

    def fails(events: list[cp.Event]) -> None:
        noting(lists)(events)
        raise cp.StoreError("no space left")

    async with connected(script, alice_key, fails) as connection:
        script.peer.events(1, 3)
        await settle()
        script.peer.events(4, 5)
        await connection.wait_closed()
        assert isinstance(connection.error, cp.ConnectionClosed)
        assert isinstance(connection.error.__cause__, cp.StoreError)
        assert lists == [[1, 2, 3]]
