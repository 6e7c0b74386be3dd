"""What becomes of a cancel of the kill switch; the client and the log are in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.client import State
from cryptoproto.exceptions import OutcomeUnknown
from cryptoproto.gateway.owner.command import Command
from cryptoproto.gateway.owner.kill_switch import KillSwitch
from cryptoproto.gateway.owner.strategies import Strategy
from cryptoproto.gateway.strategy_ids import strategy_ids

STRATEGY = 3


class FakeOrder:
    def __init__(self, *, is_open: bool = True, strategy: int = STRATEGY) -> None:
        self.client_order_id = strategy_ids(strategy).next()
        self.is_open = is_open
        self.is_closed = False
        self.ends_on_its_way = False

    async def wait_acknowledged(self, _timeout: float) -> None:
        if self.ends_on_its_way:
            self.is_closed = True
            raise cp.RequestNotSent("it was refused")
        self.is_open = True


class World:
    def __init__(self, *orders: FakeOrder) -> None:
        self.unfinished = list(orders)
        self.error: cp.CryptoprotoError | None = None
        self.closes_anyway = False
        self.cancelled: list[FakeOrder] = []
        self.answers: list[tuple[Command, cp.CryptoprotoError | None]] = []
        self.killed = {"mm1": Strategy(STRATEGY)}
        fake: Any = self
        self.orders = fake
        self.switch = KillSwitch(fake, fake, fake)

    async def cancel(self, order: FakeOrder, *, wait: bool) -> bool:
        assert not wait
        if self.closes_anyway:
            order.is_closed = True
        if self.error is not None:
            raise self.error
        self.cancelled.append(order)
        order.is_closed = True
        return True

    def answer(self, command: Command, error: cp.CryptoprotoError | None) -> None:
        self.answers.append((command, error))

    def get(self, name: str) -> Strategy | None:
        return self.killed.get(name)

    def all(self) -> dict[str, Strategy]:
        return self.killed

    async def set_killed(self, name: str, *, is_killed: bool) -> None:
        self.killed[name] = Strategy(self.killed[name].number, is_killed=is_killed)

    async def states(self) -> AsyncIterator[cp.StateChange]:
        yield cp.StateChange(State.RESUMING, "")
        yield cp.StateChange(State.LIVE, "")


async def test_only_the_orders_of_the_strategy_are_cancelled() -> None:
    own, other = FakeOrder(), FakeOrder(strategy=STRATEGY + 1)
    world = World(own, other)
    assert await world.switch.kill("mm1") == (1, 0)
    assert world.cancelled == [own]
    assert [(command.strategy, error) for command, error in world.answers] == [("mm1", None)]
    await world.switch.revive("mm1")
    assert not world.killed["mm1"].is_killed


async def test_an_order_that_is_on_its_way_is_waited_for() -> None:
    arrives, ends = FakeOrder(is_open=False), FakeOrder(is_open=False)
    ends.ends_on_its_way = True
    world = World(arrives, ends)
    assert await world.switch.kill("mm1") == (1, 0)
    assert world.cancelled == [arrives]


@pytest.mark.parametrize("error", [cp.RequestNotSent("no connection"), OutcomeUnknown("no answer")])
async def test_what_may_still_be_open_is_counted(error: cp.CryptoprotoError) -> None:
    """The outcome of a cancel that is not known is reported by the client."""
    world = World(FakeOrder())
    world.error = error
    assert await world.switch.kill("mm1") == (0, 1)
    assert len(world.answers) == (0 if isinstance(error, OutcomeUnknown) else 1)


async def test_an_order_that_has_ended_meanwhile_is_not_counted() -> None:
    world = World(FakeOrder())
    world.error, world.closes_anyway = cp.OrderNotOpen("it was filled"), True
    assert await world.switch.kill("mm1") == (0, 0)


async def test_a_new_session_cancels_what_killed_strategies_have_open() -> None:
    world = World(FakeOrder())
    world.killed["mm1"] = Strategy(STRATEGY, is_killed=True)
    await world.switch.run()
    assert len(world.cancelled) == 1


async def test_each_order_is_cancelled_once() -> None:
    """A kill right after a takeover meets the cancels of the new owner."""
    world = World(FakeOrder())
    world.killed["mm1"] = Strategy(STRATEGY, is_killed=True)
    await asyncio.gather(world.switch.run(), world.switch.kill("mm1"))
    assert len(world.cancelled) == 1
