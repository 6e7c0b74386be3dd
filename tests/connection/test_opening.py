"""Opening a link: every way in which the network or the handshake fails."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.connection import Connection, ConnectOptions
from cryptoproto.transport import Listener, OpenOptions, Transport
from cryptoproto.wire import ServerHello
from cryptoproto.wire.handshake import server_hello
from tests.support.peer import Script, settle
from tests.support.virtual_time import virtual

V5 = cp.Protocol.V5


@pytest.mark.parametrize("stage", ["network", "hello"])
def test_open_timeout_covers_every_stage(
    stage: str, protocol: cp.Protocol, script: Script, alice_key: cp.PrivateKey
) -> None:
    @virtual
    async def check() -> None:
        loop = asyncio.get_running_loop()
        if stage == "network":
            script.before_open = loop.create_future  # awaited, and never done
        else:
            script.answer_hello = lambda peer: None
        before = loop.time()
        with pytest.raises(cp.OpenTimeout, match=r"did not finish the handshake within 2\.5 s") as caught:
            await script.connect(alice_key, protocol=protocol, open_timeout=2.5)
        assert loop.time() - before == pytest.approx(2.5)
        assert isinstance(caught.value, TimeoutError | cp.HandshakeError)
        if stage == "hello":
            await settle()
            assert script.peer.closed is not None, "the link was left open"

    check()


async def test_nobody_at_the_address(script: Script, alice_key: cp.PrivateKey) -> None:
    async def refuse() -> None:
        raise ConnectionRefusedError(111, "Connection refused")

    script.before_open = refuse
    with pytest.raises(
        cp.ConnectionClosed, match=r"cannot connect to ws://127\.0\.0\.1:1: Connection refused"
    ) as caught:
        await script.connect(alice_key)
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)
    assert caught.value.code is None


async def test_an_exception_of_a_custom_opener_is_raised_and_the_link_closed(
    script: Script, alice_key: cp.PrivateKey
) -> None:
    inner = script.opener()

    async def faulty(url: str, listener: Listener, options: OpenOptions) -> Transport:
        await inner(url, listener, options)
        raise KeyError("by design")

    with pytest.raises(KeyError):
        await script.connect(alice_key, transport=faulty)
    await settle()
    assert script.peer.closed is not None


async def test_a_network_error_without_a_text(script: Script, alice_key: cp.PrivateKey) -> None:
    async def refuse() -> None:
        raise OSError("by design")

    script.before_open = refuse
    with pytest.raises(cp.ConnectionClosed, match=r"cannot connect to .*: by design"):
        await script.connect(alice_key)


async def test_an_answer_for_another_key(script: Script, alice_key: cp.PrivateKey, bob_key: cp.PrivateKey) -> None:
    script.client_key = bob_key.public_key
    with pytest.raises(cp.InvalidKey, match="it knows another public key for this client id"):
        await script.connect(alice_key)
    await settle()
    assert script.peer.closed is not None
    assert script.peer.closed.code == 1002


@pytest.mark.parametrize("version", [0, 2, 3, 4, 6])
async def test_an_exchange_of_another_version(
    version: int, script: Script, alice_key: cp.PrivateKey, protocol: cp.Protocol
) -> None:
    hello = ServerHello(bytes(32), 0, bytes(32), version)
    script.answer_hello = lambda peer: peer.link.send(server_hello(hello, alice_key.public_key))
    with pytest.raises(cp.UnsupportedVersion, match=f"speaks version {version} of the protocol"):
        await script.connect(alice_key, protocol=protocol)


@pytest.mark.parametrize("frame", [b"", b"x", bytes(256), b"y" * 2**20, b"z" * (2**20 + 1)], ids=len)
async def test_rubbish_for_a_hello(frame: bytes, script: Script, alice_key: cp.PrivateKey) -> None:
    script.answer_hello = lambda peer: peer.link.send(frame)
    with pytest.raises((cp.InvalidKey, cp.DecodeError)):
        await script.connect(alice_key)
    await settle()
    assert script.peer.closed is not None


async def test_a_password_in_the_address_is_in_no_error_and_no_repr(
    script: Script, alice_key: cp.PrivateKey, unused_tcp_port: int
) -> None:
    address = f"ws://alice:geheim@127.0.0.1:{unused_tcp_port}"
    options: dict[str, Any] = {"client_id": "a", "private_key": alice_key, "server_key": script.private_key.public_key}
    with pytest.raises(cp.ConnectError) as caught:
        await cp.connect(address, **options)
    assert str(caught.value).startswith(f"cannot connect to ws://***@127.0.0.1:{unused_tcp_port}: ")
    script.answer_hello = lambda _: None
    options |= {"transport": script.opener(), "open_timeout": 0.01}
    with pytest.raises(cp.OpenTimeout) as late:
        await cp.connect(address, **options)
    connection = Connection(ConnectOptions(url=address, **options))
    await connection.close()
    for text in (str(caught.value), str(late.value), repr(connection)):
        assert "geheim" not in text
        assert "alice:" not in text
