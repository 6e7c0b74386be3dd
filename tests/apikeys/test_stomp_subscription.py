"""Subscriptions and their messages."""

from __future__ import annotations

import pytest

import cryptoproto as cp
from tests.support.apikeys.stomp_wire import Wire, connected, leave


async def test_subscriptions_are_async_iterators(wire: Wire) -> None:
    stomp = await connected(wire)
    async with await stomp.subscribe("/topic/a:b", headers={"selector": "x = 1"}) as subscription:
        sent = (await wire.heard("SUBSCRIBE")).headers
        assert (sent["destination"], sent["ack"], sent["selector"]) == ("/topic/a:b", "auto", "x = 1")
        for number in range(3):
            wire.says("MESSAGE", {"subscription": sent["id"], "destination": "/topic/a:b"}, b'{"n": %d}' % number)
        wire.says("MESSAGE", {"subscription": "another"}, b"late, for one that was unsubscribed")
        assert [(await anext(subscription)).json()["n"] for _ in range(3)] == [0, 1, 2]
    assert (await wire.heard("UNSUBSCRIBE")).headers["id"] == sent["id"]
    assert [message async for message in subscription] == []
    await leave(wire, stomp)


async def test_acknowledgements_of_both_versions(wire: Wire) -> None:
    stomp = await connected(wire)
    subscription = await stomp.subscribe("/q", ack="client-individual")
    name = (await wire.heard("SUBSCRIBE")).headers["id"]
    wire.says("MESSAGE", {"subscription": name, "message-id": "7", "ack": "a7"})
    message = await anext(subscription)
    await message.ack()
    assert (await wire.heard("ACK")).headers == {"id": "a7"}
    stomp.version = "1.1"
    await message.nack()
    assert (await wire.heard("NACK")).headers == {"message-id": "7", "subscription": name}
    stomp.version = "1.2"
    wire.says("MESSAGE", {"subscription": name, "message-id": "8"})
    with pytest.raises(cp.ConfigurationError, match="does not ask for an acknowledgement"):
        await (await anext(subscription)).ack()
    await leave(wire, stomp)


async def test_a_slow_consumer_gets_an_error(wire: Wire) -> None:
    stomp = await connected(wire, max_queue=2)
    subscription = await stomp.subscribe("/q")
    name = (await wire.heard("SUBSCRIBE")).headers["id"]
    for _ in range(3):
        wire.says("MESSAGE", {"subscription": name})
    await wire.closed.wait()
    await anext(subscription)
    await anext(subscription)
    with pytest.raises(cp.SlowConsumer, match="more than 2 messages or"):
        await anext(subscription)
    await stomp.close()


async def test_a_subscription_that_could_not_be_sent_is_forgotten(wire: Wire) -> None:
    stomp = await connected(wire)
    with pytest.raises(cp.ConfigurationError, match="NUL"):
        await stomp.subscribe("/q\0")
    assert not stomp._subscriptions
    await leave(wire, stomp)


async def test_messages_as_text_and_json(wire: Wire) -> None:
    stomp = await connected(wire)
    subscription = await stomp.subscribe("/q")
    name = (await wire.heard("SUBSCRIBE")).headers["id"]
    assert repr(subscription) == f"<Subscription {name} to /q, 0 waiting>"
    for body in ('{"ü": 1}'.encode(), b"\xff", b"{", b"[" * 5000):
        wire.says("MESSAGE", {"subscription": name, "destination": "/q"}, body)
    good, binary, *broken = [await anext(subscription) for _ in range(4)]
    assert (good.text, good.json(), good.destination) == ('{"ü": 1}', {"ü": 1}, "/q")
    assert repr(good) == "<StompMessage /q 9 bytes>"
    with pytest.raises(cp.DecodeError, match="not UTF-8"):
        _ = binary.text
    for message in (binary, *broken):
        with pytest.raises(cp.DecodeError, match="not JSON"):
            message.json()
    await leave(wire, stomp)


async def test_a_queue_is_bounded_in_bytes(wire: Wire) -> None:
    stomp = await connected(wire, max_queue_bytes=1000)
    subscription = await stomp.subscribe("/q")
    name = (await wire.heard("SUBSCRIBE")).headers["id"]
    for _ in range(3):  # read in time, so there is room again
        wire.says("MESSAGE", {"subscription": name}, bytes(900))
        assert len((await anext(subscription)).body) == 900
    wire.says("MESSAGE", {"subscription": name}, bytes(900))
    wire.says("MESSAGE", {"subscription": name}, bytes(900))
    await wire.closed.wait()
    await anext(subscription)
    with pytest.raises(cp.SlowConsumer, match="or 1000 bytes wait in the subscription to /q"):
        await anext(subscription)
    await stomp.close()
