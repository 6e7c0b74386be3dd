"""The state of a connection, both roles: phases, sequences, replay, and what each step refuses."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

import cryptoproto as cp
from cryptoproto.wire import (
    BroadcastFrame,
    ClientHello,
    ClientSession,
    Draft,
    ErrorFrame,
    MessageFrame,
    Opened,
    Opener,
    Protocol,
    Proven,
    RequestFrame,
    ResponseFrame,
    Sealer,
    ServerSession,
    ThrottlingFrame,
    TransactionFrame,
)
from tests.support.wire_oracle import (
    Dice,
    client_body,
    message_frame,
    packed,
    private_key,
    public_key,
    request_frame,
    server_body,
    sessions,
)

PROTOCOLS = pytest.mark.parametrize("protocol", list(Protocol))


def new_client(
    protocol: Protocol = Protocol.SIGNED,
    *,
    resume_from: int = 0,
    client_id: str = "alice",
    max_frame_bytes: int = 2**20,
) -> ClientSession:
    return ClientSession(
        client_id=client_id,
        private_key=private_key("client"),
        server_key=public_key("server"),
        random=Dice(),
        resume_from=resume_from,
        protocol=protocol,
        max_frame_bytes=max_frame_bytes,
    )


def new_server(max_frame_bytes: int = 2**20) -> ServerSession:
    return ServerSession(private_key("server"), Dice(), max_frame_bytes)


# ---------------------------------------------------------------------------------------------- handshake


@PROTOCOLS
def test_handshake(protocol: Protocol) -> None:
    client, server = new_client(protocol, resume_from=42), new_server()
    hello = server.receive(client.hello())
    assert isinstance(hello, ClientHello)
    assert (hello.client_id, hello.last_seen_order, hello.version) == ("alice", 42, protocol.version)
    assert server.protocol is protocol
    opened = client.receive(server.accept(public_key("client"), 10))
    assert isinstance(opened, Opened)
    assert (opened.last_sequence, opened.version) == (10, protocol.version)
    assert (client.last_sequence, client.next_sequence, client.last_transaction_id) == (10, 11, 42)
    assert server.receive(opened.proof) == Proven()
    assert server.next_sequence == 11
    assert client.hello() is client.hello()


def test_before_the_handshake_a_client_has_sent_and_received_nothing() -> None:
    client = ClientSession(
        client_id="alice", private_key=private_key("client"), server_key=public_key("server"), random=Dice()
    )
    assert (client.last_sequence, client.next_sequence, client.last_transaction_id) == (0, 0, 0)
    hello = new_server().receive(client.hello())
    assert isinstance(hello, ClientHello)
    assert hello.last_seen_order == 0, "everything from the start"


def test_a_server_before_the_first_hello() -> None:
    server = new_server()
    assert (server.protocol, server.next_sequence) == (Protocol.SIGNED, 0)


@PROTOCOLS
def test_hellos_of_the_largest_size(protocol: Protocol) -> None:
    client, server = sessions(protocol, max_frame_bytes=256)  # that of the keys
    assert client.next_sequence == server.next_sequence == 1
    with pytest.raises(cp.DecodeError, match=r"^a frame of 256 bytes exceeds the limit of 255$"):
        sessions(protocol, max_frame_bytes=255)


@PROTOCOLS
def test_the_first_read_has_more_than_the_hello(protocol: Protocol) -> None:
    client, server = new_client(protocol), new_server()
    server.receive(client.hello())
    hello = server.accept(public_key("client"), 0)
    received, error = client.receive_all([hello, *[b"damaged"] * 5])
    assert [type(each) for each in received] == [Opened]
    assert isinstance(error, cp.DecodeError)


@PROTOCOLS
def test_a_server_that_says_no_version(protocol: Protocol) -> None:
    client = new_client(protocol)
    answer = packed(("opaque", bytes(32)), ("hyper", 0), ("opaque", bytes(32)))
    opened = client.receive(public_key("client").encrypt(answer))
    assert isinstance(opened, Opened)
    assert opened.version is None


def test_each_session_has_new_keys() -> None:
    source = Dice()
    keys = {private_key("server").decrypt(sessions(Protocol.V5, random=source)[0].hello())[-36:-4] for _ in range(3)}
    assert len(keys) == 3
    assert source.asked.count(32) == 9  # two AES keys and a challenge each


@pytest.mark.parametrize("client_id", ["", "zoë", "a" * 165])
def test_a_client_id_is_judged_before_anything_is_sent(client_id: str) -> None:
    with pytest.raises(cp.ConfigurationError, match="client_id"):
        new_client(client_id=client_id)


@pytest.mark.parametrize("version", [0, 1, 2, 3, 4, 6, 2**32 - 1])
def test_a_client_of_a_version_not_spoken(version: int) -> None:
    hello = packed(("opaque", b"old"), ("hyper", 0), ("opaque", bytes(32)), ("uint", version))
    with pytest.raises(cp.UnsupportedVersion, match=f"version {version} of the protocol is not supported: send ver"):
        new_server().receive(public_key("server").encrypt(hello))


def test_wrong_keys_on_either_side() -> None:
    client = new_client()
    wrong = ServerSession(private_key("other"), Dice())
    with pytest.raises(cp.InvalidKey):
        wrong.receive(client.hello())
    server = new_server()
    server.receive(client.hello())
    with pytest.raises(cp.InvalidKey, match="it knows another public key for this client id"):
        client.receive(server.accept(public_key("other"), 0))


@pytest.mark.parametrize("proof", [b"", b"x", bytes(256), b"\xff" * 256, bytes(100_000)])
def test_an_invalid_proof(proof: bytes) -> None:
    server = new_server()
    server.receive(new_client().hello())
    server.accept(public_key("client"), 0)
    with pytest.raises(cp.InvalidKey, match=r"^the challenge was not signed with the registered key$"):
        server.receive(proof)


def test_a_proof_of_another_or_of_another_challenge() -> None:
    client, server = new_client(), new_server()
    server.receive(client.hello())
    opened = client.receive(server.accept(public_key("client"), 0))
    assert isinstance(opened, Opened)
    with pytest.raises(cp.InvalidKey):
        server.receive(private_key("client").sign(bytes(32)))
    again = new_server()
    again.receive(client.hello())
    again.accept(public_key("other"), 0)
    with pytest.raises(cp.InvalidKey):
        again.receive(opened.proof)


def test_a_proof_before_the_answer() -> None:
    server = new_server()
    server.receive(new_client().hello())
    with pytest.raises(cp.DecodeError, match=r"^received a frame before the server's hello was sent$"):
        server.receive(bytes(256))


def test_hellos_larger_than_the_limit() -> None:
    client, server = new_client(max_frame_bytes=128), new_server(max_frame_bytes=128)
    with pytest.raises(cp.DecodeError, match="a frame of 256 bytes exceeds the limit of 128"):
        server.receive(client.hello())
    with pytest.raises(cp.DecodeError, match="a frame of 129 bytes exceeds the limit of 128"):
        client.receive(bytes(129))


def test_steps_out_of_their_order() -> None:
    client, server = new_client(), new_server()
    with pytest.raises(cp.ProtocolError, match=r"^the client has not sent its hello$"):
        server.accept(public_key("client"), 0)
    too_early: list[Callable[[], bytes]] = [
        lambda: server.transaction(1, 1.0, b"{}"),
        lambda: server.response(1, b"{}"),
        lambda: server.error(1, "words"),
        lambda: server.broadcast(b"{}"),
        lambda: server.throttling(1, 2, 3),
        lambda: client.seal_body(bytes(16)),
    ]
    for send in too_early:
        with pytest.raises(cp.ProtocolError, match=r"^the handshake is not complete$"):
            send()


# ---------------------------------------------------------------------------------------------- client to server


@PROTOCOLS
def test_messages_and_requests(protocol: Protocol) -> None:
    client, server = sessions(protocol, last_sequence=10)
    first, request, second = message_frame(client, b'{"a":1}'), request_frame(client), message_frame(client, b"")
    assert client.next_sequence == 13
    assert server.receive(first) == MessageFrame(11, b'{"a":1}')
    assert server.receive(request) == RequestFrame(1, b"{}")
    assert server.receive(second) == MessageFrame(12, b"")
    assert server.next_sequence == 13
    assert server.receive(request_frame(client)) == RequestFrame(2, b"{}")


def test_drafts_have_their_numbers() -> None:
    client, _ = sessions(Protocol.SIGNED, last_sequence=10)
    assert client.draft_message(b'{"a":1}') == Draft(1, 11, b'{"a":1}')
    assert client.draft_message(b"") == Draft(1, 12, b"")
    assert client.draft_request(b"{}") == Draft(2, 1, b"{}")
    assert client.draft_request(b"{}") == Draft(2, 2, b"{}")


@pytest.mark.parametrize("size", range(17))
def test_a_message_that_was_signed_before_its_sequence_was_taken(size: int) -> None:
    client, server = sessions(Protocol.SIGNED, last_sequence=4)
    body = client.signed_body(Draft(1, 5, b"x" * size))
    assert client.next_sequence == 5
    assert client.take_sequence() == 5
    assert client.next_sequence == 6
    assert server.receive(client.seal_body(body)) == MessageFrame(5, b"x" * size)


def test_requests_of_the_unsigned_form_need_no_draft() -> None:
    client, server = sessions(Protocol.V5)
    request_id, frame = client.request_frame(b"{}")
    assert request_id == 1
    assert server.receive(frame) == RequestFrame(1, b"{}")
    assert client.request_frame(b"{}")[0] == 2


def test_messages_of_the_unsigned_form_need_no_draft() -> None:
    client, server = sessions(Protocol.V5, last_sequence=4)
    sequence, frame = client.message_frame(b"{}")
    assert sequence == 5
    assert server.receive(frame) == MessageFrame(5, b"{}")
    assert client.message_frame(b"{}")[0] == 6
    assert client.next_sequence == 7


@PROTOCOLS
@pytest.mark.parametrize("number", [9, 10, 12, -1, 2**63 - 1])
def test_a_sequence_that_is_not_the_next(protocol: Protocol, number: int) -> None:
    client, server = sessions(protocol, last_sequence=10)
    client.next_sequence = number
    with pytest.raises(cp.InvalidSequence, match=f"expected sequence 11, got {number}") as caught:
        server.receive(message_frame(client))
    assert caught.value.code == 4001
    assert server.next_sequence == 11


@PROTOCOLS
def test_a_message_cannot_be_replayed(protocol: Protocol) -> None:
    client, server = sessions(protocol)
    frame = message_frame(client)
    server.receive(frame)
    with pytest.raises(cp.InvalidSequence, match="expected sequence 2, got 1"):
        server.receive(frame)


@pytest.mark.parametrize("forged", ["of other data", "by another key", "rubbish", "empty"])
@pytest.mark.parametrize("kind", [1, 2])
def test_a_forged_signature(forged: str, kind: int) -> None:
    client, server = sessions(Protocol.SIGNED)
    signature = {
        "of other data": private_key("client").sign(packed(("hyper", 1), ("opaque", b'{"amount":"1"}'))),
        "by another key": private_key("other").sign(packed(("hyper", 1), ("opaque", b"{}"))),
        "rubbish": b"x" * 256,
        "empty": b"",
    }[forged]
    body = client_body(Protocol.SIGNED, kind, 1, b"{}", lambda _: signature)
    assert client._sealer is not None
    with pytest.raises(cp.InvalidKey, match=r"^a message was not signed with the registered key$"):
        server.receive(client._sealer.seal(body))
    assert server.next_sequence == 1


@pytest.mark.parametrize("kind", [1, 2])
def test_the_signed_form_takes_no_unsigned_body(kind: int) -> None:
    client, server = sessions(Protocol.SIGNED)
    assert client._sealer is not None
    with pytest.raises((cp.DecodeError, cp.InvalidKey)):
        server.receive(client._sealer.seal(client_body(Protocol.V5, kind, 1, b"{}", bytes)))
    assert server.next_sequence == 1


@PROTOCOLS
@pytest.mark.parametrize("kind", [0, 3, -1])
def test_an_unknown_type_from_a_client(protocol: Protocol, kind: int) -> None:
    client, server = sessions(protocol)
    body = client_body(protocol, kind, 1, b"{}", private_key("client").sign)
    assert client._sealer is not None
    with pytest.raises(cp.UnsupportedMessageType):
        server.receive(client._sealer.seal(body))


@PROTOCOLS
def test_frames_larger_than_the_limit_from_a_client(protocol: Protocol) -> None:
    client, server = sessions(protocol, max_frame_bytes=4096)
    with pytest.raises(cp.DecodeError, match="exceeds the limit of 4096"):
        server.receive(message_frame(client, b"x" * 4096))


# ---------------------------------------------------------------------------------------------- server to client


@PROTOCOLS
def test_everything_a_server_says(protocol: Protocol) -> None:
    client, server = sessions(protocol)
    assert client.receive(server.transaction(5, 1.5, b"{}")) == TransactionFrame(5, 1.5, b"{}")
    assert client.receive(server.response(7, b"[]")) == ResponseFrame(7, b"[]")
    assert client.receive(server.broadcast(b"")) == BroadcastFrame(b"")
    assert client.receive(server.throttling(3, 2, 1)) == ThrottlingFrame(3, 2, 1)
    assert client.receive(server.error(-7, "Größe")) == ErrorFrame(-7, "Größe")
    assert client.last_transaction_id == 5


@PROTOCOLS
def test_what_was_processed_is_skipped_and_gaps_are_not_missed(protocol: Protocol) -> None:
    client, server = sessions(protocol, resume_from=100)
    seen = []
    for transaction_id in [1, 99, 100, 101, 101, 100, 500, 499, 501, 2**63 - 1, 501]:
        received = client.receive(server.transaction(transaction_id, 1.0, b"{}"))
        if received is not None:
            assert isinstance(received, TransactionFrame)
            seen.append(received.transaction_id)
        assert client.last_transaction_id == max([100, *seen])
    assert seen == [101, 500, 501, 2**63 - 1]


@PROTOCOLS
def test_live_events_alone(protocol: Protocol) -> None:
    client, server = sessions(protocol, resume_from=-1)
    assert client.last_transaction_id == -1
    assert client.receive(server.transaction(0, 1.0, b"{}")) == TransactionFrame(0, 1.0, b"{}")
    assert client.receive(server.transaction(0, 1.0, b"{}")) is None


@PROTOCOLS
def test_a_bad_frame_does_not_move_the_position(protocol: Protocol) -> None:
    client, server = sessions(protocol)
    frame = server.transaction(5, 1.0, b"{}")
    for bad in (b"", frame[:-1], frame[:-16], frame + b"\0"):
        with pytest.raises(cp.DecodeError):
            client.receive(bad)
    assert client.last_transaction_id == 0


@PROTOCOLS
def test_malformed_bodies_from_a_server(protocol: Protocol) -> None:
    client, server = sessions(protocol)
    assert server._sealer is not None
    body = server_body(protocol, 1, ("hyper", 5), ("double", -1.0), ("opaque", b"{}"))
    with pytest.raises(cp.DecodeError, match="its timestamp is out of range"):
        client.receive(server._sealer.seal(body))
    with pytest.raises(cp.UnsupportedMessageType, match="type 6"):
        client.receive(server._sealer.seal(server_body(protocol, 6)))
    assert client.last_transaction_id == 0


def test_a_transaction_that_only_the_long_way_takes() -> None:
    """The short cut may decline what the long way accepts; the session must not mind."""

    class Declines:
        def __init__(self, codec: object) -> None:
            self.decode = codec.decode  # type: ignore[attr-defined]

        def decode_frequent(self, plain: bytes) -> None:
            return None

    client, server = sessions(Protocol.V5)
    client._decoder = Declines(client._decoder)  # type: ignore[assignment]
    assert client.receive(server.transaction(5, 1.0, b"{}")) == TransactionFrame(5, 1.0, b"{}")
    assert client.receive(server.transaction(5, 1.0, b"{}")) is None
    assert client.receive(server.broadcast(b"{}")) == BroadcastFrame(b"{}")


@PROTOCOLS
def test_frames_larger_than_the_limit_from_a_server(protocol: Protocol) -> None:
    client, server = sessions(protocol, max_frame_bytes=4096)
    with pytest.raises(cp.DecodeError, match="exceeds the limit of 4096"):
        client.receive(server.transaction(1, 1.0, b"x" * 4096))


@PROTOCOLS
def test_the_two_directions_have_two_keys(protocol: Protocol) -> None:
    client, server = sessions(protocol)
    event = server.transaction(1, 1.0, b"{}")
    with pytest.raises(cp.CryptoprotoError):
        server.receive(event)
    order = message_frame(client)
    with pytest.raises(cp.DecodeError):
        client.receive(order)


@PROTOCOLS
def test_ivs_of_a_session_are_all_different(protocol: Protocol) -> None:
    client, server = sessions(protocol, random=os.urandom)
    events = [server.transaction(number, 1.0, b"{}") for number in range(1, 500)]
    assert len({frame[:16] for frame in events}) == len(events)
    if protocol is Protocol.SIGNED:
        body = client.signed_body(client.draft_message(b"{}"))
        orders = [client.seal_body(body) for _ in range(500)]
    else:
        orders = [message_frame(client) for _ in range(500)]
    assert len({frame[:16] for frame in orders}) == len(orders)
    for frame in events:
        assert client.receive(frame)


def test_the_keys_of_both_directions_are_those_of_the_hellos() -> None:
    client, server = sessions(Protocol.V5, random=Dice(b"c" * 32, b"s" * 32))
    assert Opener(b"s" * 32).open(server.broadcast(b"{}")) == packed(("enum", 4), ("opaque", b"{}"))
    body = Opener(b"c" * 32).open(request_frame(client))
    assert body == packed(("enum", 2), ("hyper", 1), ("opaque", b"{}"))
    assert server.receive(Sealer(b"c" * 32, os.urandom).seal(body)) == RequestFrame(1, b"{}")
