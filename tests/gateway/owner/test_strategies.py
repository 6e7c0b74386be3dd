"""The entry with all strategies, changed by two owners at once; with a real NATS server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from nats.aio.client import Client as Nats
from nats.js.kv import KeyValue

import cryptoproto as cp
from cryptoproto.gateway import StrategyLimits
from cryptoproto.gateway.nats_connection import close_nats, open_nats
from cryptoproto.gateway.owner.strategies import Strategies
from cryptoproto.gateway.strategy_ids import MAX_STRATEGIES
from tests.support.nats_server import NatsServer


@pytest.fixture
async def bucket(nats: NatsServer) -> AsyncIterator[KeyValue]:
    nc = Nats()
    await open_nats(nc, nats.url, "test", inbox="_INBOX.test")
    yield await nc.jetstream(timeout=1).create_key_value(bucket="strategies")
    await close_nats(nc)


async def test_each_has_its_number(bucket: KeyValue) -> None:
    one, other = Strategies(bucket), Strategies(bucket)
    await one.load()
    assert (await one.ensure("a")).number == 1
    assert (await other.ensure("b")).number == 2  # it had not read the entry
    assert (await other.ensure("a")).number == 1
    assert (await one.ensure("a")).number == 1
    await one.load()
    assert sorted(one.all()) == ["a", "b"]


async def test_two_owners_never_give_one_number_away_twice(bucket: KeyValue) -> None:
    one, two = Strategies(bucket), Strategies(bucket)
    await asyncio.gather(one.load(), two.load())
    numbers = [
        each.number
        for pair in [await asyncio.gather(one.ensure(f"a{turn}"), two.ensure(f"b{turn}")) for turn in range(5)]
        for each in pair
    ]
    assert sorted(numbers) == list(range(1, 11))
    assert (await one.ensure("a0")).number == numbers[0]


async def test_changes_of_one_owner_do_not_meet(bucket: KeyValue, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is refused reads the entry again, and a read may be old: a killed strategy must stay killed."""
    strategies = Strategies(bucket)
    await strategies.load()
    monkeypatch.setattr(bucket, "get", None)
    await asyncio.gather(*(strategies.ensure(name) for name in "abcde"), strategies.set_killed("a", is_killed=True))
    assert [each.number for each in strategies.all().values()] == [1, 2, 3, 4, 5]
    assert [name for name, each in strategies.all().items() if each.is_killed] == ["a"]


async def test_a_change_keeps_what_others_have_changed(bucket: KeyValue) -> None:
    one, two = Strategies(bucket), Strategies(bucket)
    await one.set_limits("mm1", {"max_open_orders": 3})
    await two.set_killed("mm1", is_killed=True)  # it has read nothing before
    await one.load()
    known = one.get("mm1")
    assert known is not None
    assert (known.is_killed, known.limits) == (True, StrategyLimits(max_open_orders=3))
    assert list(one.all()) == ["mm1"]


async def test_a_killed_strategy_stays_killed(bucket: KeyValue) -> None:
    one, next_owner = Strategies(bucket), Strategies(bucket)
    await one.load()
    await one.set_killed("a", is_killed=True)
    await next_owner.load()
    known = next_owner.get("a")
    assert known is not None
    assert known.is_killed


async def test_a_limit_that_cannot_be_used_changes_nothing(bucket: KeyValue) -> None:
    strategies = Strategies(bucket)
    with pytest.raises(cp.ConfigurationError):
        await strategies.set_limits("mm1", {"max_open_orders": -3})
    assert strategies.get("mm1") is None


async def test_the_last_number(bucket: KeyValue) -> None:
    await bucket.put("strategies", b'{"last":{"number":%d}}' % MAX_STRATEGIES)
    strategies = Strategies(bucket)
    await strategies.load()
    with pytest.raises(cp.GatewayError, match="no client id can have more"):
        await strategies.ensure("one more")


async def test_an_entry_that_cannot_be_read(bucket: KeyValue) -> None:
    await bucket.put("strategies", b"rubbish")
    with pytest.raises(cp.GatewayError, match="cannot be read"):
        await Strategies(bucket).load()


async def test_without_nats(bucket: KeyValue, nats: NatsServer) -> None:
    strategies = Strategies(bucket)
    await strategies.load()
    nats.kill()
    with pytest.raises(cp.GatewayError, match="cannot be written"):
        await strategies.ensure("a")
    with pytest.raises(cp.GatewayError, match="cannot be read"):
        await strategies.load()


async def test_an_entry_that_changes_all_the_time(bucket: KeyValue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cryptoproto.gateway.owner.strategies._TRIES", 1)
    await Strategies(bucket).ensure("a")
    with pytest.raises(cp.GatewayError, match="changes all the time"):
        await Strategies(bucket).ensure("b")
