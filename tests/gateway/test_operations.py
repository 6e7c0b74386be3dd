"""What an operator gets without an owner, or from one that does not answer well."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest
from nats.aio.client import Client as Nats
from nats.aio.msg import Msg

import cryptoproto as cp
from cryptoproto.client.error_row import ErrorRow
from cryptoproto.exceptions import GatewayError
from cryptoproto.gateway import Operator, StrategyLimits
from cryptoproto.gateway.nats_connection import close_nats, flush_nats, open_nats
from cryptoproto.gateway.operations import OperationReply
from tests.support.nats_server import NatsServer


class Owner:
    """Answers every operator with the same bytes."""

    def __init__(self) -> None:
        self.reply = b""
        self.asked: list[tuple[str, bytes]] = []

    async def on_request(self, message: Msg) -> None:
        self.asked.append((message.subject, message.data))
        if self.reply:
            await message.respond(self.reply)


@pytest.fixture
async def owner(nats: NatsServer) -> AsyncIterator[Owner]:
    nc, owner = Nats(), Owner()
    await open_nats(nc, nats.url, "owner", inbox="_INBOX.owner")
    await nc.subscribe("cryptoproto.alice.operation.*", cb=owner.on_request)
    await flush_nats(nc)
    yield owner
    await close_nats(nc)


@pytest.fixture
async def operator(nats: NatsServer) -> AsyncIterator[Operator]:
    async with Operator(nats.url, "alice", timeout=0.2) as operator:
        yield operator


async def test_nobody_owns_the_session(operator: Operator) -> None:
    with pytest.raises(GatewayError, match="no gateway owns the session of 'alice'"):
        await operator.status()


async def test_no_answer(owner: Owner, operator: Operator) -> None:
    with pytest.raises(GatewayError, match="did not answer within"):
        await operator.handover()


@pytest.mark.parametrize("reply", [b"rubbish", b'{"outcome":{"text":"\xff"}}', b"[]", b'{"cancelled":"many"}'])
async def test_an_answer_that_cannot_be_read(reply: bytes, owner: Owner, operator: Operator) -> None:
    owner.reply = reply
    with pytest.raises(GatewayError, match="cannot be read"):
        await operator.kill("mm1")


async def test_the_owner_refuses(owner: Owner, operator: Operator) -> None:
    refusal = cp.ConfigurationError("there is no strategy 'mm1'")
    owner.reply = msgspec.json.encode(OperationReply(ErrorRow.of(refusal)))
    with pytest.raises(cp.ConfigurationError, match="no strategy 'mm1'"):
        await operator.revive("mm1")


async def test_a_status_that_is_missing(owner: Owner, operator: Operator) -> None:
    owner.reply = msgspec.json.encode(OperationReply())
    with pytest.raises(GatewayError, match="did not state its status"):
        await operator.status()
    assert await operator.set_limits("mm1", max_open_orders=3) == StrategyLimits()
    assert msgspec.json.decode(owner.asked[-1][1]) == {"strategy": "mm1", "limits": {"max_open_orders": 3}}


async def test_a_name_that_no_strategy_can_have_is_not_sent(owner: Owner, operator: Operator) -> None:
    for operation in (operator.kill, operator.revive, operator.set_limits):
        with pytest.raises(cp.ConfigurationError):
            await operation("a.b")
    assert owner.asked == []
