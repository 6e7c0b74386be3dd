"""Pacing: the exchange's limit is not hit, cancels go first, and what waits can be seen."""

from __future__ import annotations

import asyncio
import random

import pytest

import cryptoproto as cp
from cryptoproto.client.link import not_sent
from cryptoproto.client.rate_limiter import RateLimiter
from cryptoproto.client.states import State
from cryptoproto.exchange import Exchange
from tests.support.lines import Line, client_of, patient, trader
from tests.support.peer import Script, placed, settle
from tests.support.virtual_time import virtual

PAIR = "BTC_USD"


def now() -> float:
    return asyncio.get_running_loop().time()


@virtual
async def test_turns_come_at_the_rate_after_a_burst() -> None:
    bucket = RateLimiter(10, burst=3)
    times = []
    for _ in range(13):
        await bucket.turn()
        times.append(now())
    assert times == pytest.approx([0, 0, 0, *[number / 10 for number in range(1, 11)]])
    await asyncio.sleep(100)  # saves up a burst, and no more
    before = now()
    for _ in range(4):
        await bucket.turn()
    assert now() - before == pytest.approx(0.1)


@virtual
async def test_without_a_rate_every_turn_comes_at_once() -> None:
    bucket = RateLimiter(None)
    for _ in range(1000):
        await bucket.turn()
    assert (now(), bucket.depth, bucket.hold) == (0, 0, 0.0)


@virtual
async def test_the_urgent_go_first_and_the_rest_in_order() -> None:
    bucket = RateLimiter(1, burst=1)
    await bucket.turn()
    order: list[str] = []

    async def one(name: str, urgent: bool) -> None:
        await bucket.turn(urgent=urgent)
        order.append(f"{name} {now():.0f}")

    tasks = [asyncio.create_task(one(f"{'cancel' if n % 3 == 0 else 'order'}{n}", n % 3 == 0)) for n in range(1, 7)]
    await settle()
    assert bucket.depth == 6
    assert bucket.hold == pytest.approx(1.0)
    await asyncio.gather(*tasks)
    assert order == ["cancel3 1", "cancel6 2", "order1 3", "order2 4", "order4 5", "order5 6"]
    assert bucket.depth == 0


@virtual
async def test_a_cancelled_turn_goes_to_the_next_at_once() -> None:
    """Before it is given, and between the giving and the taking."""
    bucket = RateLimiter(1, burst=1)
    await bucket.turn()
    first, second = (asyncio.create_task(bucket.turn()) for _ in range(2))
    await asyncio.sleep(0.5)
    first.cancel()
    await settle()
    assert bucket.depth == 1
    await second
    assert now() == pytest.approx(1.0)
    third, fourth = (asyncio.create_task(bucket.turn()) for _ in range(2))
    await settle()
    bucket._tokens = 1.0
    bucket._give()
    third.cancel()  # it was given its turn, and has not heard of it
    await settle()
    assert third.cancelled()
    assert fourth.done()
    assert now() == pytest.approx(1.0)


@virtual
async def test_a_cancelled_turn_that_was_given_is_saved_if_nobody_waits() -> None:
    bucket = RateLimiter(1, burst=1)
    await bucket.turn()
    only = asyncio.create_task(bucket.turn())
    await settle()
    bucket._tokens = 1.0
    bucket._give()
    only.cancel()
    await settle()
    assert only.cancelled()
    assert bucket.hold == 0.0
    await bucket.turn()
    assert now() == 0


@virtual
async def test_cancelled_at_random_the_rate_is_kept() -> None:
    bucket, choice = RateLimiter(50, burst=5), random.Random(7)
    times: list[float] = []

    async def one() -> None:
        await bucket.turn(urgent=choice.random() < 0.3)
        times.append(now())

    tasks = [asyncio.create_task(one()) for _ in range(500)]
    while not all(task.done() for task in tasks):
        await asyncio.sleep(choice.random() / 20)
        choice.choice(tasks).cancel()
    await asyncio.wait(tasks)
    for first, last in zip(times, times[55:], strict=False):
        assert last - first > 0.99  # never more than a second's worth and the burst in a second
    assert times[-1] == pytest.approx((len(times) - 5) / 50, abs=0.05)  # and no turn is lost
    assert bucket.depth == 0


