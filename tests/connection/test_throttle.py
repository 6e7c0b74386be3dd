"""Throttling: sends are held, and leave in the order of their calls."""

from __future__ import annotations

import asyncio

import pytest

import cryptoproto as cp
from cryptoproto.connection.throttle import Pace, SendGate
from cryptoproto.exchange.rate_limit import RateLimit
from tests.support.peer import Script, settle
from tests.support.virtual_time import VirtualLoop, virtual

V5 = cp.Protocol.V5
CANCEL_ALL = cp.CancelAllOrders()


def order(number: int) -> cp.CancelOrder:
    return cp.CancelOrder(order_id=number)


def orders(script: Script) -> list[tuple[int, int]]:
    """What arrived: sequence and number of each order."""
    return [(sequence, payload["order_id"]) for sequence, payload in script.peer.messages]


@virtual
async def test_sends_are_held_for_a_millisecond_a_level(script: Script, alice_key: cp.PrivateKey) -> None:
    loop = asyncio.get_running_loop()
    async with script.connect(alice_key, protocol=V5) as connection:
        assert connection.hold == 0.0
        script.peer.throttle(250, request_id=7, order_id=9)
        await settle()
        assert connection.hold == pytest.approx(0.25)
        before = loop.time()
        assert await connection.send(CANCEL_ALL) == 1
        assert loop.time() - before == pytest.approx(0.25)
        assert connection.hold == 0.0
        await connection.send(CANCEL_ALL)
        assert loop.time() - before == pytest.approx(0.25), "a send that nothing holds waits for nothing"


@virtual
async def test_the_policy_can_be_replaced(script: Script, alice_key: cp.PrivateKey) -> None:
    asked: list[tuple[int, int, int]] = []

    def policy(level: int, request_id: int, order_id: int) -> float:
        asked.append((level, request_id, order_id))
        return 2.5 if level else 0

    async with script.connect(alice_key, protocol=V5, throttle=policy) as connection:
        script.peer.throttle(0, 1, 2)
        await settle()
        assert connection.hold == 0.0
        script.peer.throttle(3, 4, 5)
        await settle()
        assert connection.hold == pytest.approx(2.5)
        assert asked == [(0, 1, 2), (3, 4, 5)]


@virtual
async def test_a_policy_that_raises_ends_the_connection_and_is_its_cause(
    script: Script, alice_key: cp.PrivateKey
) -> None:
    def policy(level: int, request_id: int, order_id: int) -> float:
        raise ZeroDivisionError("by design")

    async with script.connect(alice_key, protocol=V5, throttle=policy) as connection:
        script.peer.throttle(1)
        with pytest.raises(cp.ConnectionClosed, match=r"policy raised ZeroDivisionError") as caught:
            await anext(connection)
        assert isinstance(caught.value.__cause__, ZeroDivisionError)


@virtual
async def test_held_sends_leave_in_the_order_of_their_calls(script: Script, alice_key: cp.PrivateKey) -> None:
    async with script.connect(alice_key, protocol=V5) as connection:
        script.peer.throttle(100)
        await settle()
        sends = [asyncio.create_task(connection.send(order(number))) for number in range(20)]
        await settle()
        assert script.peer.messages == []
        assert await asyncio.gather(*sends) == list(range(1, 21))
        await settle()
        assert orders(script) == [(number + 1, number) for number in range(20)]


@virtual
async def test_urgent_sends_overtake_those_that_are_held(script: Script, alice_key: cp.PrivateKey) -> None:
    async with script.connect(alice_key, protocol=V5) as connection:
        script.peer.throttle(100)
        await settle()
        plain = [asyncio.create_task(connection.send(order(number))) for number in range(3)]
        await settle()
        urgent = [asyncio.create_task(connection.send(order(10 + number), urgent=True)) for number in range(3)]
        await settle()
        urgent[1].cancel()
        assert await asyncio.gather(*plain) == [3, 4, 5]
        await settle()
        assert [number for _, number in orders(script)] == [10, 12, 0, 1, 2]


