"""One live connection: messages, events in order, and the end of the iteration."""

from __future__ import annotations

import asyncio

import pytest

import cryptoproto as cp
from tests.support.peer import Script, changed, ids, settle
from tests.support.virtual_time import virtual

V5 = cp.Protocol.V5


def is_open(connection: cp.Connection) -> bool:
    """The property, each time anew in the type checker's eyes."""
    return connection.is_open


async def test_the_next_sequence_follows_what_the_exchange_has_seen(
    script: Script, alice_key: cp.PrivateKey, protocol: cp.Protocol
) -> None:
    script.last_sequence = 2**40
    async with script.connect(alice_key, protocol=protocol) as connection:
        sent = [await connection.send(cp.CancelAllOrders()) for _ in range(3)]
        assert sent == [2**40 + 1, 2**40 + 2, 2**40 + 3]
        await script.peer.until(lambda: script.peer.sequences == sent)


async def test_what_a_connection_says_about_itself(
    script: Script, alice_key: cp.PrivateKey, protocol: cp.Protocol
) -> None:
    script.last_sequence = 41
    async with script.connect(alice_key, protocol=protocol) as connection:
        assert (connection.last_sequence, connection.next_sequence) == (41, 42)
        assert (connection.protocol, connection.hold) == (protocol, 0.0)
        assert repr(connection).startswith("<Connection alice to ws://")
        assert repr(connection).endswith(", open>")
    assert repr(connection).endswith(", closed>")


async def test_typed_messages_mappings_and_json_are_sent_as_they_are(
    script: Script, alice_key: cp.PrivateKey, protocol: cp.Protocol
) -> None:
    async with script.connect(alice_key, protocol=protocol) as connection:
        await connection.send(cp.PlaceBuyLimitOrder(trade_pair="BTC_USD", amount="1", price="15000", client_order_id=7))
        await connection.send({"@type": "CancelOrder", "order_id": 5})
        await connection.send(b'{"@type": "CancelAllOrders"}')
        await script.peer.until(lambda: len(script.peer.messages) == 3)
        payloads = [payload for _, payload in script.peer.messages]
        assert payloads[0]["@type"] == "PlaceBuyLimitOrder"
        assert (payloads[0]["amount"], payloads[0]["price"], payloads[0]["client_order_id"]) == ("1", "15000", 7)
        assert payloads[1:] == [{"@type": "CancelOrder", "order_id": 5}, {"@type": "CancelAllOrders"}]


async def test_events_come_in_order_with_all_that_was_sent(
    script: Script, alice_key: cp.PrivateKey, protocol: cp.Protocol
) -> None:
    async with script.connect(alice_key, protocol=protocol) as connection:
        script.peer.event(3)
        script.peer.broadcast(b'{"@type":"TradesDisabledOnPairs","trade_pairs":["BTC_USD"]}')
        script.peer.event(10, b'{"@type":"FromTheFuture","x":[1]}')
        script.peer.event(11, b'{"@type":"OrderNotFound","order_id":4,"colour":"red"}')
        events = [await anext(connection) for _ in range(4)]
        assert ids(events) == [3, None, 10, 11]
        assert events[0].message == cp.OrderNotFound(order_id=3)
        assert events[0].timestamp == 1.7e9 + 3
        assert events[0].raw == changed(3)
        assert events[0].received_ns > 1.6e18
        assert events[1].message == cp.TradesDisabledOnPairs(trade_pairs=["BTC_USD"])
        assert events[1].timestamp is None
        assert events[1].at is None
        assert events[2].message == cp.Unknown(type="FromTheFuture", payload={"@type": "FromTheFuture", "x": [1]})
        assert events[3].payload["colour"] == "red"
        assert connection.queued == 0


async def test_what_was_processed_before_is_skipped(
    script: Script, alice_key: cp.PrivateKey, protocol: cp.Protocol
) -> None:
    async with script.connect(alice_key, protocol=protocol, resume_from=5) as connection:
        for transaction_id in (1, 5, 6, 6, 2, 9, 7, 10):
            script.peer.event(transaction_id)
        assert ids([await anext(connection) for _ in range(3)]) == [6, 9, 10]
        await settle()
        assert connection.queued == 0


async def test_a_second_iterator_is_refused(script: Script, alice_key: cp.PrivateKey) -> None:
    async with script.connect(alice_key, protocol=V5) as connection:
        first = asyncio.ensure_future(anext(connection))
        await settle()
        with pytest.raises(cp.ConfigurationError, match="let one task iterate"):
            await anext(connection)
        script.peer.event(1)
        assert (await first).transaction_id == 1


