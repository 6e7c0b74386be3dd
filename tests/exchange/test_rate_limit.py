"""The rate limit: clients that obey throttling stay connected, and others are closed with 4009."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from cryptoproto.exchange.rate_limit import RateLimit
from tests.support.peer import settle, until_raised
from tests.support.trading import Floor, in_memory, trade
from tests.support.virtual_time import virtual

V5 = cp.Protocol.V5
CANCEL_ALL = cp.CancelAllOrders()


def limited(keys: dict[str, cp.PrivateKey], rate_limit: float | None, **options: Any) -> Floor:
    """An exchange in memory, so that virtual time passes for both ends."""
    exchange = Exchange(private_key=keys["exchange"], rate_limit=rate_limit)
    exchange.register("alice", keys["alice"].public_key)
    return Floor(
        exchange, keys, {"transport": in_memory(exchange), "protocol": V5, "url": "ws://127.0.0.1:1"} | options
    )


@pytest.mark.parametrize("rate_limit", [1, 20, 500])
def test_who_obeys_is_never_closed(rate_limit: float, keys: dict[str, cp.PrivateKey]) -> None:
    @virtual
    async def check() -> None:
        floor = limited(keys, rate_limit)
        held: list[float] = []
        async with floor.connect("alice") as connection:
            for number in range(1, 601):
                assert await connection.send(CANCEL_ALL) == number
                for _ in range(6):
                    await asyncio.sleep(0)  # as a network's round trip: what it throttles is heard
                held.append(connection.hold)
            assert connection.is_open
            assert max(held) > 0, "it was never throttled"

    check()


@virtual
async def test_who_ignores_it_is_closed(keys: dict[str, cp.PrivateKey]) -> None:
    levels: list[int] = []

    def ignore(level: int, request_id: int, order_id: int) -> float:
        levels.append(level)
        return 0.0

    floor = limited(keys, 20, throttle=ignore)
    async with floor.connect("alice") as connection:
        while connection.is_open:
            await connection.send(CANCEL_ALL)
            await settle()
        assert isinstance(connection.error, cp.RateLimited)
        assert connection.error.code == 4009
        assert levels == sorted(levels)
        assert levels[0] == 1
        seen = floor.exchange.venue.client("alice")
        assert seen is not None
        last = seen.last_sequence
        assert last == 20 + len(levels), "the message that was one too many was not taken"
    async with floor.connect("alice") as connection:
        assert connection.last_sequence == last


@virtual
async def test_no_limit_is_no_limit(keys: dict[str, cp.PrivateKey]) -> None:
    floor = limited(keys, None)
    async with floor.connect("alice") as connection:
        for _ in range(3000):
            await connection.send(CANCEL_ALL)
        await settle()
        assert connection.is_open
        assert connection.hold == 0.0


@virtual
async def test_requests_count(keys: dict[str, cp.PrivateKey]) -> None:
    levels: list[tuple[int, int]] = []

    def ignore(level: int, request_id: int, order_id: int) -> float:
        levels.append((level, request_id))
        return 0.0

    floor = limited(keys, 20, throttle=ignore)
    answered = 120  # a second's worth, and twice the level at which an obedient client comes to rest
    async with floor.connect("alice") as connection:
        for _ in range(answered):
            await connection.request(cp.UserBalanceRequest())
        with pytest.raises(cp.RateLimited):
            await connection.request(cp.UserBalanceRequest())
    assert levels[0] == (1, 21), "the level, and the id of the request"


async def test_over_sockets(keys: dict[str, cp.PrivateKey], kind: Any, protocol: cp.Protocol) -> None:
    """Throttling frames first, then 4009, at a limit under which no test could wait for the next message."""
    levels: list[int] = []

    def ignore(level: int, request_id: int, order_id: int) -> float:
        levels.append(level)
        return 0.0

    options = {"transport": kind, "protocol": protocol, "throttle": ignore}
    async with trade(keys, options, transport=kind, rate_limit=1e-3) as floor, floor.connect("alice") as connection:
        for _ in range(3):
            await connection.send(CANCEL_ALL)
        await connection.request(cp.UserBalanceRequest())
        assert levels == [1, 2, 3]
        (link,) = floor.exchange.links
        assert link._limit is not None
        link._limit._queued = 1e9
        await connection.send(CANCEL_ALL)
        _, error = await until_raised(connection)
        assert isinstance(error, cp.RateLimited)


def test_the_bucket() -> None:
    limit = RateLimit(2, 100.0)
    assert [limit.count(100.0) for _ in range(5)] == [0, 0, 1, 2, 3]
    assert limit.count(101.0) == 2
    assert limit.count(1000.0) == 0
    assert not limit.exhausted(1000)
    assert limit.exhausted(1001)
