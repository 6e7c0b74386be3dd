"""The three frames of the handshake: what they carry, and what is refused with which words."""

from __future__ import annotations

import pytest

import cryptoproto as cp
from cryptoproto.wire import ClientHello, Protocol, ServerHello
from cryptoproto.wire.handshake import client_hello, read_client_hello, read_server_hello, server_hello
from tests.support.wire_oracle import packed, private_key, public_key

KEY = bytes(range(32))
CHALLENGE = bytes(range(100, 132))


def client_fields(*more: tuple[str, object], client_id: bytes = b"alice", key: bytes = KEY) -> bytes:
    return packed(("opaque", client_id), ("hyper", 5), ("opaque", key), *more)


def server_fields(*more: tuple[str, object], challenge: bytes = CHALLENGE, key: bytes = KEY, last: int = 9) -> bytes:
    return packed(("opaque", challenge), ("hyper", last), ("opaque", key), *more)


def to_server(plaintext: bytes) -> ClientHello:
    return read_client_hello(public_key("server").encrypt(plaintext), private_key("server"))


def to_client(plaintext: bytes, protocol: Protocol) -> ServerHello:
    return read_server_hello(public_key("client").encrypt(plaintext), private_key("client"), protocol)


# ---------------------------------------------------------------------------------------------- first frame


@pytest.mark.parametrize("version", [None, 5])
@pytest.mark.parametrize("order", [0, -1, 1, 2**63 - 1, -(2**63)])
@pytest.mark.parametrize("client_id", ["a", "alice", "Market Maker 7 ~ <mm@example.com>"])
def test_client_hello(client_id: str, order: int, version: int | None) -> None:
    hello = ClientHello(client_id, order, KEY, version)
    frame = client_hello(hello, public_key("server"))
    assert len(frame) == 256
    assert read_client_hello(frame, private_key("server")) == hello
    fields = [("opaque", client_id.encode()), ("hyper", order), ("opaque", KEY)]
    assert private_key("server").decrypt(frame) == packed(*fields, *([("uint", 5)] if version else []))


def test_the_first_frame_shows_nothing_twice() -> None:
    hello = ClientHello("alice", 0, KEY)
    assert client_hello(hello, public_key("server")) != client_hello(hello, public_key("server"))


@pytest.mark.parametrize("client_id", ["", "zoë", "日本", "tab\tid", "line\n", "\x00", "\x7f", "\ud800"])
def test_client_ids_that_are_not_printable_ascii(client_id: str) -> None:
    with pytest.raises(cp.ConfigurationError, match="must be one or more printable ASCII characters"):
        client_hello(ClientHello(client_id, 0, KEY), public_key("server"))


@pytest.mark.parametrize(
    ("server", "version", "room"),
    [("server", None, 164), ("server", 5, 160), ("large", None, 292), ("large", 5, 288), ("odd", None, 164)],
)
def test_the_error_for_a_long_client_id_names_the_limit(server: str, version: int | None, room: int) -> None:
    fits = ClientHello("a" * room, 0, KEY, version)
    assert read_client_hello(client_hello(fits, public_key(server)), private_key(server)) == fits
    for size in (room + 1, room + 2, room + 100):
        words = rf"client_id has {size} characters; the handshake under this server's RSA-\d+ key has room for {room}$"
        with pytest.raises(cp.ConfigurationError, match=words):
            client_hello(ClientHello("a" * size, 0, KEY, version), public_key(server))


@pytest.mark.parametrize("order", [2**63, -(2**63) - 1, 10**30])
def test_a_position_beyond_64_bits(order: int) -> None:
    with pytest.raises(cp.ConfigurationError, match=f"resume_from={order} is not a 64-bit transaction id"):
        client_hello(ClientHello("alice", order, KEY), public_key("server"))


def test_a_hello_under_another_key() -> None:
    frame = client_hello(ClientHello("alice", 0, KEY), public_key("other"))
    with pytest.raises(cp.InvalidKey, match="cannot be decrypted with this private key"):
        read_client_hello(frame, private_key("server"))


@pytest.mark.parametrize("frame", [b"", b"x", bytes(255), bytes(256), b"\xff" * 256, bytes(257), bytes(10_000)])
def test_rubbish_in_place_of_either_hello(frame: bytes) -> None:
    with pytest.raises(cp.InvalidKey):
        read_client_hello(frame, private_key("server"))
    with pytest.raises(cp.InvalidKey):
        read_server_hello(frame, private_key("client"), Protocol.SIGNED)


@pytest.mark.parametrize(
    ("more", "version"),
    [((), None), ((("uint", 5),), 5), ((("uint", 2),), 2), ((("uint", 0),), 0), ((("uint", 2**32 - 1),), 2**32 - 1)],
)
def test_the_version_of_a_client_is_optional(more: tuple[tuple[str, object], ...], version: int | None) -> None:
    assert to_server(client_fields(*more)).version == version


