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
    with pytest.raises(cp.ConfigurationError, match="asks for no acknowledgement"):
        await (await anext(subscription)).ack()
    await leave(wire, stomp)


async def test_a_slow_consumer_is_told(wire: Wire) -> None:
    stomp = await connected(wire, max_queue=2)
    subscription = await stomp.subscribe("/q")
    name = (await wire.heard("SUBSCRIBE")).headers["id"]
    for _ in range(3):
        wire.says("MESSAGE", {"subscription": name})
    await wire.closed.wait()
    await anext(subscription)
    await anext(subscription)
    with pytest.raises(cp.SlowConsumer, match="2 messages wait in a subscription to /q"):
        await anext(subscription)
    await stomp.close()


async def test_a_subscription_that_could_not_be_sent_is_forgotten(wire: Wire) -> None:
    stomp = await connected(wire)
    with pytest.raises(cp.ConfigurationError, match="NUL"):
        await stomp.subscribe("/q\0")
    assert not stomp._subscriptions
    await leave(wire, stomp)
