"""What operators ask an owner; with a real NATS server, exchange and gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest
from nats.aio.client import Client as Nats

import cryptoproto as cp
from cryptoproto.gateway import Gateway, GatewayClient, Operator
from cryptoproto.gateway.names import OPERATOR, inbox_of
from cryptoproto.gateway.nats_connection import close_nats, open_nats
from cryptoproto.gateway.operations import OperationReply
from tests.support.nats_server import NatsServer


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
