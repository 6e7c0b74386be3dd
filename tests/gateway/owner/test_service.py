"""What strategies send that lie, flood, stall or send rubbish harms nobody else; and each command has one outcome."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import msgspec
import pytest

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from cryptoproto.gateway import Gateway, GatewayClient
from cryptoproto.gateway.calls import Ask, Hello, TakeSnapshot, encode
from cryptoproto.gateway.records import Placed
from cryptoproto.messages import encode as encode_message
from tests.support.nats_server import NatsServer
from tests.support.raw_strategy import RawStrategy


@pytest.fixture
async def liar(gateway: Gateway, nats: NatsServer) -> AsyncIterator[RawStrategy]:
    async with RawStrategy.named(nats.url, "liar") as liar:
        yield liar


@pytest.fixture
async def honest(gateway: Gateway, nats: NatsServer) -> AsyncIterator[GatewayClient]:
    async with GatewayClient(nats.url, client_id="alice", strategy="honest") as honest:
        yield honest


async def works(client: GatewayClient) -> cp.Order:
    """The others are not harmed: their orders are accepted, on the same session."""
    return await client.place("BTC_USD", "buy", amount="0.1", price="100", wait=True)


def sessions(exchange: Exchange) -> int:
    record = exchange.venue.client("alice")
    assert record is not None
    return record.last_sequence


@pytest.mark.parametrize(
    "data", [b"", b"\x00\xff", b"null", b"[" * 5000, b'{"type":"place"}', b'{"type":"cancel","command":1}']
)
async def test_rubbish_is_refused(data: bytes, liar: RawStrategy, honest: GatewayClient) -> None:
    reply = await liar.ask(data)
    assert isinstance(reply.outcome.restored(), cp.OrderInvalid)
    await works(honest)


@pytest.mark.parametrize(
    "payload", [b"{}", b'{"@type":"CancelAllOrders"}', b'{"@type":"UserBalanceRequest"}', b"7", b'"\\ud800"']
)
async def test_what_does_not_place_an_order_is_refused(
    payload: bytes, liar: RawStrategy, honest: GatewayClient
) -> None:
    order = await works(honest)
    reply = await liar.ask(liar.call("a", payload))
    assert reply.outcome.restored() is not None
    assert order.is_open
    ask = encode(Ask(liar.fence, time.monotonic() + 5, msgspec.Raw(payload)))
    if b"Request" not in payload:
        assert (await liar.ask(ask)).outcome.restored() is not None
    await works(honest)


async def test_the_client_order_id_of_another_strategy_is_refused(liar: RawStrategy, honest: GatewayClient) -> None:
    order = await works(honest)
    for number in (order.client_order_id, None, 0, -1):
        reply = await liar.ask(liar.place(client_order_id=number))
        assert isinstance(reply.outcome.restored(), cp.OrderInvalid | cp.CryptoprotoError)
        assert not reply.has_result
    assert len(honest.orders.open) == 1


async def test_the_order_of_another_strategy_is_not_cancelled(
    liar: RawStrategy, honest: GatewayClient, exchange: Exchange
) -> None:
    order = await works(honest)
    assert order.order_id is not None
    before = sessions(exchange)
    refused = (await liar.ask(liar.cancel(order.order_id))).outcome.restored()
    assert isinstance(refused, cp.OrderInvalid)
    # An id that the next order of somebody else will have: the exchange must not see it.
    for ahead in range(1, 5):
        unknown = (await liar.ask(liar.cancel(order.order_id + ahead, f"c{ahead}"))).outcome.restored()
        assert isinstance(unknown, cp.OrderNotOpen)
    assert sessions(exchange) == before
    assert order.is_open


async def test_the_command_of_another_strategy_is_not_answered(liar: RawStrategy, honest: GatewayClient) -> None:
    order = await honest.place("BTC_USD", "buy", amount="0.1", price="100", command_id="a")
    refused = (await liar.ask(liar.outcome("b"))).outcome.restored()
    assert isinstance(refused, cp.RequestNotSent)
    again = await liar.ask(liar.place("a"))
    placed = msgspec.json.decode(again.result, type=Placed)
    assert placed.order_id != order.order_id
    other = await honest.place("BTC_USD", "buy", amount="0.1", price="100", command_id="b")
    assert other.is_open


async def test_another_fence_or_a_late_call_changes_nothing(liar: RawStrategy, exchange: Exchange) -> None:
    before = sessions(exchange)
    old = await liar.ask(liar.place("a", fence=liar.fence - 1))
    assert isinstance(old.outcome.restored(), cp.RequestNotSent)
    with pytest.raises(TimeoutError):
        await liar.ask(liar.place("b", fence=liar.fence + 1), timeout=0.1)  # it may be that of the next owner
    late = await liar.ask(liar.place("c", deadline=time.monotonic() - 1))
    assert isinstance(late.outcome.restored(), cp.RequestNotSent)
    assert sessions(exchange) == before


async def test_a_deadline_that_never_comes_holds_nobody_up(liar: RawStrategy, honest: GatewayClient) -> None:
    reply = await liar.ask(liar.place("a", deadline=1e300))
    assert reply.outcome.restored() is None
    await works(honest)


async def test_a_command_id_has_a_size(liar: RawStrategy) -> None:
    reply = await liar.ask(liar.place("a" * 129))
    assert isinstance(reply.outcome.restored(), cp.OrderInvalid)
    assert isinstance((await liar.ask(liar.outcome("a" * 129))).outcome.restored(), cp.OrderInvalid)


async def test_a_name_that_cannot_be_one(liar: RawStrategy) -> None:
    inbox = "_INBOX.a=b.1"
    replies = await liar.nc.subscribe(inbox)
    await liar.nc.publish("cryptoproto.alice.command.a=b", encode(Hello()), reply=inbox)
    assert b"ConfigurationError" in (await replies.next_msg(timeout=5)).data


async def test_a_flood_is_refused_and_the_others_go_on(liar: RawStrategy, honest: GatewayClient) -> None:
    for number in range(700):
        await liar.publish(liar.place(f"f{number}"))
        if number % 200 == 0:
            await works(honest)
    await works(honest)


async def test_a_flood_of_questions_does_not_fill_the_log(liar: RawStrategy, honest: GatewayClient) -> None:
    replies = await asyncio.gather(*(liar.ask(liar.outcome(f"q{number}")) for number in range(200)))
    assert sum(reply.pending for reply in replies) > 100
    await works(honest)


async def test_who_ends_the_session_has_to_wait(liar: RawStrategy, honest: GatewayClient) -> None:
    await works(honest)
    ended = await liar.ask(liar.place("a", trade_pair="XXX_YYY"))
    while ended.pending:
        ended = await liar.ask(liar.outcome("a"))
    assert ended.outcome.restored() is not None
    await works(honest)


async def test_a_strategy_that_does_not_read_holds_nobody_up(
    gateway: Gateway, nats: NatsServer, honest: GatewayClient
) -> None:
    async with GatewayClient(nats.url, client_id="alice", strategy="lazy", max_queue=10, sees_all=True) as lazy:
        await works(honest)
        async for _ in lazy.events():  # from here on it wants them, and takes none
            break
        events = honest.events()
        placed = [await works(honest) for _ in range(100)]
        count = 0
        async for event in events:
            count += isinstance(event.message, cp.BuyOrderPlaced)
            if count == len(placed):
                break


async def test_a_repetition_waits_for_the_outcome_of_the_first(liar: RawStrategy, exchange: Exchange) -> None:
    first, again = await asyncio.gather(*(liar.ask(liar.place("a")) for _ in range(2)))
    assert first.result == again.result
    third = await liar.ask(liar.place("a"))
    assert (
        msgspec.json.decode(third.result, type=Placed).order_id
        == msgspec.json.decode(first.result, type=Placed).order_id
    )
    record = exchange.venue.client("alice")
    assert record is not None
    assert sum(b"OrderPlaced" in each.payload for each in record.history) == 1


async def test_what_was_refused_once_is_refused_for_ever(liar: RawStrategy) -> None:
    asked = (await liar.ask(liar.outcome("a"))).outcome.restored()
    late = (await liar.ask(liar.place("a"))).outcome.restored()
    assert isinstance(asked, cp.RequestNotSent)
    assert isinstance(late, cp.RequestNotSent)


async def test_the_tables_of_the_owner(liar: RawStrategy, honest: GatewayClient) -> None:
    await works(honest)
    reply = await liar.ask(encode(TakeSnapshot(liar.fence)))
    assert b"BTC_USD" in bytes(reply.result)


async def test_a_request_is_passed_on(liar: RawStrategy) -> None:
    ask = encode(Ask(liar.fence, time.monotonic() + 5, msgspec.Raw(encode_message(cp.UserBalanceRequest()))))
    assert b"UserBalanceResponse" in bytes((await liar.ask(ask)).result)
