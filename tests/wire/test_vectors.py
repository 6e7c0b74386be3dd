"""The wire against vectors that were made without it, and against the openssl program."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import xdrlib3

import cryptoproto as cp
from cryptoproto.wire import (
    BroadcastFrame,
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
    market_hello,
    read_market_frame,
    read_market_hello,
)
from cryptoproto.wire.handshake import client_hello, read_client_hello, read_server_hello, server_hello
from tests.support.wire_oracle import (
    Dice,
    client_body,
    fails,
    frequent,
    needs_openssl,
    openssl,
    private_key,
    public_key,
    vectors,
)

OAEP = ["rsa_padding_mode:oaep", "rsa_oaep_md:sha1", "rsa_mgf1_md:sha1"]
PSS = ["digest:sha512", "rsa_padding_mode:pss", "rsa_pss_saltlen:max", "rsa_mgf1_md:sha512"]


def unhex(text: str) -> bytes:
    return bytes.fromhex(text)


def named(entries: list[dict[str, Any]], *fields: str) -> list[Any]:
    """The vectors as parameters with readable ids."""
    return [
        pytest.param(entry, id=" ".join([str(number), *(str(entry[field]) for field in fields)]))
        for number, entry in enumerate(entries)
    ]


def sealed_as(entry: dict[str, Any]) -> Sealer:
    """A sealer whose next frame has the IV of the vector."""
    return Sealer(unhex(entry["key"]), Dice(bytes(16), unhex(entry["nonce"]) * 64))


# ---------------------------------------------------------------------------------------------- cipher


@pytest.mark.parametrize("entry", named(vectors("cipher")["frames"], "name"))
def test_cipher(entry: dict[str, Any]) -> None:
    assert Opener(unhex(entry["key"])).open(unhex(entry["frame"])).hex() == entry["body"]
    assert sealed_as(entry).seal(unhex(entry["body"])).hex() == entry["frame"]


@pytest.mark.parametrize("entry", named(vectors("cipher")["refused"], "name"))
def test_cipher_refuses(entry: dict[str, Any]) -> None:
    with pytest.raises(cp.DecodeError):
        Opener(unhex(entry["key"])).open(unhex(entry["frame"]))


# ---------------------------------------------------------------------------------------------- keys


@pytest.mark.parametrize("name", list(vectors("keys")))
def test_keys(name: str) -> None:
    entry = vectors("keys")[name]
    assert private_key(name).bits == entry["bits"]
    assert private_key(name).public_key == cp.PublicKey.from_pem(entry["public"].encode())
    assert private_key(name).to_pem().decode() == entry["private"]
    assert public_key(name).to_pem().decode() == entry["public"]


@pytest.mark.parametrize("entry", named(vectors("signatures"), "name"))
def test_signatures(entry: dict[str, Any]) -> None:
    assert public_key(entry["key"]).verify(unhex(entry["signature"]), unhex(entry["data"])) is entry["valid"]


@pytest.fixture
def pem_files(tmp_path: Path) -> Path:
    for name, entry in vectors("keys").items():
        (tmp_path / f"{name}.pem").write_text(entry["private"])
        (tmp_path / f"{name}.pub").write_text(entry["public"])
    return tmp_path


def options(words: list[str]) -> Iterator[str]:
    for word in words:
        yield from ("-pkeyopt", word)


@needs_openssl
@pytest.mark.parametrize("name", ["client", "odd", "large"])
def test_openssl_verifies_what_is_signed_here(pem_files: Path, name: str) -> None:
    data = b"what an order says" * 20
    (pem_files / "signature").write_bytes(private_key(name).sign(data))
    digest = openssl("dgst", "-sha512", "-binary", stdin=data)
    signed = ["-sigfile", str(pem_files / "signature"), *options(PSS)]
    answer = openssl("pkeyutl", "-verify", "-pubin", "-inkey", str(pem_files / f"{name}.pub"), *signed, stdin=digest)
    assert b"Verified Successfully" in answer


@needs_openssl
@pytest.mark.parametrize("name", ["client", "odd", "large"])
def test_openssl_decrypts_what_is_encrypted_here(pem_files: Path, name: str) -> None:
    for plaintext in (b"", b"x", b"y" * public_key(name).max_plaintext):
        frame = public_key(name).encrypt(plaintext)
        key = ["-inkey", str(pem_files / f"{name}.pem")]
        assert openssl("pkeyutl", "-decrypt", *key, *options(OAEP), stdin=frame) == plaintext


@needs_openssl
def test_openssl_decrypts_the_hellos_made_here(pem_files: Path) -> None:
    for entry in vectors("handshake")["client_hellos"]:
        hello = ClientHello(
            entry["client_id"], int(entry["last_seen_order"]), unhex(entry["aes_key"]), entry["version"]
        )
        frame = client_hello(hello, public_key(entry["server_key"]))
        key = ["-inkey", str(pem_files / f"{entry['server_key']}.pem")]
        assert openssl("pkeyutl", "-decrypt", *key, *options(OAEP), stdin=frame).hex() == entry["plaintext"]
    for entry in vectors("handshake")["server_hellos"]:
        answer = ServerHello(
            unhex(entry["challenge"]), int(entry["last_seen_sequence"]), unhex(entry["aes_key"]), entry["version"]
        )
        frame = server_hello(answer, public_key(entry["client_key"]))
        key = ["-inkey", str(pem_files / f"{entry['client_key']}.pem")]
        assert openssl("pkeyutl", "-decrypt", *key, *options(OAEP), stdin=frame).hex() == entry["plaintext"]


@needs_openssl
def test_openssl_decrypts_what_is_sealed_here() -> None:
    key = bytes(range(32))
    sealer = Sealer(key, Dice())
    for size in (0, 1, 15, 16, 224):
        frame = sealer.seal(b"z" * size)
        words = ["-K", key.hex(), "-iv", frame[:16].hex()]
        assert openssl("enc", "-d", "-aes-256-cbc", *words, stdin=frame[16:]) == b"z" * size


# ---------------------------------------------------------------------------------------------- handshake


@pytest.mark.parametrize("entry", named(vectors("handshake")["client_hellos"], "name"))
def test_client_hello(entry: dict[str, Any]) -> None:
    hello = read_client_hello(unhex(entry["frame"]), private_key(entry["server_key"]))
    assert hello == ClientHello(
        entry["client_id"], int(entry["last_seen_order"]), unhex(entry["aes_key"]), entry["version"]
    )
    again = client_hello(hello, public_key(entry["server_key"]))
    assert private_key(entry["server_key"]).decrypt(again).hex() == entry["plaintext"]


@pytest.mark.parametrize("entry", named(vectors("handshake")["server_hellos"], "name"))
def test_server_hello(entry: dict[str, Any]) -> None:
    key = private_key(entry["client_key"])
    hello = read_server_hello(unhex(entry["frame"]), key, Protocol(entry["protocol"]))
    assert hello == ServerHello(
        unhex(entry["challenge"]), int(entry["last_seen_sequence"]), unhex(entry["aes_key"]), entry["version"]
    )
    assert key.decrypt(server_hello(hello, key.public_key)).hex() == entry["plaintext"]
    assert key.public_key.verify(unhex(entry["proof"]), hello.challenge)
    assert key.public_key.verify(key.sign(hello.challenge), unhex(entry["challenge"]))


@pytest.mark.parametrize("entry", named(vectors("handshake")["refused_client_hellos"], "name"))
def test_refused_client_hello(entry: dict[str, Any]) -> None:
    session = ServerSession(private_key(entry["server_key"]), Dice())
    assert fails(lambda: session.receive(unhex(entry["frame"]))) == entry["error"]


@pytest.mark.parametrize("entry", named(vectors("handshake")["refused_server_hellos"], "name"))
def test_refused_server_hello(entry: dict[str, Any]) -> None:
    key, protocol = private_key(entry["client_key"]), Protocol(entry["protocol"])
    assert fails(lambda: read_server_hello(unhex(entry["frame"]), key, protocol)) == entry["error"]


# ---------------------------------------------------------------------------------------------- frames


def server_frame(entry: dict[str, Any]) -> ServerFrame:
    """The frame that the vector describes."""
    kind, payload = entry["kind"], entry.get("json", "").encode()
    if kind == "transaction":
        return TransactionFrame(int(entry["transaction_id"]), float(entry["timestamp"]), payload)
    if kind == "response":
        return ResponseFrame(int(entry["request_id"]), payload)
    if kind == "error":
        return ErrorFrame(int(entry["error_type"]), entry["text"])
    if kind == "broadcast":
        return BroadcastFrame(payload)
    assert kind == "throttling"
    return ThrottlingFrame(int(entry["level"]), int(entry["request_id"]), int(entry["order_id"]))


def sealed_server_frame(codec: ServerFrameCodec, sealer: Sealer, frame: ServerFrame) -> bytes:
    match frame:
        case TransactionFrame():
            return sealer.seal_padded(codec.padded_transaction(frame.transaction_id, frame.timestamp, frame.payload))
        case ResponseFrame():
            return sealer.seal_padded(codec.padded_response(frame.request_id, frame.payload))
        case ErrorFrame():
            return sealer.seal(codec.error(frame.error_type, frame.text))
        case BroadcastFrame():
            return sealer.seal(codec.broadcast(frame.payload))
        case ThrottlingFrame():
            return sealer.seal(codec.throttling(frame.level, frame.request_id, frame.order_id))


@pytest.mark.parametrize("entry", named(vectors("frames")["server"], "protocol", "kind"))
def test_server_frame(entry: dict[str, Any]) -> None:
    codec = ServerFrameCodec(Protocol(entry["protocol"]))
    opener = Opener(unhex(entry["key"]))
    expected = server_frame(entry)
    assert opener.open(unhex(entry["frame"])).hex() == entry["body"]
    assert codec.decode(unhex(entry["body"])) == expected
    short_cut = frequent(codec, opener.update(unhex(entry["frame"])))
    assert short_cut == (expected if isinstance(expected, TransactionFrame | ResponseFrame) else None)
    assert sealed_server_frame(codec, sealed_as(entry), expected).hex() == entry["frame"]
    if isinstance(expected, TransactionFrame):
        unpacker = xdrlib3.Unpacker(unhex(entry["timestamp_hex"]))
        assert unpacker.unpack_double() == expected.timestamp


@pytest.mark.parametrize("entry", named(vectors("frames")["client"], "protocol", "kind"))
def test_client_frame(entry: dict[str, Any]) -> None:
    protocol, payload = Protocol(entry["protocol"]), entry["json"].encode()
    codec, sealer = ClientFrameCodec(protocol), sealed_as(entry)
    assert Opener(unhex(entry["key"])).open(unhex(entry["frame"])).hex() == entry["body"]
    frame, data, signature = codec.decode(unhex(entry["body"]))
    if entry["kind"] == "message":
        assert frame == MessageFrame(int(entry["sequence"]), payload)
        number = int(entry["sequence"])
    else:
        assert frame == RequestFrame(int(entry["request_id"]), payload)
        number = int(entry["request_id"])
    if protocol is Protocol.SIGNED:
        assert (data.hex(), signature.hex()) == (entry["data"], entry["signature"])
        assert codec.data(number, payload) == data
        assert public_key(entry["signed_with"]).verify(signature, data)
        assert sealer.seal(codec.signed_body(entry["type"], data, signature)).hex() == entry["frame"]
        assert client_body(protocol, entry["type"], number, payload, lambda _: signature).hex() == entry["body"]
    else:
        assert (data, signature) == (b"", b"")
        assert codec.writer(sealer)(entry["type"], number, payload).hex() == entry["frame"]


@pytest.mark.parametrize("entry", named(vectors("frames")["refused_server"], "protocol", "name"))
def test_refused_server_frame(entry: dict[str, Any]) -> None:
    codec = ServerFrameCodec(Protocol(entry["protocol"]))
    body = unhex(entry["body"])
    assert fails(lambda: codec.decode(body)) == entry["error"]
    missing = 16 - len(body) % 16
    assert frequent(codec, bytes(16) + body + bytes([missing]) * missing) is None


@pytest.mark.parametrize("entry", named(vectors("frames")["refused_client"], "protocol", "name"))
def test_refused_client_frame(entry: dict[str, Any]) -> None:
    codec = ClientFrameCodec(Protocol(entry["protocol"]))
    assert fails(lambda: codec.decode(unhex(entry["body"]))) == entry["error"]


# ---------------------------------------------------------------------------------------------- market data


def test_market_data() -> None:
    for entry in vectors("market")["hellos"]:
        assert read_market_hello(unhex(entry["frame"])) == entry["version"]
        assert market_hello(entry["version"]).hex() == entry["frame"]
    for entry in vectors("market")["frames"]:
        assert read_market_frame(unhex(entry["frame"])) == entry["json"].encode()
        assert market_frame(entry["json"].encode()).hex() == entry["frame"]


@pytest.mark.parametrize("entry", named(vectors("market")["refused_hellos"], "name"))
def test_refused_market_hello(entry: dict[str, Any]) -> None:
    assert fails(lambda: read_market_hello(unhex(entry["frame"]))) == "DecodeError"


@pytest.mark.parametrize("entry", named(vectors("market")["refused_frames"], "name"))
def test_refused_market_frame(entry: dict[str, Any]) -> None:
    assert fails(lambda: read_market_frame(unhex(entry["frame"]))) == entry["error"]


# ---------------------------------------------------------------------------------------------- whole connections


@pytest.mark.parametrize("entry", named(vectors("transcripts"), "protocol"))
def test_a_whole_connection_from_the_clients_end(entry: dict[str, Any]) -> None:
    session = ClientSession(
        client_id=entry["client_id"],
        private_key=private_key(entry["client_key"]),
        server_key=public_key(entry["server_key"]),
        random=Dice(unhex(entry["client_aes_key"])),
        resume_from=int(entry["last_seen_order"]),
        protocol=Protocol(entry["protocol"]),
    )
    server = private_key(entry["server_key"])
    theirs = server.decrypt(unhex(entry["frames"][0]["frame"]))
    assert server.decrypt(session.hello()) == theirs
    for frame in entry["frames"]:
        if frame["from"] == "server":
            received = session.receive(unhex(frame["frame"]))
            if frame["kind"] == "hello":
                assert isinstance(received, Opened)
                assert received.last_sequence == int(entry["last_seen_sequence"])
                assert public_key(entry["client_key"]).verify(received.proof, unhex(entry["challenge"]))
            elif "skipped" in frame:
                assert received is None
            else:
                assert received == server_frame(frame)
        elif frame["kind"] in ("message", "request"):
            payload = frame["json"].encode()
            message = frame["kind"] == "message"
            draft = session.draft_message(payload) if message else session.draft_request(payload)
            assert draft.number == int(frame["sequence" if message else "request_id"])


@pytest.mark.parametrize("entry", named(vectors("transcripts"), "protocol"))
def test_a_whole_connection_from_the_servers_end(entry: dict[str, Any]) -> None:
    dice = Dice(unhex(entry["server_aes_key"]), unhex(entry["challenge"]))
    session = ServerSession(private_key(entry["server_key"]), dice)
    client = private_key(entry["client_key"])
    opener = Opener(unhex(entry["server_aes_key"]))
    codec = ServerFrameCodec(Protocol(entry["protocol"]))
    for frame in entry["frames"]:
        if frame["from"] == "client":
            received = session.receive(unhex(frame["frame"]))
            if frame["kind"] == "hello":
                assert isinstance(received, ClientHello)
                assert received.client_id == entry["client_id"]
                assert received.last_seen_order == int(entry["last_seen_order"])
                assert received.aes_key.hex() == entry["client_aes_key"]
            elif frame["kind"] == "proof":
                assert received == Proven()
            elif frame["kind"] == "message":
                assert received == MessageFrame(int(frame["sequence"]), frame["json"].encode())
            else:
                assert received == RequestFrame(int(frame["request_id"]), frame["json"].encode())
        elif frame["kind"] == "hello":
            answer = session.accept(client.public_key, int(entry["last_seen_sequence"]))
            assert client.decrypt(answer) == client.decrypt(unhex(frame["frame"]))
        else:
            said = server_frame(frame)
            match said:
                case TransactionFrame():
                    sent = session.transaction(said.transaction_id, said.timestamp, said.payload)
                case ResponseFrame():
                    sent = session.response(said.request_id, said.payload)
                case ErrorFrame():
                    sent = session.error(said.error_type, said.text)
                case BroadcastFrame():
                    sent = session.broadcast(said.payload)
                case ThrottlingFrame():
                    sent = session.throttling(said.level, said.request_id, said.order_id)
            assert codec.decode(opener.open(sent)) == said == codec.decode(opener.open(unhex(frame["frame"])))
