"""When a message may be sent."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.client.link import Link
from cryptoproto.client.outcomes import Kind, Pending
from cryptoproto.client.rate_limiter import RateLimiter
from cryptoproto.client.states import State, StateChange
from cryptoproto.client.submission import Submission
from cryptoproto.client.turn import turn


class Stub:
    """A connection that holds messages, and ends or not while they wait."""

    def __init__(self) -> None:
        self.is_open = True
        self.error: cp.CryptoprotoError | None = None
        self.is_free = False
        self.ends_meanwhile = False
        self.refusal: cp.CryptoprotoError | None = None
        self.urgent: list[bool] = []

    def is_free_for(self, payload: bytes) -> bool:
        return self.is_free

    async def wait_turn(self, *, urgent: bool = False) -> None:
        self.urgent.append(urgent)
        if self.ends_meanwhile:
            self.is_open = False
        if self.refusal is not None:
            raise self.refusal


def submission(kind: Kind) -> Submission:
    return Submission(Pending(kind=kind), b"{}", asyncio.get_running_loop().create_future())


def live(stub: Any) -> Link:
    link = Link()
    link.attach(stub)
    link.enter(StateChange(State.LIVE, "everything is known"))
    return link


@pytest.mark.parametrize("kind", list(Kind))
async def test_cancels_go_before_orders_while_throttling_holds_both(kind: Kind) -> None:
    stub = Stub()
    link = live(stub)
    assert await turn(link, RateLimiter(None), submission(kind), wait=True) is link.connection
    assert stub.urgent == [kind is not Kind.PLACE]
    stub.is_free = True
    assert await turn(link, RateLimiter(5), submission(kind), wait=True) is link.connection
    assert len(stub.urgent) == 1, "nothing held it"


async def test_the_connection_ends_while_it_waits() -> None:
    stub = Stub()
    link = live(stub)
    stub.refusal = cp.ConnectionClosed(1006, "gone")
    with pytest.raises(cp.ConnectionClosed):  # it is open: the message is what it refuses
        await turn(link, RateLimiter(None), submission(Kind.PLACE), wait=True)
    stub.ends_meanwhile = True
    assert await turn(link, RateLimiter(None), submission(Kind.PLACE), wait=True) is None
    stub.is_open = True
    with pytest.raises(cp.RequestNotSent, match="the connection ended"):
        await turn(link, RateLimiter(None), submission(Kind.PLACE), wait=False)
