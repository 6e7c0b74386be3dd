"""The wire with any input: what is valid round-trips, what is not gives the documented error and no other."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cryptoproto as cp
from cryptoproto import HistoryRewound
from cryptoproto.wire import (
    BroadcastFrame,
    ClientFrame,
    ClientFrameCodec,
    ClientHello,
    ClientSession,
    ErrorFrame,
    MessageFrame,
    Opened,
    Opener,
    Protocol,
    Proven,
    RequestFrame,
    ResponseFrame,
    Sealer,
    ServerFrame,
    ServerFrameCodec,
    ServerHello,
    ServerSession,
    ThrottlingFrame,
    TransactionFrame,
    market_frame,
    read_market_frame,
    read_market_hello,
)
from cryptoproto.wire.handshake import client_hello, read_client_hello, read_server_hello, server_hello
from tests.support.wire_oracle import (
    Dice,
    by_oracle,
    client_body,
    frequent,
    message_frame,
    opened,
    packed,
    padded,
    private_key,
    public_key,
    read_by_oracle,
    request_frame,
    sessions,
    short_cuts,
    written,
)

PROTOCOLS = pytest.mark.parametrize("protocol", list(Protocol))
KEY = bytes(range(32))
SERVER_FRAMES = get_args(ServerFrame)
CLIENT_FRAMES = get_args(ClientFrame)
SIGNATURE = b"s" * 256


def examples(count: int) -> settings:
    return settings(max_examples=count, deadline=None)


INT32 = st.integers(-(2**31), 2**31 - 1)
INT64 = st.integers(-(2**63), 2**63 - 1)
PAYLOADS = st.binary(max_size=70)
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
TIMESTAMPS = st.floats(0.0, 1e11, exclude_max=True)

FROM_SERVER: st.SearchStrategy[ServerFrame] = st.one_of(
    st.builds(TransactionFrame, INT64, TIMESTAMPS, PAYLOADS),
    st.builds(ResponseFrame, INT64, PAYLOADS),
    st.builds(ErrorFrame, INT32, WORDS),
    st.builds(BroadcastFrame, PAYLOADS),
    st.builds(ThrottlingFrame, INT32, INT64, INT64),
)
FROM_CLIENT: st.SearchStrategy[ClientFrame] = st.one_of(
    st.builds(MessageFrame, INT64, PAYLOADS), st.builds(RequestFrame, INT64, PAYLOADS)
)


def said(server: ServerSession, frame: ServerFrame) -> bytes:
    """The sealed frame in which a server says *frame*."""
    match frame:
        case TransactionFrame():
            return server.transaction(frame.transaction_id, frame.timestamp, frame.payload)
        case ResponseFrame():
            return server.response(frame.request_id, frame.payload)
        case ErrorFrame():
            return server.error(frame.error_type, frame.text)
        case BroadcastFrame():
            return server.broadcast(frame.payload)
        case ThrottlingFrame():
            return server.throttling(frame.level, frame.request_id, frame.order_id)


Damage: TypeAlias = Callable[[bytes], bytes]


@st.composite
def damages(draw: st.DrawFn) -> Damage:
    """Something that happens to bytes: truncation, extension, flipped bits, other bytes, all of it rubbish."""
    kind = draw(st.sampled_from(["truncate", "extend", "flip", "overwrite", "cut out", "repeat", "rubbish"]))
    place, other = draw(st.integers(0, 2**16)), draw(st.integers(0, 2**16))
    more = draw(st.binary(min_size=1, max_size=40))

    def damage(data: bytes) -> bytes:
        at = place % (len(data) + 1)
        to = min(len(data), at + 1 + other % 24)
        match kind:
            case "truncate":
                return data[:at]
            case "extend":
                return data + more
            case "flip":
                bit = place % max(1, 8 * len(data))
                return bytes(byte ^ (1 << bit % 8 if position == bit // 8 else 0) for position, byte in enumerate(data))
            case "overwrite":
                return (data[:at] + more + data[at + len(more) :])[: len(data)]
            case "cut out":
                return data[:at] + data[to:]
            case "repeat":
                return data[:to] + data[at:]
            case _:
                return more

    return damage


# ---------------------------------------------------------------------------------------------- round trips


@PROTOCOLS
@given(frame=FROM_SERVER)
@examples(80)
def test_any_server_frame_round_trips(protocol: Protocol, frame: ServerFrame) -> None:
    codec = ServerFrameCodec(protocol)
    body = by_oracle(protocol, frame)
    assert codec.decode(body) == frame == read_by_oracle(protocol, body)
    plain = KEY[:16] + padded(body)
    assert frequent(codec, plain) in short_cuts(frame)


@PROTOCOLS
def test_any_server_frame_passes_a_connection(protocol: Protocol) -> None:
    client, server = sessions(protocol)

    @given(frame=FROM_SERVER)
    @examples(80)
    def check(frame: ServerFrame) -> None:
        client.last_transaction_id = -(2**63) - 1
        sent = said(server, frame)
        assert len(sent) == 16 + len(padded(by_oracle(protocol, frame)))
        assert client.receive(sent) == frame

    check()


@PROTOCOLS
def test_a_repeated_transaction_is_skipped_before_the_first_response_and_refused_after_it(protocol: Protocol) -> None:
    client, server = sessions(protocol)
    sent = server.transaction(7, 1.0, b"{}")
    assert client.receive(sent) == TransactionFrame(7, 1.0, b"{}")
    assert client.receive(sent) is None
    assert client.receive(server.transaction(6, 1.0, b"{}")) is None
    client.receive(server.response(1, b"{}"))
    for repeated in (7, 6, -1):
        with pytest.raises(HistoryRewound) as caught:
            client.receive(server.transaction(repeated, 1.0, b"{}"))
        assert (caught.value.position, caught.value.exchange_position) == (7, repeated)
    assert client.receive(server.transaction(8, 1.0, b"{}")) == TransactionFrame(8, 1.0, b"{}")


@PROTOCOLS
@given(frame=FROM_CLIENT, signature=st.binary(max_size=300))
@examples(80)
def test_any_client_frame_round_trips(protocol: Protocol, frame: ClientFrame, signature: bytes) -> None:
    codec = ClientFrameCodec(protocol)
    kind, number = (1, frame.sequence) if isinstance(frame, MessageFrame) else (2, frame.request_id)
    data = packed(("hyper", number), ("opaque", frame.payload))
    body = client_body(protocol, kind, number, frame.payload, lambda _: signature)
    assert codec.data(number, frame.payload) == data
    if protocol is Protocol.SIGNED:
        assert codec.signed_body(kind, data, signature) == body
        assert codec.decode(body) == (frame, data, signature)
    else:
        assert written(kind, number, frame.payload) == padded(body)
        assert codec.decode(body) == (frame, b"", b"")


CLIENT_NAMES = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=160)
AES_KEYS = st.binary(min_size=32, max_size=32)


@given(
    hello=st.builds(ClientHello, CLIENT_NAMES, INT64, AES_KEYS, st.none() | st.integers(0, 2**32 - 1)),
    answer=st.builds(ServerHello, AES_KEYS, st.integers(-(2**63), 2**62), AES_KEYS, st.sampled_from([None, 5])),
)
@examples(40)
def test_any_hello_round_trips(hello: ClientHello, answer: ServerHello) -> None:
    assert read_client_hello(client_hello(hello, public_key("server")), private_key("server")) == hello
    frame = server_hello(answer, public_key("client"))
    assert read_server_hello(frame, private_key("client"), Protocol.V5) == answer


@given(bodies=st.lists(st.binary(max_size=100), max_size=10), key=AES_KEYS)
@examples(80)
def test_any_body_passes_the_cipher(bodies: list[bytes], key: bytes) -> None:
    sealer, opener = Sealer(key, os.urandom), Opener(key)
    frames = [sealer.seal(body) for body in bodies]
    assert [opener.open(frame) for frame in frames] == bodies
    # A context that has seen other frames, in another order, opens them just as well.
    assert [opener.open(frame) for frame in reversed(frames)] == bodies[::-1]
    assert len({frame[:16] for frame in frames}) == len(frames)


# ---------------------------------------------------------------------------------------------- damaged bodies


@PROTOCOLS
@given(frame=FROM_SERVER, damage=damages(), again=st.none() | damages())
@examples(140)
def test_any_server_body_is_a_frame_or_a_decode_error(
    protocol: Protocol, frame: ServerFrame, damage: Damage, again: Damage | None
) -> None:
    codec = ServerFrameCodec(protocol)
    body = damage(by_oracle(protocol, frame))
    body = again(body) if again else body
    try:
        received = codec.decode(body)
    except cp.DecodeError:
        received = None
    # xdrlib3 takes any fill and any timestamp; apart from those two the readers agree.
    expected = read_by_oracle(protocol, body)
    if received is not None:
        assert received == expected
        if not isinstance(received, ErrorFrame):
            assert by_oracle(protocol, received) == body
    elif expected is not None:
        time_is_right = not isinstance(expected, TransactionFrame) or 0 <= expected.timestamp < 1e11
        assert not time_is_right or by_oracle(protocol, expected) != body


@PROTOCOLS
@given(frame=FROM_SERVER, damage=damages(), last=st.none() | st.binary(min_size=1, max_size=16))
@examples(160)
def test_the_short_cut_agrees_with_the_long_way(
    protocol: Protocol, frame: ServerFrame, damage: Damage, last: bytes | None
) -> None:
    codec = ServerFrameCodec(protocol)
    plain = KEY[:16] + padded(by_oracle(protocol, frame))
    damaged = damage(plain)
    candidates = [plain, damaged, KEY[:16] + padded(damage(plain[16:])), KEY[:16] + padded(damaged)]
    if last is not None:
        candidates.append(plain[: -len(last)] + last)
    for candidate in candidates:
        if len(candidate) < 32 or len(candidate) % 16:  # the cipher gives none of these
            continue
        try:
            received = codec.decode(opened(candidate))
            expected = short_cuts(received)
        except cp.DecodeError:
            expected = (None,)
        assert frequent(codec, candidate) in expected


@PROTOCOLS
@given(frame=FROM_CLIENT, damage=damages(), again=st.none() | damages())
@examples(140)
def test_any_client_body_is_a_frame_or_a_decode_error(
    protocol: Protocol, frame: ClientFrame, damage: Damage, again: Damage | None
) -> None:
    codec = ClientFrameCodec(protocol)
    kind, number = (1, frame.sequence) if isinstance(frame, MessageFrame) else (2, frame.request_id)
    body = damage(client_body(protocol, kind, number, frame.payload, lambda _: SIGNATURE))
    body = again(body) if again else body
    try:
        received, data, signature = codec.decode(body)
    except cp.DecodeError:
        return
    kind, number = (1, received.sequence) if isinstance(received, MessageFrame) else (2, received.request_id)
    # What is accepted is exactly what would have been sent.
    assert client_body(protocol, kind, number, received.payload, lambda _: signature) == body
    assert data == (codec.data(number, received.payload) if protocol is Protocol.SIGNED else b"")


@given(payload=PAYLOADS, damage=damages())
@examples(140)
def test_any_market_frame_is_a_payload_or_a_decode_error(payload: bytes, damage: Damage) -> None:
    frame = market_frame(payload)
    assert frame == packed(("enum", 4), ("opaque", payload))
    damaged = damage(frame)
    try:
        assert market_frame(read_market_frame(damaged)) == damaged
    except cp.DecodeError:
        assert damaged != frame
    try:
        assert read_market_hello(damaged) == int.from_bytes(damaged, "big")
    except cp.DecodeError:
        assert len(damaged) != 4


# ---------------------------------------------------------------------------------------------- damaged hellos


@given(client_id=CLIENT_NAMES, version=st.sampled_from([None, 5]), damage=damages())
@examples(50)
def test_any_first_frame(client_id: str, version: int | None, damage: Damage) -> None:
    plaintext = packed(("opaque", client_id.encode()), ("hyper", 5), ("opaque", KEY))
    plaintext += b"" if version is None else packed(("uint", version))
    server = ServerSession(private_key("server"), Dice())
    frame = public_key("server").encrypt(damage(plaintext)[:214])
    try:
        hello = server.receive(frame)
    except (cp.DecodeError, cp.UnsupportedVersion):
        pass
    else:
        assert isinstance(hello, ClientHello)
        assert len(hello.aes_key) == 32
    # Damage to the frame itself cannot be told from another key. The lengths: RSA takes one alone.
    other = ServerSession(private_key("server"), Dice())
    if (damaged := damage(frame)) != frame:
        with pytest.raises(cp.InvalidKey):
            other.receive(damaged)


@PROTOCOLS
@given(damage=damages(), again=st.none() | damages())
@examples(40)
def test_any_second_frame(protocol: Protocol, damage: Damage, again: Damage | None) -> None:
    client = ClientSession(
        client_id="alice",
        private_key=private_key("client"),
        server_key=public_key("server"),
        random=Dice(),
        protocol=protocol,
    )
    plaintext = packed(("opaque", KEY), ("hyper", 5), ("opaque", KEY))
    plaintext += b"" if protocol.version is None else packed(("uint", protocol.version))
    damaged = damage(plaintext)
    damaged = again(damaged) if again else damaged
    frame = public_key("client").encrypt(damaged[:214])
    if (wire := damage(frame)) != frame:
        # A frame of four bytes is the first frame of market data, and the error says so.
        with pytest.raises(cp.DecodeError if len(wire) == 4 else cp.InvalidKey):
            client.receive(wire)
    try:
        opened = client.receive(frame)
    except (cp.DecodeError, cp.UnsupportedVersion):
        return
    assert isinstance(opened, Opened)
    assert client.next_sequence == opened.last_sequence + 1
    # Whatever was accepted, the connection can be used.
    assert message_frame(client)


@given(damage=damages())
@examples(40)
def test_any_third_frame(damage: Damage) -> None:
    client = ClientSession(
        client_id="alice", private_key=private_key("client"), server_key=public_key("server"), random=Dice()
    )
    server = ServerSession(private_key("server"), Dice())
    server.receive(client.hello())
    opened = client.receive(server.accept(public_key("client"), 0))
    assert isinstance(opened, Opened)
    damaged = damage(opened.proof)
    if damaged != opened.proof:
        with pytest.raises(cp.InvalidKey):
            server.receive(damaged)
    assert server.receive(opened.proof) == Proven()


# ---------------------------------------------------------------------------------------------- damaged frames


def every_flip(frame: bytes) -> Iterator[bytes]:
    """*frame* with each of its bits flipped in turn."""
    for place in range(8 * len(frame)):
        byte = frame[place // 8] ^ 1 << place % 8
        yield frame[: place // 8] + bytes([byte]) + frame[place // 8 + 1 :]


@PROTOCOLS
@pytest.mark.parametrize("frame", [TransactionFrame(5, 1.5, b'{"a":1}'), ErrorFrame(1, "words"), BroadcastFrame(b"{}")])
def test_every_flipped_bit_from_a_server(protocol: Protocol, frame: ServerFrame) -> None:
    client, server = sessions(protocol)
    good = said(server, frame)
    readable = 0
    for damaged in every_flip(good):
        client.last_transaction_id = -(2**63) - 1
        try:
            received = client.receive(damaged)
        except (cp.DecodeError, cp.HistoryRewound):
            continue
        # Frames are not authenticated: damage that leaves the form whole cannot be seen. It is another frame then.
        readable += 1
        assert isinstance(received, SERVER_FRAMES)
        assert received != frame
    assert readable < 8 * len(good) / 2
    client.last_transaction_id = -(2**63) - 1
    assert client.receive(good) == frame


@PROTOCOLS
@pytest.mark.parametrize("message", [True, False])
def test_every_flipped_bit_from_a_client(protocol: Protocol, *, message: bool) -> None:
    client, server = sessions(protocol)
    good = (message_frame if message else request_frame)(client, b'{"a":1}')
    for damaged in every_flip(good):
        server.next_sequence = 1
        try:
            received = server.receive(damaged)
        except (cp.DecodeError, cp.InvalidKey, cp.InvalidSequence):
            assert server.next_sequence == 1
            continue
        assert isinstance(received, CLIENT_FRAMES)
        # A signature covers all that matters: not one bit can be flipped unnoticed.
        assert protocol is Protocol.V5
    server.next_sequence = 1
    assert isinstance(server.receive(good), MessageFrame if message else RequestFrame)


@PROTOCOLS
def test_every_truncation_and_many_an_extension(protocol: Protocol) -> None:
    client, server = sessions(protocol)
    event, order = server.transaction(5, 1.5, b'{"a":1}'), message_frame(client, b'{"a":1}')
    for good, receive in ((event, client.receive), (order, server.receive)):
        for size in range(len(good)):
            with pytest.raises((cp.DecodeError, cp.InvalidKey)):
                receive(good[:size])
        for more in (b"\0", bytes(15), bytes(16), bytes(32), good[-16:], good, bytes(2**20)):
            with pytest.raises((cp.DecodeError, cp.InvalidKey)):
                receive(good + more)
    assert client.receive(event) == TransactionFrame(5, 1.5, b'{"a":1}')
    assert server.receive(order) == MessageFrame(1, b'{"a":1}')


@PROTOCOLS
def test_any_damage_on_an_open_connection(protocol: Protocol) -> None:
    client, server = sessions(protocol)
    order = message_frame(client, b'{"a":1}')

    @given(frame=FROM_SERVER, damage=damages(), again=st.none() | damages())
    @examples(80)
    def from_the_server(frame: ServerFrame, damage: Damage, again: Damage | None) -> None:
        client.last_transaction_id = 0
        damaged = damage(said(server, frame))
        try:
            received = client.receive(again(damaged) if again else damaged)
        except (cp.DecodeError, cp.HistoryRewound):  # damage can make a response or an old transaction of it
            pass
        else:
            assert received is None or isinstance(received, SERVER_FRAMES)
        # The opener is as good as before.
        client.last_transaction_id = 0
        assert client.receive(server.transaction(1, 1.0, b"{}")) == TransactionFrame(1, 1.0, b"{}")

    @given(damage=damages(), again=st.none() | damages())
    @examples(80)
    def from_the_client(damage: Damage, again: Damage | None) -> None:
        server.next_sequence = 1
        damaged = damage(order)
        try:
            received = server.receive(again(damaged) if again else damaged)
        except (cp.DecodeError, cp.InvalidKey, cp.InvalidSequence):
            pass
        else:
            assert isinstance(received, CLIENT_FRAMES)
        server.next_sequence = 1
        assert server.receive(order) == MessageFrame(1, b'{"a":1}')

    from_the_server()
    from_the_client()


@PROTOCOLS
def test_any_rubbish_under_the_right_key(protocol: Protocol) -> None:
    """A peer that seals what it likes."""
    client, server = sessions(protocol, random=Dice(b"c" * 32, b"s" * 32))
    to_client, to_server = Sealer(b"s" * 32, os.urandom), Sealer(b"c" * 32, os.urandom)

    @given(body=st.binary(max_size=120), kind=st.none() | st.integers(-1, 6))
    @examples(140)
    def check(body: bytes, kind: int | None) -> None:
        client.last_transaction_id, server.next_sequence = 0, 1
        body = body if kind is None else packed(("enum", kind)) + body
        try:
            received: Any = client.receive(to_client.seal(body))
        except (cp.DecodeError, cp.HistoryRewound):
            pass
        else:
            assert received is None or isinstance(received, SERVER_FRAMES)
        try:
            received = server.receive(to_server.seal(body))
        except (cp.DecodeError, cp.InvalidKey, cp.InvalidSequence):
            pass
        else:
            assert isinstance(received, CLIENT_FRAMES)

    check()


# ---------------------------------------------------------------------------------------------- whole connections

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("message"), PAYLOADS),
        st.tuples(st.just("request"), PAYLOADS),
        st.tuples(st.just("event"), st.integers(1, 2**40)),
        st.tuples(st.just("replay"), st.integers(0, 2**40)),
        st.tuples(st.just("broadcast"), PAYLOADS),
        st.tuples(st.just("throttling"), INT32),
        st.tuples(st.just("error"), WORDS),
        st.tuples(st.just("respond"), PAYLOADS),
        st.tuples(st.just("to server"), st.integers(1, 5)),
        st.tuples(st.just("to client"), st.integers(1, 5)),
    ),
    max_size=40,
)


class Pair:
    """A client and a server in memory, a queue in each direction, and what each should hear."""

    def __init__(self, protocol: Protocol, resume_from: int, last_sequence: int) -> None:
        self.client, self.server = sessions(
            protocol, random=os.urandom, resume_from=resume_from, last_sequence=last_sequence
        )
        self.to_server: deque[tuple[bytes, ClientFrame]] = deque()
        self.to_client: deque[tuple[bytes, ServerFrame | None]] = deque()
        self.sequence = last_sequence
        self.request_id = 0
        self.transaction_id = max(resume_from, 0)
        self.unanswered: deque[int] = deque()
        self.has_responded = False  # nothing is replayed after that

    def step(self, kind: str, value: Any) -> None:
        client, server = self.client, self.server
        match kind:
            case "message":
                self.sequence += 1
                self.to_server.append((message_frame(client, value), MessageFrame(self.sequence, value)))
            case "request":
                self.request_id += 1
                self.to_server.append((request_frame(client, value), RequestFrame(self.request_id, value)))
            case "event":
                self.transaction_id += value
                self.say(TransactionFrame(self.transaction_id, 1.5, b'{"n":%d}' % value))
            case "replay" if not self.has_responded:
                self.say(TransactionFrame(max(0, self.transaction_id - value), 1.5, b"{}"), skipped=True)
            case "broadcast":
                self.say(BroadcastFrame(value))
            case "throttling":
                self.say(ThrottlingFrame(value, self.request_id, 7))
            case "error":
                self.say(ErrorFrame(2, value))
            case "respond" if self.unanswered:
                self.has_responded = True
                self.say(ResponseFrame(self.unanswered.popleft(), value))
            case "to server":
                for _ in range(min(value, len(self.to_server))):
                    frame, heard = self.to_server.popleft()
                    assert server.receive(frame) == heard
                    if isinstance(heard, RequestFrame):
                        self.unanswered.append(heard.request_id)
            case "to client":
                for _ in range(min(value, len(self.to_client))):
                    frame, expected = self.to_client.popleft()
                    assert client.receive(frame) == expected

    def say(self, frame: ServerFrame, *, skipped: bool = False) -> None:
        self.to_client.append((said(self.server, frame), None if skipped else frame))


@PROTOCOLS
@given(steps=STEPS, resume_from=st.integers(-1, 2**40), last_sequence=st.integers(0, 2**40))
@examples(40)
def test_any_interleaving(
    protocol: Protocol, steps: list[tuple[str, Any]], resume_from: int, last_sequence: int
) -> None:
    pair = Pair(protocol, resume_from, last_sequence)
    if resume_from == -1:  # a live client has nothing behind it that could be replayed
        pair.step("event", 1)
    for kind, value in [*steps, ("to server", len(steps)), ("to client", len(steps) + 1)]:
        pair.step(kind, value)
    assert not pair.to_server
    assert not pair.to_client
    assert pair.client.next_sequence == pair.server.next_sequence == pair.sequence + 1
    assert pair.client.last_transaction_id == pair.transaction_id
