"""What operators ask an owner; with a real NATS server, exchange and gateway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, Final

import msgspec
import nats.errors
import pytest
from nats.aio.client import Client as Nats
from nats.aio.msg import Msg

import cryptoproto as cp
from cryptoproto.exceptions import GatewayError
from cryptoproto.gateway import Gateway, GatewayClient, Operator, StrategyLimits
from cryptoproto.gateway.names import OPERATOR, Names, inbox_of
from cryptoproto.gateway.nats_connection import close_nats, flush_nats, open_nats
from cryptoproto.gateway.operations import GatewayStatus, OperationReply
from cryptoproto.gateway.owner.operations import AT_ONCE, OperationService
from cryptoproto.gateway.owner.strategies import Strategies
from tests.support.nats_server import NatsServer

NO_BUCKET: Any = None
STATUS: Final = GatewayStatus("alice", "host:1", 1, 0.0, "live", "", -1, 0, 0, 0)


@pytest.fixture
async def nc(nats: NatsServer) -> AsyncIterator[Nats]:
    """The connection of somebody who sends what they like."""
    nc = Nats()
    await open_nats(nc, nats.url, "test", inbox=inbox_of(OPERATOR))
    yield nc
    await close_nats(nc)


async def ask(nc: Nats, operation: str, data: bytes) -> cp.CryptoprotoError | None:
    message = await nc.request(f"cryptoproto.alice.operation.{operation}", data, timeout=5)
    return msgspec.json.decode(message.data, type=OperationReply).outcome.restored()


@pytest.mark.parametrize(
    ("operation", "data", "match"),
    [
        ("explode", b"{}", "there is no operation 'explode'"),
        ("status", b"rubbish", "not a request of an operator"),
        ("status", b'{"strategy":"\xff"}', "not a request of an operator"),
        ("status", b'{"strategy":7}', "not a request of an operator"),
        ("kill", b"", "there is no strategy ''; known are: none"),
        ("limits", b'{"strategy":"a.b"}', "a.b"),
    ],
)
async def test_what_cannot_be_done_is_refused(
    gateway: Gateway, nc: Nats, operation: str, data: bytes, match: str
) -> None:
    error = await ask(nc, operation, data)
    assert isinstance(error, cp.ConfigurationError)
    assert match in str(error)


async def test_nothing_is_answered_outside_the_inbox_of_operators(gateway: Gateway, nc: Nats) -> None:
    """Otherwise an operator could have the gateway write to any subject."""
    elsewhere = await nc.subscribe("elsewhere")
    await nc.publish("cryptoproto.alice.operation.handover", b"{}", reply="elsewhere")
    assert await ask(nc, "status", b"{}") is None  # it comes after that
    assert elsewhere.pending_msgs == 0
    assert gateway.is_owner


async def test_the_status_of_an_owner(gateway: Gateway, nats: NatsServer) -> None:
    async with (
        Operator(nats.url, "alice") as operator,
        GatewayClient(nats.url, client_id="alice", strategy="mm1") as client,
        GatewayClient(nats.url, client_id="alice", strategy="mm2") as other,
    ):
        for each in (client, client, other):
            await each.place("BTC_USD", "buy", amount="1", price="1", wait=True)
        status = await operator.status()
        assert (status.client_id, status.state, status.fence, status.unanswered) == ("alice", "live", gateway.fence, 0)
        assert {name: each.open_orders for name, each in status.strategies.items()} == {"mm1": 2, "mm2": 1}


async def test_a_gateway_that_is_closed_answers_nobody(gateway: Gateway, nats: NatsServer) -> None:
    async with Operator(nats.url, "alice") as operator:
        await operator.status()
        await gateway.close()
        with pytest.raises(cp.CryptoprotoError, match="no gateway owns"):
            await operator.status()


async def test_an_operator_that_cannot_be_answered(gateway: Gateway, caplog: pytest.LogCaptureFixture) -> None:
    class Down:
        async def publish(self, *_: object) -> None:
            raise nats.errors.ConnectionClosedError

    down: Any = Down()
    fake: Any = None
    service = OperationService(down, Names("alice"), fake, fake, fake, fake)
    message: Any = type("Message", (), {"reply": f"{inbox_of(OPERATOR)}.1", "subject": "a.explode", "data": b"{}"})()
    await service._on_request(message)
    await service.close()
    assert "an operator could not be answered" in caplog.text


async def test_a_gateway_that_does_not_answer_well(nc: Nats, nats: NatsServer) -> None:
    replies = [b"rubbish", b"{}", b"{}"]

    async def answer(message: Msg) -> None:
        if replies:
            await nc.publish(message.reply, replies.pop(0))

    await nc.subscribe("cryptoproto.alice.operation.*", cb=answer)
    await flush_nats(nc)
    async with Operator(nats.url, "alice", timeout=0.2) as operator:
        with pytest.raises(GatewayError, match="cannot be read"):
            await operator.status()
        with pytest.raises(GatewayError, match="did not state its status"):
            await operator.status()
        assert await operator.set_limits("mm1", max_open_orders=1) == StrategyLimits()
        with pytest.raises(GatewayError, match=r"did not answer within 0\.2 s"):
            await operator.status()


async def test_the_status_is_answered_while_a_strategy_is_killed(nats: NatsServer, nc: Nats) -> None:
    killing, may_end = asyncio.Event(), asyncio.Event()

    class SlowKill:
        async def kill(self, name: str) -> tuple[int, int]:
            killing.set()
            await may_end.wait()
            return 1, 0

    strategies: Any = Strategies(NO_BUCKET)
    client: Any = SimpleNamespace(orders=SimpleNamespace(open=[]))
    kill_switch: Any = SlowKill()
    service = OperationService(nc, Names("alice"), client, kill_switch, strategies, lambda: STATUS)
    await service.start()
    await flush_nats(nc)
    async with Operator(nats.url, "alice") as operator:
        kill = asyncio.ensure_future(operator.kill("mm1"))
        await killing.wait()
        assert await operator.status() == STATUS
        may_end.set()
        assert (await kill).cancelled == 1
    await service.close()


async def test_an_owner_does_not_answer_any_number_of_questions_at_once(nc: Nats) -> None:
    may_end = asyncio.Event()

    class Stuck:
        async def kill(self, name: str) -> tuple[int, int]:
            await may_end.wait()
            return 0, 0

    client: Any = SimpleNamespace(orders=SimpleNamespace(open=[]))
    stuck: Any = Stuck()
    strategies: Any = Strategies(NO_BUCKET)
    service = OperationService(nc, Names("alice"), client, stuck, strategies, lambda: STATUS)
    await service.start()
    await flush_nats(nc)
    asking = [asyncio.ensure_future(ask(nc, "kill", b"{}")) for _ in range(AT_ONCE)]
    await flush_nats(nc)
    error = await ask(nc, "status", b"{}")
    assert f"answers {AT_ONCE} operators" in str(error)
    may_end.set()
    assert await asyncio.gather(*asking) == [None] * AT_ONCE
    assert await ask(nc, "status", b"{}") is None
    await service.close()
