"""CONNECT and its answers."""

from __future__ import annotations

import asyncio

import pytest

import cryptoproto as cp
from cryptoproto.apikeys import ApiKeyAuth
from tests.support.apikeys.stomp_wire import Wire, connecting


async def test_connect_carries_the_credentials(wire: Wire) -> None:
    auth = ApiKeyAuth("TEST_API_KEY", "TEST_API_SECRET")
    wire.says("CONNECTED", {"version": "1.1", "server": "x"})
    async with connecting(wire, auth=auth, headers={"login": "me"}, heart_beat_ms=(0, 0)) as stomp:
        sent = (await wire.heard("CONNECT")).headers
        assert sent["accept-version"] == "1.1,1.2"
        assert (sent["host"], sent["heart-beat"], sent["login"]) == ("gateway", "0,0", "me")
        assert {name: sent[name] for name in sent if name.startswith("X-")} == auth.stomp_headers(
            sent["X-Deltix-Payload"]
        )
        assert (stomp.version, stomp.headers["server"]) == ("1.1", "x")
        assert wire.options is not None
        assert wire.options.subprotocols == ("v12.stomp", "v11.stomp")
        wire.hangs_up()


async def test_a_refused_connect(wire: Wire) -> None:
    wire.says("ERROR", {"message": "unknown API key"})
    with pytest.raises(cp.LoginRefused, match="refused the CONNECT: unknown API key; are the key"):
        await connecting(wire)
    await wire.closed.wait()


@pytest.mark.parametrize(
    ("command", "headers", "complaint"),
    [
        ("CONNECTED", {}, r"CONNECTED 1\.0"),
        ("CONNECTED", {"version": "1.3"}, r"CONNECTED 1\.3"),
        ("RECEIPT", {"receipt-id": "1"}, "with RECEIPT"),
    ],
)
async def test_other_answers_to_connect(wire: Wire, command: str, headers: dict[str, str], complaint: str) -> None:
    wire.says(command, headers)
    with pytest.raises(cp.HandshakeError, match=complaint):
        await connecting(wire)
    await wire.closed.wait()


async def test_no_answer_to_connect(wire: Wire) -> None:
    wire.hangs_up()
    with pytest.raises(cp.HandshakeError, match="closed the connection instead of answering"):
        await connecting(wire)
    with pytest.raises(TimeoutError):
        await connecting(wire, open_timeout=0)
    await wire.closed.wait()
    wire.says_bytes(b"HTTP/1.1 400\n\n")
    with pytest.raises(cp.HandshakeError, match="is not STOMP"):
        await connecting(wire)


async def test_a_cancelled_connect_cuts_the_link(wire: Wire) -> None:
    attempt = asyncio.create_task(connecting(wire).__aenter__())
    await wire.heard("CONNECT")
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt
    await wire.closed.wait()
    assert wire.code is None


async def test_heart_beats_before_connected_and_too_many_frames(wire: Wire) -> None:
    wire.beats()
    wire.says("CONNECTED", {"version": "1.2"})
    async with connecting(wire) as stomp:
        assert stomp.version == "1.2"
        wire.hangs_up()
    await wire.closed.wait()
    await wire.heard("CONNECT")
    wire.says_bytes(b"CONNECTED\nversion:1.2\n\n\0CONNECTED\nversion:1.2\n\n\0")
    with pytest.raises(cp.HandshakeError, match="more than one frame"):
        await connecting(wire)
    await wire.closed.wait()