@pytest.mark.parametrize(
    "plaintext",
    [
        b"",
        client_fields()[:-1],
        client_fields()[:-4],
        client_fields()[:20],
        client_fields()[:4],
        client_fields() + b"\0",
        client_fields() + b"\0\0\0",
        client_fields(("uint", 5), ("uint", 0)),
        client_fields(("uint", 5)) + b"\0",
        client_fields(client_id=b""),
        client_fields(client_id=b"\xff\xfe"),
        client_fields(key=KEY[:-1]),
        client_fields(key=KEY + b"\0"),
        client_fields(key=b""),
        b"\xff\xff\xff\xff" + client_fields()[4:],
    ],
)
def test_malformed_client_hello(plaintext: bytes) -> None:
    with pytest.raises(cp.DecodeError, match=r"^malformed client hello$"):
        to_server(plaintext)


# ---------------------------------------------------------------------------------------------- second frame


@pytest.mark.parametrize(("protocol", "version"), [(Protocol.SIGNED, None), (Protocol.V5, 5), (Protocol.V5, None)])
def test_server_hello(protocol: Protocol, version: int | None) -> None:
    hello = ServerHello(CHALLENGE, 2**40, KEY, version)
    frame = server_hello(hello, public_key("client"))
    assert read_server_hello(frame, private_key("client"), protocol) == hello
    fields = server_fields(*([("uint", 5)] if version else []), last=2**40)
    assert private_key("client").decrypt(frame) == fields


@pytest.mark.parametrize(
    ("protocol", "version", "words"),
    [
        (Protocol.SIGNED, 5, "speaks version 5 of the protocol, this client the signed form without a version"),
        (Protocol.SIGNED, 0, "speaks version 0"),
        (Protocol.V5, 4, "speaks version 4 of the protocol, this client version 5; pass the other protocol="),
        (Protocol.V5, 6, "speaks version 6"),
        (Protocol.V5, 2**32 - 1, "speaks version 4294967295"),
    ],
)
def test_a_server_of_another_version(protocol: Protocol, version: int, words: str) -> None:
    with pytest.raises(cp.UnsupportedVersion, match=words):
        to_client(server_fields(("uint", version)), protocol)


def test_an_answer_under_another_key_says_what_to_do() -> None:
    frame = server_hello(ServerHello(CHALLENGE, 0, KEY), public_key("other"))
    with pytest.raises(cp.InvalidKey, match="knows another public key for this client id; register the matching one"):
        read_server_hello(frame, private_key("client"), Protocol.SIGNED)


@pytest.mark.parametrize("protocol", list(Protocol))
@pytest.mark.parametrize(
    "plaintext",
    [
        b"",
        server_fields()[:-1],
        server_fields()[:30],
        server_fields() + b"\0\0",
        server_fields(("uint", 5), ("uint", 0)),
        server_fields(key=KEY[:-1]),
        server_fields(key=KEY + KEY),
        server_fields(last=2**62 + 1),
        server_fields(last=2**63 - 1),
        b"\xff\xff\xff\xff" + server_fields()[4:],
    ],
)
def test_malformed_server_hello(plaintext: bytes, protocol: Protocol) -> None:
    with pytest.raises(cp.DecodeError, match=r"^malformed server hello$"):
        to_client(plaintext, protocol)


@pytest.mark.parametrize("size", [0, 1, 31, 33, 48, 64])
def test_a_challenge_of_another_size_is_never_signed(size: int) -> None:
    """Else a server could have an order signed under the name of a challenge."""
    with pytest.raises(cp.DecodeError, match=r"^malformed server hello$"):
        to_client(server_fields(challenge=bytes(size)), Protocol.SIGNED)


def test_the_highest_sequence_that_leaves_room() -> None:
    assert to_client(server_fields(last=2**62), Protocol.SIGNED).last_seen_sequence == 2**62


# ---------------------------------------------------------------------------------------------- secrets


def test_reprs_show_no_keys() -> None:
    assert repr(ClientHello("alice", 5, KEY, 5)) == "ClientHello(client_id='alice', last_seen_order=5)"
    assert repr(ServerHello(CHALLENGE, 9, KEY, 5)) == "ServerHello(last_seen_sequence=9, version=5)"


def test_the_first_frame_of_market_data_does_not_blame_the_key() -> None:
    with pytest.raises(cp.DecodeError) as caught:
        read_server_hello(packed(("uint", 1)), private_key("client"), Protocol.V5)
    assert str(caught.value) == (
        "the first frame is not that of a trading connection; is this the address of market data? "
        "Trading has its own address"
    )