@virtual
async def test_nobody_overtakes_a_send_that_was_let_go(script: Script, alice_key: cp.PrivateKey) -> None:
    """In the turn between the end of the hold and the run of the held task, the gate is not clear for others."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    async with script.connect(alice_key, protocol=V5) as connection:
        script.peer.throttle(100)
        await settle()
        held = asyncio.create_task(connection.send(order(1)))
        await asyncio.sleep(0)

        async def rival() -> int:
            loop.advance(connection.hold)
            await asyncio.sleep(0)  # behind this turn the hold is found to be over, and the held task is woken
            await asyncio.sleep(0)  # and here is the turn in which both are ready, this one first
            return await connection.send(order(2))

        assert tuple(await asyncio.gather(held, rival())) == (1, 2)
        await settle()
        assert orders(script) == [(1, 1), (2, 2)]


@virtual
async def test_the_gate_lets_one_go_in_each_turn() -> None:
    """So that a further throttling frame can stop the rest."""
    loop = asyncio.get_running_loop()
    gate = SendGate(loop)
    gate.hold(1.0)
    first, second = asyncio.create_task(gate.wait()), asyncio.create_task(gate.wait())
    await first
    assert not second.done()
    gate.hold(1.0)
    await second
    assert loop.time() == pytest.approx(2.0)
    assert gate.clear
    assert gate.waiting == 0


@virtual
async def test_throttled_again_while_letting_go(script: Script, alice_key: cp.PrivateKey) -> None:
    loop = asyncio.get_running_loop()
    async with script.connect(alice_key, protocol=V5) as connection:
        script.peer.throttle(100)
        await settle()
        sends = [asyncio.create_task(connection.send(order(number))) for number in range(5)]
        await script.peer.until(lambda: len(script.peer.messages) == 1)
        released = loop.time()
        script.peer.throttle(3000)
        await settle()
        arrived = len(script.peer.messages)
        assert arrived < 5, "the rest was to be held again"
        assert connection.hold > 2
        assert await asyncio.gather(*sends[: arrived + 1]) == list(range(1, arrived + 2))
        assert loop.time() - released == pytest.approx(3.0, abs=0.01)
        assert await asyncio.gather(*sends) == [1, 2, 3, 4, 5]
        assert loop.time() - released > 5, "the rest left at once, although a hold was not enough before"
        await settle()
        assert orders(script) == [(number + 1, number) for number in range(5)]


@virtual
async def test_a_shorter_hold_does_not_end_a_longer_one(script: Script, alice_key: cp.PrivateKey) -> None:
    async with script.connect(alice_key, protocol=V5) as connection:
        script.peer.throttle(5000)
        script.peer.throttle(10)
        await settle()
        assert connection.hold == pytest.approx(5.0)


@virtual
async def test_cancelled_while_held_takes_no_sequence(script: Script, alice_key: cp.PrivateKey) -> None:
    async with script.connect(alice_key, protocol=V5) as connection:
        script.peer.throttle(100)
        await settle()
        sends = [asyncio.create_task(connection.send(order(number))) for number in range(5)]
        await settle()
        for cancelled in (sends[0], sends[3]):
            cancelled.cancel()
        results = await asyncio.gather(*sends, return_exceptions=True)
        assert [type(result) if isinstance(result, BaseException) else result for result in results] == [
            asyncio.CancelledError, 1, 2, asyncio.CancelledError, 3,
        ]  # fmt: skip
        assert await connection.send(order(5)) == 4
        await settle()
        assert orders(script) == [(1, 1), (2, 2), (3, 4), (4, 5)]


@virtual
async def test_cancelled_in_the_turn_in_which_it_was_let_go(script: Script, alice_key: cp.PrivateKey) -> None:
    """The turn is handed to the next, without a sequence lost."""
    loop = asyncio.get_running_loop()
    async with script.connect(alice_key, protocol=V5) as connection:
        script.peer.throttle(100)
        await settle()
        first, second = (asyncio.create_task(connection.send(order(number))) for number in (1, 2))
        await asyncio.sleep(0)
        loop.call_at(loop.time() + connection.hold, first.cancel)
        assert await second in (1, 2)
        outcome = (await asyncio.gather(first, return_exceptions=True))[0]
        await settle()
        assert script.peer.sequences == list(range(1, len(script.peer.messages) + 1))
        assert len(script.peer.messages) == (1 if isinstance(outcome, asyncio.CancelledError) else 2)
        assert orders(script)[-1][1] == 2


@virtual
async def test_requests_are_not_held(script: Script, alice_key: cp.PrivateKey) -> None:
    async with script.connect(alice_key, protocol=V5) as connection:
        script.peer.auto_reply = True
        script.peer.throttle(5000)
        await settle()
        reply = await connection.request(cp.UserBalanceRequest())
        assert isinstance(reply, cp.UserBalanceResponse)
        assert connection.hold == pytest.approx(5.0)


@virtual
async def test_held_sends_end_with_the_link_unsent(script: Script, alice_key: cp.PrivateKey) -> None:
    async with script.connect(alice_key, protocol=V5) as connection:
        script.peer.throttle(60_000)
        await settle()
        sends = [asyncio.create_task(connection.send(order(number))) for number in range(3)]
        await settle()
        script.peer.close(4009, "rate limit")
        errors = await asyncio.gather(*sends, return_exceptions=True)
        assert all(isinstance(error, cp.RateLimited) and error.sent is False for error in errors)
        assert len({id(error) for error in errors}) == 3


@virtual
async def test_a_send_after_the_end_is_refused_at_once_even_where_a_hold_lasts(
    script: Script, alice_key: cp.PrivateKey
) -> None:
    loop = asyncio.get_running_loop()
    async with script.connect(alice_key, protocol=V5) as connection:
        script.peer.throttle(60_000)
        await settle()
        script.peer.close(1012)
        await settle()
        before = loop.time()
        with pytest.raises(cp.ServerRestart) as caught:
            await connection.send(CANCEL_ALL)
        assert caught.value.sent is False
        assert loop.time() == before


@virtual
async def test_the_end_passes_over_a_wait_that_was_cancelled_in_the_same_turn() -> None:
    gate = SendGate(asyncio.get_running_loop())
    gate.hold(5.0)
    waits = [asyncio.create_task(gate.wait(urgent=urgent)) for urgent in (False, True)]
    await asyncio.sleep(0)
    assert gate.waiting == 2
    waits[0].cancel()
    gate.end(lambda: cp.RequestNotSent("over"))
    results = await asyncio.gather(*waits, return_exceptions=True)
    assert [type(result) for result in results] == [asyncio.CancelledError, cp.RequestNotSent]
    assert gate.waiting == 0


@virtual
async def test_nobody_is_left_when_the_hold_ends() -> None:
    gate = SendGate(asyncio.get_running_loop())
    gate.hold(5.0)
    wait = asyncio.create_task(gate.wait())
    await asyncio.sleep(0)
    wait.cancel()
    await asyncio.sleep(6.0)
    assert wait.cancelled()
    assert gate.clear


# The pace after holds that were not enough


def test_the_first_hold_sets_no_pace() -> None:
    pace = Pace()
    pace.hold(0.1, now=1.0)
    pace.hold(0.2, now=1.0)  # for another message of the same burst
    pace.sent(now=1.3)
    assert pace.due == 1.3
    assert pace.interval(now=1.3) == 0.0


def test_a_hold_after_a_message_left_sets_the_pace_and_it_passes() -> None:
    pace = Pace()
    pace.hold(0.1, now=1.0)
    pace.sent(now=1.1)
    pace.hold(0.1, now=1.2)
    assert pace.due == pytest.approx(1.3)
    pace.sent(now=1.3)
    assert pace.due == pytest.approx(1.4)
    assert pace.interval(now=1.3) == pytest.approx(0.1)
    pace.hold(0.05, now=1.5)
    assert pace.interval(now=1.6) > 0.08, "the level fell, because the pace is slow enough"
    assert pace.interval(now=2.55) == pytest.approx(pace.interval(now=1.55) / 2), "a second without throttling"
    assert pace.interval(now=30.0) == 0.0
    pace.sent(now=30.0)
    assert pace.due == 30.0


class Throttled:
    """A gate, and an exchange with a rate limit whose throttling frames come a round trip after their message."""

    def __init__(self, rate: float, round_trip_s: float) -> None:
        self.loop = asyncio.get_running_loop()
        self.gate = SendGate(self.loop)
        self.limit = RateLimit(rate, self.loop.time())
        self.levels: list[int] = []
        self.is_exhausted = False
        self._round_trip_s = round_trip_s

    async def send(self) -> None:
        if not self.gate.clear:
            await self.gate.wait()
        self.gate.sent()
        self.loop.call_later(self._round_trip_s / 2, self._count)

    def _count(self) -> None:
        level = self.limit.count(self.loop.time())
        self.levels.append(level)
        self.is_exhausted |= self.limit.exhausted(level)
        if level:
            self.loop.call_later(self._round_trip_s / 2, self.gate.hold, level / 1000)


@pytest.mark.parametrize("round_trip_s", [0.0, 0.001, 0.05, 0.25])
@pytest.mark.parametrize(("rate", "seconds"), [(1, 2400), (10, 60), (100, 8)])
def test_twice_the_rate_limit_is_borne_however_far_the_exchange_is(
    rate: float, seconds: int, round_trip_s: float
) -> None:
    """Whatever waits is not sent at once when a hold is over: the exchange would report it a round trip too late."""

    @virtual
    async def check() -> None:
        exchange = Throttled(rate, round_trip_s)
        exchange.loop.set_debug(False)  # which looks up the stack of each of thousands of timers
        sends = []
        for _ in range(int(2 * rate * seconds)):
            sends.append(asyncio.create_task(exchange.send()))
            await asyncio.sleep(0.5 / rate)
        assert not exchange.is_exhausted, "it was closed"
        assert max(exchange.levels) > 1, "it was never throttled"
        assert len(exchange.levels) > 0.9 * rate * seconds, "the limit is not used"
        for send in sends:
            send.cancel()
        await asyncio.gather(*sends, return_exceptions=True)

    check()


def test_who_sends_one_message_after_the_other_is_held_to_the_pace_too() -> None:
    """Nothing waits then, so no message is released by the gate."""

    @virtual
    async def check() -> None:
        exchange = Throttled(10, 0.25)
        exchange.loop.set_debug(False)
        for _ in range(1000):
            await exchange.send()
            await asyncio.sleep(0.02)
        assert not exchange.is_exhausted, "it was closed"
        assert exchange.loop.time() > 80

    check()
