"""Which gateway is the owner, and what becomes of calls to it; with a real NATS server and an owner by script."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

import cryptoproto as cp
from cryptoproto.exceptions import GatewayError
from cryptoproto.gateway.calls import Hello, Reply, TakeSnapshot, encode
from cryptoproto.gateway.names import Names
from cryptoproto.gateway.nats_connection import NatsConnection, close_nats, open_nats
from cryptoproto.gateway.strategy import link as link_module
from cryptoproto.gateway.strategy.link import GatewayLink
from tests.support.nats_server import NatsServer
from tests.support.scripted_owner import ScriptedOwner


@pytest.fixture
async def owner(nats: NatsServer) -> AsyncIterator[ScriptedOwner]:
    async with ScriptedOwner.at(nats.url) as owner:
        yield owner


@pytest.fixture
async def link(nats: NatsServer) -> AsyncIterator[GatewayLink]:
    nc = NatsConnection()
    await open_nats(nc, nats.url, "test", inbox="_INBOX.one")
    link = GatewayLink(nc, Names("alice"), "one")
    await link.start()
    yield link
    await link.close()
    await link.close()
    await close_nats(nc)


async def until(link: GatewayLink, state: cp.State, reason: str = "") -> cp.StateChange:
    async with asyncio.timeout(10):
        async for change in link.states.subscribe():
            if change.state is state and reason in change.reason:
                return change
    raise AssertionError("the states have ended")


async def live(link: GatewayLink) -> None:
    async with asyncio.timeout(10):
        await link.found.wait()
    link.enter_live(link.fence)


def asking(link: GatewayLink, seconds: float = 5) -> asyncio.Future[Reply]:
    return asyncio.ensure_future(link.call(encode(TakeSnapshot(link.fence)), link.fence, time.monotonic() + seconds))


async def test_an_owner_is_found(owner: ScriptedOwner, link: GatewayLink) -> None:
    await live(link)
    assert (link.number, link.fence, link.published) == (1, 1, -1)
    assert await link.live_by(time.monotonic(), wait=False) == 1
    owner.position = 7
    link.spoke.clear()
    await owner.announce()
    await link.spoke.wait()
    assert link.published == 7


async def test_why_there_is_no_owner_is_said_at_the_deadline(nats: NatsServer, link: GatewayLink) -> None:
    words = "within the deadline: no gateway owns the session at the moment"
    await until(link, cp.State.WAITING, "no gateway owns the session")
    with pytest.raises(cp.RequestNotSent, match=words) as caught:
        await link.live_by(time.monotonic() + 0.01, wait=True)
    assert isinstance(caught.value.__cause__, cp.GatewayError)
    nats.kill()
    await until(link, cp.State.WAITING, "the connection to NATS is lost")
    with pytest.raises(cp.RequestNotSent, match="the connection to NATS is lost"):
        await link.live_by(time.monotonic() + 0.01, wait=True)


async def test_the_link_of_the_owner_is_down_and_comes_back(owner: ScriptedOwner, link: GatewayLink) -> None:
    await live(link)
    link.found.clear()
    owner.state = "waiting"
    await owner.announce()
    await until(link, cp.State.WAITING, "the owner is waiting")
    link.enter_live(1)
    assert link.state.state is cp.State.WAITING
    with pytest.raises(cp.RequestNotSent, match="the owner is waiting"):
        await link.live_by(time.monotonic() + 5, wait=False)
    words = "there was no owner with a live session within the deadline: the owner is waiting"
    with pytest.raises(cp.RequestNotSent, match=words):
        await link.live_by(time.monotonic() + 0.01, wait=True)
    owner.state = "live"
    await owner.announce()
    await live(link)
    assert await link.live_by(time.monotonic() + 5, wait=True) == 1


async def test_a_wait_for_the_owner_ends_whenever_it_becomes_live(owner: ScriptedOwner, link: GatewayLink) -> None:
    """Also in the moment in which the wait lets other tasks run first."""
    async with asyncio.timeout(10):
        await link.found.wait()
    waiting = asyncio.ensure_future(link.live_by(time.monotonic() + 5, wait=True))
    await asyncio.sleep(0)
    link.enter_live(1)
    assert await waiting == 1


async def test_nothing_is_sent_to_an_owner_that_is_not_followed_any_more(
    owner: ScriptedOwner, link: GatewayLink
) -> None:
    await live(link)
    with pytest.raises(cp.RequestNotSent, match="the owner has changed"):
        await link.call(encode(TakeSnapshot(0)), 0, time.monotonic() + 5)
    assert owner.calls == []


async def test_the_next_owner_is_followed(owner: ScriptedOwner, link: GatewayLink) -> None:
    await live(link)
    link.found.clear()
    owner.answer = lambda call: None if isinstance(call, Hello) else b""
    waiting = asking(link)
    await owner.received(TakeSnapshot)
    owner.fence = 2
    await owner.announce()
    with pytest.raises(cp.OutcomeUnknown, match="owner has changed"):
        await waiting
    await until(link, cp.State.RESUMING)
    await live(link)
    owner.fence = 1
    await owner.announce()  # an old one that goes on talking
    await owner.nc.flush()
    assert link.fence == 2


async def test_an_owner_that_falls_silent(
    owner: ScriptedOwner, link: GatewayLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    await live(link)
    monkeypatch.setattr(link_module, "_SILENCE_S", 0.1)
    monkeypatch.setattr(link_module, "_HELLO_TIMEOUT_S", 0.1)
    owner.answer = lambda call: b""
    await owner.announce()  # the wait that has begun is still the long one
    link.states.notify()
    await until(link, cp.State.WAITING, "does not answer")


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (b"rubbish", "cannot be read"),
        (b'{"outcome":{"text":"\xff"}}', "cannot be read"),
        (encode(Reply(1, 0.0)), "cannot be read"),
        (b"", "does not answer"),
    ],
    ids=["rubbish", "not UTF-8", "no welcome", "silence"],
)
async def test_a_greeting_that_is_not_answered_well(
    reply: bytes, reason: str, owner: ScriptedOwner, link: GatewayLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "_HELLO_TIMEOUT_S", 0.1)
    owner.answer = lambda call: reply
    link.lose(link.fence, "a test says so")
    await until(link, cp.State.WAITING, reason)


async def test_the_owner_refuses_this_strategy(owner: ScriptedOwner, link: GatewayLink) -> None:
    owner.answer = lambda call: owner.reply(error=GatewayError("there are 4095 strategies already"))
    link.lose(link.fence, "a test says so")
    change = await until(link, cp.State.WAITING, "4095 strategies")
    assert isinstance(change.error, GatewayError)


async def test_without_an_owner(link: GatewayLink) -> None:
    await until(link, cp.State.WAITING, "no gateway owns the session")
    with pytest.raises(cp.RequestNotSent, match="no gateway owns"):
        await asking(link)


async def test_a_state_that_is_none_changes_nothing(owner: ScriptedOwner, link: GatewayLink) -> None:
    await live(link)
    link.spoke.clear()
    await owner.nc.publish("cryptoproto.alice.state", b"rubbish")
    await owner.announce()
    await link.spoke.wait()
    assert link.state.state is cp.State.LIVE


async def test_a_reply_that_cannot_be_read(owner: ScriptedOwner, link: GatewayLink) -> None:
    await live(link)
    owner.answer = lambda call: b"rubbish"
    with pytest.raises(cp.DecodeError):
        await asking(link)


async def test_no_reply_before_the_deadline(
    owner: ScriptedOwner, link: GatewayLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "_GRACE_S", 0.05)
    await live(link)
    owner.answer = lambda call: b""
    with pytest.raises(cp.OutcomeUnknown) as caught:
        await asking(link, 0)
    assert caught.value.sent


async def test_the_owner_cannot_deliver_events(owner: ScriptedOwner, link: GatewayLink) -> None:
    await live(link)
    owner.answer = lambda call: owner.reply(error=GatewayError("no stream"))
    with pytest.raises(GatewayError, match="no stream"):
        await link.open_events("_INBOX.one.x", None, False)


async def test_a_call_ends_when_the_client_is_closed(owner: ScriptedOwner, link: GatewayLink) -> None:
    await live(link)
    owner.answer = lambda call: b""
    waiting = asking(link, 60)
    await owner.received(TakeSnapshot)
    async with asyncio.timeout(10):
        await link.close()
        with pytest.raises(cp.OutcomeUnknown):
            await waiting
        with pytest.raises(cp.ClientClosed, match="closed by this end"):
            await link.live_by(time.monotonic() + 60, wait=True)


async def test_the_connection_to_nats_has_ended_for_good(owner: ScriptedOwner, link: GatewayLink) -> None:
    await live(link)
    await close_nats(link._nc)
    link.lose(1, "a test says so")
    change = await until(link, cp.State.CLOSED, "it refuses this user")
    assert isinstance(change.error, GatewayError)
    link.enter(cp.StateChange(cp.State.LIVE, "too late"))
    assert link.state.state is cp.State.CLOSED
