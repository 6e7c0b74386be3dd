"""Invalid input in every phase: a close code, no exception, and the exchange continues to serve others."""

from __future__ import annotations

import asyncio
import json
import os
import struct
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from cryptoproto.exchange.link import ClientLink
from cryptoproto.transport import Closed
from cryptoproto.wire import ClientFrameType, ClientHello, ClientSession, Opened
from cryptoproto.wire.frames import ClientFrameCodec
from cryptoproto.wire.handshake import client_hello
from tests.support.raw import RawClient
from tests.support.trading import trade
from tests.support.wire_oracle import message_frame, request_frame

V5 = cp.Protocol.V5
Spoil = Callable[[bytes], bytes]


def flipped(frame: bytes) -> bytes:
    """The last bit of the last block but one, which is the last byte of the padding."""
    return frame[:-17] + bytes([frame[-17] ^ 1]) + frame[-16:]


# What is done to the frame that would be right, and the close code that answers it: to a hello, a proof, a message.
SPOILT: list[tuple[str, Spoil, tuple[int, int, int]]] = [
    ("empty", lambda frame: b"", (1008, 1008, 1002)),
    ("one byte", lambda frame: b"x", (1008, 1008, 1002)),
    ("truncated", lambda frame: frame[:-1], (1008, 1008, 1002)),
    ("half", lambda frame: frame[: len(frame) // 2 + 1], (1008, 1008, 1002)),
    ("extended", lambda frame: frame + b"x", (1008, 1008, 1002)),
    ("flipped", flipped, (1008, 1008, 1002)),
    ("random", lambda frame: b"\x00" + os.urandom(len(frame) - 2), (1008, 1008, 1002)),
    ("oversized", lambda frame: bytes(2**16 + 1), (1009, 1009, 1009)),
]


@pytest.mark.parametrize("phase", ["hello", "proof", "message"])
@pytest.mark.parametrize(("name", "spoil", "codes"), SPOILT, ids=[each[0] for each in SPOILT])
async def test_spoilt_frames(
    name: str,
    spoil: Spoil,
    codes: tuple[int, int, int],
    phase: str,
    keys: dict[str, cp.PrivateKey],
    kind: Any,
    protocol: cp.Protocol,
) -> None:
    options = {"transport": kind}
    async with (
        trade(keys, options, transport=kind, max_message_size=2**16) as floor,
        floor.connect("bob") as bob,
        RawClient.connected(floor.exchange.url) as client,
    ):
        expected = codes[("hello", "proof", "message").index(phase)]
        if phase == "hello":
            session = new_session(keys, protocol)
            client.link.send(spoil(session.hello()))
        elif phase == "proof":
            session = client.hello(keys, protocol=protocol)
            opened = session.receive(await client.message())
            assert isinstance(opened, Opened)
            client.link.send(spoil(opened.proof))
        else:
            session = await client.shake_hands(keys, protocol)
            client.link.send(spoil(message_frame(session, CANCEL_ALL)))
        async with asyncio.timeout(20):
            assert (await client.closed).code == expected
        await bob.request(cp.UserBalanceRequest())
        async with floor.connect("alice") as alice:
            assert alice.last_sequence == 0


def new_session(keys: dict[str, cp.PrivateKey], protocol: cp.Protocol) -> ClientSession:
    return ClientSession(
        client_id="alice",
        private_key=keys["alice"],
        server_key=keys["exchange"].public_key,
        random=os.urandom,
        protocol=protocol,
    )


def body(session: ClientSession, plain: bytes) -> bytes:
    """Encrypt any body with the session's key."""
    assert session._sealer is not None
    return session._sealer.seal(plain)


CANCEL_ALL = b'{"@type":"CancelAllOrders"}'
BODIES = [
    ("nothing", b""),
    ("four bytes", b"\x00\x00\x00\x01"),
    ("unknown type", struct.pack(">iqI", 7, 1, 0)),
    ("negative type", struct.pack(">iqI", -1, 1, 0)),
    ("a length beyond the end", struct.pack(">iqI", 1, 1, 2**32 - 1)),
    ("bytes behind the end", struct.pack(">iqI", 1, 1, 0) + bytes(4)),
    ("a fill that is none", struct.pack(">iqI", 1, 1, 1) + b"{xxx"),
]


@pytest.mark.parametrize(("name", "plain"), BODIES, ids=[each[0] for each in BODIES])
async def test_well_sealed_rubbish(
    name: str, plain: bytes, keys: dict[str, cp.PrivateKey], protocol: cp.Protocol
) -> None:
    async with trade(keys, {}) as floor, RawClient.connected(floor.exchange.url) as client:
        session = await client.shake_hands(keys, protocol)
        client.link.send(body(session, plain))
        async with asyncio.timeout(20):
            assert (await client.closed).code == 1002
        async with floor.connect("alice") as alice:
            await alice.request(cp.UserBalanceRequest())


async def test_a_signature_by_another_key(keys: dict[str, cp.PrivateKey]) -> None:
    async with trade(keys, {}) as floor, RawClient.connected(floor.exchange.url) as client:
        session = await client.shake_hands(keys, cp.Protocol.SIGNED)
        codec = ClientFrameCodec(cp.Protocol.SIGNED)
        data = codec.data(1, CANCEL_ALL)
        client.link.send(body(session, codec.signed_body(ClientFrameType.MESSAGE, data, keys["bob"].sign(data))))
        closed = await client.closed
        assert (closed.code, closed.reason) == (1008, "invalid key: a message was not signed with the registered key")
        assert floor.exchange.venue.client("alice").last_sequence == 0  # type: ignore[union-attr]


@pytest.mark.parametrize("phase", ["nothing", "hello", "live"])
async def test_text_messages(phase: str, keys: dict[str, cp.PrivateKey], kind: Any) -> None:
    async with trade(keys, {}, transport=kind) as floor, RawClient.connected(floor.exchange.url) as client:
        if phase == "hello":
            client.hello(keys)
            await client.message()
        elif phase == "live":
            await client.shake_hands(keys, V5)
        client.link.send_text("hello")
        closed = await client.closed
        assert (closed.code, closed.reason) == (1002, "a text message came where frames are binary")


async def test_frames_out_of_their_time(keys: dict[str, cp.PrivateKey]) -> None:
    async with trade(keys, {}) as floor:
        url = floor.exchange.url
        async with RawClient.connected(url) as client:  # a message before the hello
            client.link.send(bytes(64))
            assert (await client.closed).code == 1008
        async with RawClient.connected(url) as client:  # a second hello where the proof belongs
            client.hello(keys)
            client.hello(keys)
            assert (await client.closed).reason == "invalid key: the challenge was not signed with the registered key"
        async with RawClient.connected(url) as client:  # a second hello on a live session
            session = await client.shake_hands(keys, V5)
            client.link.send(session.hello())
            assert (await client.closed).code == 1002
        async with RawClient.connected(url) as client:  # a message where the proof belongs
            session = client.hello(keys, protocol=V5)
            session.receive(await client.message())
            client.link.send(message_frame(session, CANCEL_ALL))
            assert (await client.closed).code == 1008
        async with floor.connect("alice") as alice:
            assert alice.last_sequence == 0


@pytest.mark.parametrize("client_id", ["A" * 100, "\x00", "alice ", "ALICE", "' OR 1=1", "{}"])
async def test_invalid_client_ids(client_id: str, keys: dict[str, cp.PrivateKey]) -> None:
    import xdrlib3

    packer = xdrlib3.Packer()
    packer.pack_opaque(client_id.encode())
    packer.pack_hyper(0)
    packer.pack_opaque(bytes(32))
    async with trade(keys, {}) as floor, RawClient.connected(floor.exchange.url) as client:
        client.link.send(floor.exchange.public_key.encrypt(packer.get_buffer()))
        closed = await client.closed
        assert closed.code == 1008
        assert "is not registered" in closed.reason or len(closed.reason) > 100


# Any bytes at all, in memory


class Wire:
    """A transport for a link whose frames the test delivers."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.code: int | None = None
        self.writable = True

    def send(self, data: bytes) -> None:
        self.sent.append(data)

    def send_many(self, messages: Sequence[bytes]) -> None:
        self.sent += messages

    def send_text(self, text: str) -> None:
        raise AssertionError(text)

    def ping(self) -> None:
        pass

    async def drain(self) -> None:
        pass

    @property
    def remote_address(self) -> str:
        return ""

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def close(self, code: int, reason: str, timeout: float) -> None:
        assert self.code is None, "closed twice"
        reason.encode()
        self.code = code

    def abort(self) -> None:
        self.code = self.code or 1006


PHASES = ["nothing", "hello", "live", "sealed", "json"]
frames = st.lists(
    st.one_of(
        st.binary(max_size=80),
        st.integers(0, 6).flatmap(lambda blocks: st.binary(min_size=16 * blocks, max_size=16 * blocks)),
        st.builds(
            lambda kind, number, size, rest: struct.pack(">iqI", kind, number, size) + rest,
            st.sampled_from([0, 1, 2, 3, -1]),
            st.sampled_from([0, 1, 2, -1, 2**63 - 1]),
            st.sampled_from([0, 1, 4, 2**31, 2**32 - 1]),
            st.binary(max_size=12),
        ),
    ),
    min_size=1,
    max_size=5,
)
words = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=8),
        st.sampled_from(
            ["1", "1e999999999", "-0", "NaN", "BTC_USD", "PlaceBuyLimitOrder", "CancelOrder", "0.00000001"]
        ),
    ),
    lambda inner: st.lists(inner, max_size=2),
    max_leaves=3,
)
messages = st.dictionaries(
    st.sampled_from(["@type", "trade_pair", "amount", "price", "client_order_id", "ttl", "order_id", "x"]), words
)


@pytest.mark.parametrize("phase", PHASES)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_bytes_close_the_link_or_leave_it_healthy(
    phase: str, data: st.DataObject, keys: dict[str, cp.PrivateKey]
) -> None:
    protocol = data.draw(st.sampled_from([V5, cp.Protocol.SIGNED] if phase != "json" else [V5]))
    inputs: list[Any] = data.draw(st.lists(messages, min_size=1, max_size=4) if phase == "json" else frames)

    async def feed() -> None:
        exchange = Exchange(private_key=keys["exchange"])
        exchange.register("alice", keys["alice"].public_key, {"USD": 1000, "BTC": 10})
        totals = exchange.totals()
        link, wire = ClientLink(exchange), Wire()
        link.on_open(wire)
        session = new_session(keys, protocol)
        if phase != "nothing":
            link.on_message(session.hello())
        if phase in ("live", "sealed", "json"):
            opened = session.receive(wire.sent[-1])
            assert isinstance(opened, Opened)
            link.on_message(opened.proof)
        for each in inputs:
            if isinstance(each, dict):
                each = json.dumps({"@type": "PlaceBuyLimitOrder"} | each).encode()
                each = data.draw(st.sampled_from([message_frame, request_frame]))(session, each)
            elif phase == "sealed":
                each = body(session, each)
            link.on_message(each)
        if wire.code is None:
            assert phase in ("json", "live", "sealed") or not inputs
            link.on_message(message_frame(session, CANCEL_ALL))
            assert wire.code is None, "it was healthy, and a good message ended it"
        assert wire.code in (None, 1002, 1008, 4001)
        assert exchange.totals() == totals
        link.on_closed(Closed(None, ""))
        await asyncio.sleep(0)

    with asyncio.Runner() as runner:
        runner.run(feed())


def test_a_hello_with_any_numbers(keys: dict[str, cp.PrivateKey]) -> None:
    async def greet() -> None:
        exchange = Exchange(private_key=keys["exchange"])
        exchange.register("alice", keys["alice"].public_key)
        for seen in (-(2**63), -2, -1, 0, 1, 2**63 - 1):
            for version in (None, 5):
                link, wire = ClientLink(exchange), Wire()
                link.on_open(wire)
                link.on_message(client_hello(ClientHello("alice", seen, bytes(32), version), exchange.public_key))
                assert wire.code is None
                assert len(wire.sent) == 1
                link.on_closed(Closed(None, ""))

    with asyncio.Runner() as runner:
        runner.run(greet())