@virtual
async def test_the_end_fails_all_who_wait() -> None:
    bucket = RateLimiter(1, burst=1)
    await bucket.turn()
    tasks = [asyncio.create_task(bucket.turn()) for _ in range(3)]
    await settle()
    bucket.end(lambda: not_sent("over"))
    tasks[0].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert all(isinstance(result, cp.RequestNotSent) for result in results[1:])


@pytest.mark.parametrize("rate", [0, -1, float("nan")])
def test_an_invalid_rate(rate: float) -> None:
    @virtual
    async def run() -> None:
        with pytest.raises(cp.ConfigurationError, match="order_rate"):
            RateLimiter(rate)

    run()


# The client


@virtual
async def test_the_exchanges_limit_is_not_hit(exchange_key: cp.PrivateKey, alice_key: cp.PrivateKey) -> None:
    line = Line(Exchange(private_key=exchange_key, rate_limit=20))
    async with trader(line, alice_key, order_rate=9) as client:
        orders = await asyncio.gather(
            *(client.place(PAIR, cp.Side.BUY, amount="0.001", price=1, timeout=60) for _ in range(100))
        )
        assert all(order.is_open for order in orders)
        assert now() == pytest.approx(91 / 9, abs=0.1)
        assert client.metrics().counters["throttled"] == 0
    async with trader(line, alice_key) as client:  # what it is good for
        await asyncio.gather(*(client.place(PAIR, cp.Side.BUY, amount="0.001", price=1) for _ in range(30)))
        assert client.metrics().counters["throttled"] > 0


@virtual
async def test_depth_and_hold_are_visible_and_cancels_go_first(script: Script, alice_key: cp.PrivateKey) -> None:
    patient(script)
    async with client_of(script, alice_key, order_rate=1) as client:
        tasks = [asyncio.create_task(client.place(PAIR, cp.Side.BUY, amount=1, price=1)) for _ in range(4)]
        await settle()
        tasks.append(asyncio.create_task(client.cancel(99)))  # type: ignore[arg-type]
        await settle()
        gauges = client.metrics().gauges
        assert gauges["pacing_depth"] == 4.0
        assert gauges["pacing_hold_s"] == pytest.approx(1.0)
        assert gauges["unanswered_messages"] == 1.0
        await script.peer.until(lambda: len(script.peer.messages) == 2)
        assert [message["@type"] for _, message in script.peer.messages] == ["PlaceBuyLimitOrder", "CancelOrder"]
        assert now() == pytest.approx(1.0)
        # The exchange's throttling is obeyed on top.
        script.peer.throttle(2500)
        await settle()
        assert client.metrics().gauges["throttling_hold_s"] == pytest.approx(2.5)
        await script.peer.until(lambda: len(script.peer.messages) == 4)
        assert now() == pytest.approx(3.5)
        assert client.metrics().counters["throttled"] == 1
    await asyncio.gather(*tasks, return_exceptions=True)


@virtual
async def test_cancels_overtake_orders_that_the_exchange_throttles(script: Script, alice_key: cp.PrivateKey) -> None:
    patient(script)
    async with client_of(script, alice_key) as client:
        script.peer.throttle(1000)
        await settle()
        tasks = [asyncio.create_task(client.place(PAIR, cp.Side.BUY, amount=1, price=1)) for _ in range(3)]
        await settle()
        tasks.append(asyncio.create_task(client.cancel(99)))  # type: ignore[arg-type]
        tasks.append(asyncio.create_task(client.cancel_all()))  # type: ignore[arg-type]
        await script.peer.until(lambda: len(script.peer.messages) == 5)
        kinds = [message["@type"] for _, message in script.peer.messages]
        assert kinds == ["CancelOrder", "CancelAllOrders", *["PlaceBuyLimitOrder"] * 3]
    await asyncio.gather(*tasks, return_exceptions=True)


@virtual
async def test_the_deadline_covers_the_wait_for_a_turn(script: Script, alice_key: cp.PrivateKey) -> None:
    patient(script)
    async with client_of(script, alice_key, order_rate=0.1) as client:
        one = asyncio.create_task(client.place(PAIR, cp.Side.BUY, amount=1, price=1, client_order_id=1))
        await script.peer.until(lambda: bool(script.peer.messages))
        script.peer.event(1, placed(1))
        await one
        with pytest.raises(cp.RequestNotSent, match="deadline"):
            await client.place(PAIR, cp.Side.BUY, amount=1, price=1, timeout=5)
        assert now() == pytest.approx(5)
        assert client.metrics().gauges["pacing_depth"] == 0.0
        assert client.state.state is State.LIVE
