"""The timer that lets orders expire."""

from __future__ import annotations

import asyncio

import pytest

import cryptoproto as cp
from cryptoproto.exchange.commands import Expire, Register, Submit
from cryptoproto.exchange.engine import Engine
from cryptoproto.exchange.expiry_timer import ExpiryTimer
from cryptoproto.exchange.ledger import MemoryLedger
from cryptoproto.exchange.venue import Venue
from tests.support.trading import Clock, limit, read_until, trade
from tests.support.virtual_time import virtual

V5 = cp.Protocol.V5


async def test_orders_expire_by_themselves(keys: dict[str, cp.PrivateKey]) -> None:
    clock = Clock()
    async with trade(keys, {}, clock=clock) as floor, floor.connect("alice") as alice:
        await alice.send(limit("Buy", "1", "100", ttl=60))
        await read_until(alice, lambda event: isinstance(event.message, cp.BuyOrderPlaced))
        clock.advance(60)
        floor.exchange._set_expiry()
        await read_until(alice, lambda event: isinstance(event.message, cp.BuyOrderCancelled))


async def test_closing_with_an_order_that_would_expire(keys: dict[str, cp.PrivateKey]) -> None:
    async with trade(keys, {"protocol": V5}) as floor, floor.connect("alice") as alice:
        await alice.send(limit("Buy", "1", "100", ttl=60))
        await read_until(alice, lambda event: isinstance(event.message, cp.BuyOrderPlaced))
        assert floor.exchange._expiry.handle is not None
        await floor.exchange.close()
        assert floor.exchange._expiry.handle is None


def venue(*ttls: int, now: int = 0) -> Venue:
    """A venue with an order for each of *ttls*, all placed at time 0; its clock stands at *now*; in seconds."""
    engine = Engine()
    engine.apply(Register("alice", {"USD": "1000000"}, 0))
    for ttl in ttls:
        engine.apply(Submit("alice", cp.PlaceBuyLimitOrder("BTC_USD", "1", "100", ttl=ttl), 0))
    return Venue(engine, MemoryLedger(), lambda: now * 10**9, on_private=lambda _: None, on_public=lambda *_: None)


@virtual
@pytest.mark.parametrize(("ttls", "now", "seconds"), [((60,), 40, 20), ((180, 60), 50, 10), ((3600,), 0, 60)])
async def test_it_is_called_when_the_first_order_is_due_or_after_a_minute(
    ttls: tuple[int, ...], now: int, seconds: int
) -> None:
    called: asyncio.Future[float] = asyncio.get_running_loop().create_future()
    timer = ExpiryTimer(lambda: called.set_result(asyncio.get_running_loop().time()))
    start = asyncio.get_running_loop().time()
    timer.set(venue(*ttls, now=now))
    assert timer.handle is not None
    assert await called - start == pytest.approx(seconds)
    assert timer.handle is None


@virtual
async def test_an_order_that_is_overdue_does_not_make_it_spin() -> None:
    called: asyncio.Future[float] = asyncio.get_running_loop().create_future()
    timer = ExpiryTimer(lambda: called.set_result(asyncio.get_running_loop().time()))
    start = asyncio.get_running_loop().time()
    timer.set(venue(60, now=61))
    assert await called - start == pytest.approx(0.05)


@virtual
async def test_it_is_not_set_without_an_order_that_expires() -> None:
    market = venue(60)
    timer = ExpiryTimer(lambda: pytest.fail("it was stopped"))
    timer.set(market)
    market.engine.apply(Expire(61 * 10**6))
    timer.set(market)
    assert timer.handle is None
    timer.set(venue(60))
    timer.stop()
    timer.stop()
    await asyncio.sleep(100)
