"""Which connection there is, and what a call gets that asks for one."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.client.link import Link
from cryptoproto.client.states import State, StateChange
from tests.support.virtual_time import virtual


class Connected:
    """Stands for a connection."""

    def __init__(self) -> None:
        self.is_open = True
        self.error: cp.CryptoprotoError | None = None
        self.calls: list[Any] = []

    def pause_events(self) -> None:
        self.calls.append("pause")

    def resume_events(self) -> None:
        self.calls.append("resume")

    def give_up(self, error: cp.CryptoprotoError) -> None:
        self.calls.append(error)


def connected() -> Any:
    return Connected()


def live_link() -> tuple[Link, Any]:
    link, connection = Link(), connected()
    link.attach(connection)
    link.enter(StateChange(State.LIVE, "everything is known"))
    return link, connection


async def test_a_connection_is_live_when_the_state_is_and_it_is_open() -> None:
    link, connection = Link(), connected()
    assert link.live() is None
    link.attach(connection)
    assert link.live() is None
    link.enter(StateChange(State.LIVE, "everything is known"))
    assert link.live() == connection
    assert await link.wait_live() == connection
    connection.is_open = False
    assert link.live() is None
    link.detach()
    assert link.connection is None


@virtual
async def test_a_call_waits_for_the_connection() -> None:
    link, connection = Link(), connected()
    waiting = asyncio.ensure_future(link.wait_live())
    await asyncio.sleep(1)
    link.enter(StateChange(State.WAITING, "lost"))
    await asyncio.sleep(1)
    assert not waiting.done()
    link.attach(connection)
    link.enter(StateChange(State.LIVE, "everything is known"))
    assert await waiting is connection


async def test_a_connection_that_comes_while_others_run_is_not_waited_for() -> None:
    link, connection = Link(), connected()
    waiting = asyncio.ensure_future(link.wait_live())
    await asyncio.sleep(0)  # it lets others run, and has not begun to wait for a state
    link.attach(connection)
    link.enter(StateChange(State.LIVE, "connected"))
    assert await waiting is connection


async def test_a_call_that_does_not_wait_says_why_there_is_no_connection() -> None:
    cause = cp.ConnectionClosed(1001, "away")
    link = Link()
    link.enter(StateChange(State.WAITING, "gone away", error=cause))
    with pytest.raises(cp.RequestNotSent, match="not connected: gone away") as caught:
        await link.wait_live(wait=False)
    assert caught.value.sent is False
    assert caught.value.__cause__ is cause
    link, connection = live_link()
    connection.is_open, connection.error = False, cp.ConnectionClosed(1001, "lost a moment ago")
    with pytest.raises(cp.RequestNotSent, match="lost a moment ago"):
        await link.wait_live(wait=False)


@virtual
async def test_a_call_that_waited_too_long_says_why_there_is_no_connection() -> None:
    link, cause = Link(), cp.ConnectError(None, "cannot connect to ws://127.0.0.1:8400: Connection refused")
    with pytest.raises(cp.RequestNotSent, match="no connection within the deadline: starting"):
        await link.live_by(asyncio.get_running_loop().time() + 1)
    link.enter(StateChange(State.WAITING, str(cause), error=cause))
    link.enter(StateChange(State.CONNECTING, "connecting", attempt=1))
    with pytest.raises(cp.RequestNotSent, match=r"deadline: cannot connect to ws://127.0.0.1:8400") as caught:
        await link.live_by(asyncio.get_running_loop().time() + 1)
    assert caught.value.sent is False
    assert caught.value.__cause__ is cause
    link.attach(connected())
    link.enter(StateChange(State.LIVE, "everything is known"))
    assert str(link.late("it could not be sent")) == "it could not be sent within the deadline"


async def test_calls_on_a_closed_client_say_that_a_retry_cannot_succeed_and_let_others_run() -> None:
    link, _ = live_link()
    cause = cp.ConcurrentConnection(4000, "taken over")
    link.enter(StateChange(State.CLOSED, "taken over", error=cause))
    link.enter(StateChange(State.LIVE, "never again"))
    assert link.state.state is State.CLOSED
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.ensure_future(count())
    for _ in range(50):
        with pytest.raises(cp.ClientClosed, match="taken over; a retry cannot succeed") as caught:
            await link.wait_live(wait=True)
        assert caught.value.__cause__ is cause
        assert caught.value.sent is False
    assert turns >= 50
    counting.cancel()


async def test_it_passes_on_to_the_connection_of_the_moment() -> None:
    link, connection = live_link()
    error = cp.SlowConsumer(None, "slow")
    for call in (link.pause, link.resume):
        call()
    link.give_up(error)
    assert connection.calls == ["pause", "resume", error]
    link.detach()
    for call in (link.pause, link.resume):
        call()
    link.give_up(error)
    assert len(connection.calls) == 3