async def test_after_close_what_came_is_iterated_and_then_the_end(
    script: Script, alice_key: cp.PrivateKey, protocol: cp.Protocol
) -> None:
    connection = await script.connect(alice_key, protocol=protocol)
    script.peer.events(1, 5)
    await settle()
    await connection.close()
    assert ids([event async for event in connection]) == [1, 2, 3, 4, 5]
    assert [event async for event in connection] == []
    with pytest.raises(cp.ConnectionClosed, match="closed by this end") as caught:
        await connection.send(cp.CancelAllOrders())
    assert type(caught.value) is cp.ConnectionClosed
    assert caught.value.sent is False


async def test_close_ends_the_calls_and_the_iteration(
    script: Script, alice_key: cp.PrivateKey, protocol: cp.Protocol
) -> None:
    connection = await script.connect(alice_key, protocol=protocol)
    iterating = asyncio.ensure_future(anext(connection, None))
    request = asyncio.ensure_future(connection.request(cp.UserBalanceRequest()))
    await script.peer.until(lambda: len(script.peer.requests) == 1)
    await connection.close()
    with pytest.raises(cp.ConnectionClosed) as caught:
        await request
    assert caught.value.sent is True
    assert await iterating is None


async def test_close_is_idempotent_and_may_be_called_by_many(script: Script, alice_key: cp.PrivateKey) -> None:
    connection = await script.connect(alice_key)
    waiting = asyncio.create_task(connection.wait_closed())
    await asyncio.gather(*(connection.close() for _ in range(5)))
    await connection.close()
    await waiting
    assert connection.error is None


async def test_close_after_the_end_keeps_the_error(script: Script, alice_key: cp.PrivateKey) -> None:
    connection = await script.connect(alice_key)
    script.peer.close(4000)
    await connection.wait_closed()
    await connection.close()
    assert isinstance(connection.error, cp.ConcurrentConnection)
    with pytest.raises(cp.ConcurrentConnection):
        await anext(connection)


@pytest.mark.parametrize("kind", ["request", "request_at"])
@virtual
async def test_a_request_waits_until_the_network_accepts_it(
    script: Script, alice_key: cp.PrivateKey, kind: str
) -> None:
    seen: list[object] = []
    async with script.connect(alice_key, protocol=V5) as connection:
        script.peer.auto_reply = True
        script.peer.client_link.hold_writes = True
        if kind == "request":
            call: asyncio.Task[object] = asyncio.create_task(connection.request(cp.UserBalanceRequest()))
        else:
            call = asyncio.create_task(connection.request_at(cp.UserBalanceRequest(), seen.append))
        await settle()
        assert not script.peer.requests
        script.peer.client_link.hold_writes = False
        result = await call
        assert isinstance(seen[0] if kind == "request_at" else result, cp.UserBalanceResponse)
        assert connection.in_flight == 0


async def test_requests_that_are_too_large_are_rejected_and_the_connection_stays_open(
    script: Script, alice_key: cp.PrivateKey, protocol: cp.Protocol
) -> None:
    async with script.connect(alice_key, protocol=protocol, max_message_size=4096) as connection:
        large = b'{"@type":"UserBalanceRequest","x":"' + b"x" * 4096 + b'"}'
        for call in (connection.request(large), connection.request_at(large, print), connection.send(large)):
            with pytest.raises(cp.ConfigurationError, match="4133 bytes does not fit into max_message_size=4096"):
                await call
        assert connection.is_open
        assert connection.in_flight == 0


async def test_a_response_that_cannot_be_used_ends_the_connection(
    script: Script, alice_key: cp.PrivateKey, protocol: cp.Protocol
) -> None:
    """What request_at() calls runs between the events around the response, so its failure is not for the caller."""

    def at(_: cp.Message | cp.Unknown) -> None:
        raise ZeroDivisionError("by design")

    async with script.connect(alice_key, protocol=protocol) as connection:
        script.peer.auto_reply = True
        with pytest.raises(cp.ConnectionClosed, match="ZeroDivisionError"):
            await connection.request_at(cp.UserBalanceRequest(), at)
        assert not connection._pump._watched


async def test_a_message_that_a_caller_keeps_signed(
    script: Script, alice_key: cp.PrivateKey, protocol: cp.Protocol
) -> None:
    payload = b'{"@type":"CancelAllOrders"}'
    async with script.connect(alice_key, protocol=protocol) as connection:
        connection.keep_signed(payload)
        await connection.wait_signed(payload)
        assert connection.is_signed(payload)
        connection.release(payload)
        connection.keep_signed(payload)
        connection.sign_now(payload)
        assert connection.is_signed(payload), "at once"
        connection.sign_now(payload)
        connection.release(payload)
        connection.keep_signed(payload, spare=True)
        await connection.wait_signed(payload)
        assert await connection.send_encoded(payload) == 1
        connection.release(payload, spare=True)
        assert connection.is_signed(payload) is (protocol is cp.Protocol.V5)
    connection.keep_signed(payload)  # nothing is signed for a connection that has ended
    assert connection.is_signed(payload) is (protocol is cp.Protocol.V5)
