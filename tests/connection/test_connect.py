"""connect(): awaited, and as a context manager."""

from __future__ import annotations

import pytest

import cryptoproto as cp
from tests.support.peer import Script

V5 = cp.Protocol.V5


def is_open(connection: cp.Connection) -> bool:
    """The property, each time anew in the type checker's eyes."""
    return connection.is_open


async def test_connect_is_awaitable_and_a_context_manager(
    script: Script, alice_key: cp.PrivateKey, protocol: cp.Protocol
) -> None:
    script.last_sequence = 41
    connection = await script.connect(alice_key, protocol=protocol, resume_from=17)
    assert is_open(connection)
    assert connection.error is None
    assert connection.last_sequence == 41
    assert connection.protocol is protocol
    assert repr(connection) == "<Connection alice to ws://127.0.0.1:1, open>"
    await script.peer.until(script.peer.live.done)
    assert script.peer.hello is not None
    assert (script.peer.hello.client_id, script.peer.hello.last_seen_order) == ("alice", 17)
    assert script.peer.hello.version == protocol.version
    await connection.close()
    assert not is_open(connection)
    assert connection.error is None
    assert repr(connection).endswith("closed>")
    async with script.connect(alice_key, protocol=protocol) as second:
        assert is_open(second)
    assert not is_open(second)
    async with await script.connect(alice_key, protocol=protocol) as third:
        assert is_open(third)
    assert not is_open(third)


async def test_a_body_that_raises_closes_the_connection_and_keeps_its_exception(
    script: Script, alice_key: cp.PrivateKey
) -> None:
    with pytest.raises(ZeroDivisionError):
        async with script.connect(alice_key) as connection:
            raise ZeroDivisionError
    assert not is_open(connection)
    await connection.wait_closed()
    assert script.peer.closed is not None
    assert script.peer.closed.code == 1000


async def test_each_connection_of_one_connect_is_its_own(script: Script, alice_key: cp.PrivateKey) -> None:
    connecting = script.connect(alice_key, protocol=V5)
    first, second = await connecting, await connecting
    assert first is not second
    assert len(script.peers) == 2
    await first.close()
    assert is_open(second)
    await second.close()


async def test_leaving_a_context_that_was_never_entered(script: Script, alice_key: cp.PrivateKey) -> None:
    await script.connect(alice_key).__aexit__(None, None, None)
    assert script.peers == []
