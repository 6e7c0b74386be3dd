"""One STOMP client on the server: its frames, its subscriptions, and what may wait for it."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.apikeys import Frame
from cryptoproto.apikeys.server import Principal, StompBroker, allow_by_authorities
from cryptoproto.apikeys.server.stomp_peer import Outbox, StompPeer, StompRefusal
from cryptoproto.apikeys.stomp_frames import FrameParser

READER = Principal("k", "user", frozenset({"TB_ALLOW_READ"}))
WRITER = Principal("k", "user", frozenset({"TB_ALLOW_WRITE"}))


class Server:
    """A broker and its peers, without a socket."""

    def __init__(self) -> None:
        self.broker = StompBroker()
        self.stands = True

    def peer(self, version: str = "1.2", limit: int = 5000, limit_bytes: int = 1 << 24, **options: Any) -> Peer:
        outbox = Outbox(version, limit, limit_bytes)
        options.setdefault("authorize", lambda *_: True)
        options.setdefault("max_subscriptions", 128)
        return Peer(self, outbox, version, options)


class Peer:
    def __init__(self, server: Server, outbox: Outbox, version: str, options: dict[str, Any]) -> None:
        self.outbox = outbox
        self.peer = StompPeer(
            options.pop("principal", READER),
            version,
            server.broker,
            options.pop("authorize"),
            outbox,
            lambda: server.stands,
            **options,
        )
        self._parser = FrameParser()
        self._parser.version = version

    def __call__(self, command: str, payload: bytes = b"", /, **headers: str) -> bool:
        return self.peer.take(Frame(command, {name.replace("_", "-"): headers[name] for name in headers}, payload))

    def subscribe(self, name: str, destination: str = "/x", **headers: str) -> None:
        self("SUBSCRIBE", b"", id=name, destination=destination, **headers)

    def received(self) -> list[Frame]:
        frames: list[Frame] = []
        while (data := self.outbox.pop()) is not None:
            frames += [frame for frame in self._parser.feed(data) if frame is not None]
        return frames


@pytest.fixture
def server() -> Server:
    return Server()


def test_messages_and_receipts(server: Server) -> None:
    peer = server.peer()
    peer.subscribe("s", receipt="r1")
    assert peer("SEND", b"body", destination="/x", note="n", content_type="text/plain", receipt="r2")
    first, message, second = peer.received()
    assert (first.headers, second.headers) == ({"receipt-id": "r1"}, {"receipt-id": "r2"})
    assert (message.command, message.body) == ("MESSAGE", b"body")
    assert message.headers.items() >= {"subscription": "s", "destination": "/x", "note": "n"}.items()
    assert message.headers["content-type"] == "text/plain"
    peer("UNSUBSCRIBE", id="s")
    peer("SEND", b"body", destination="/x")
    assert not peer.received()
    assert not peer("DISCONNECT", receipt="bye")
    assert [frame.headers for frame in peer.received()] == [{"receipt-id": "bye"}]


@pytest.mark.parametrize(
    ("command", "headers", "words"),
    [
        ("SEND", {}, "needs the header destination"),
        ("SEND", {"destination": "/x", "transaction": "1"}, "transactions are not supported"),
        ("BEGIN", {"transaction": "1"}, "transactions are not supported"),
        ("SUBSCRIBE", {"id": "s", "destination": "/x", "ack": "never"}, "ack must be one of"),
        ("SUBSCRIBE", {"id": "s" * 257, "destination": "/x"}, "an id has at most 256 characters"),
        ("SUBSCRIBE", {"id": "s", "destination": "/" * 1025}, "a destination 1024"),
        ("UNSUBSCRIBE", {"id": "none"}, "no subscription with that id"),
        ("ACK", {"id": "none"}, "no unacknowledged message"),
        ("MESSAGE", {}, "MESSAGE frame is not expected"),
    ],
)
def test_refusals_name_the_receipt(server: Server, command: str, headers: dict[str, str], words: str) -> None:
    with pytest.raises(StompRefusal, match=words) as caught:
        server.peer().peer.take(Frame(command, {**headers, "receipt": "r"}))
    assert caught.value.receipt == "r"


def test_subscriptions_have_a_limit(server: Server) -> None:
    peer = server.peer(max_subscriptions=3)
    for number in range(3):
        peer.subscribe(str(number))
    with pytest.raises(StompRefusal, match="can have 3 subscriptions at most"):
        peer.subscribe("one more")
    peer("UNSUBSCRIBE", id="0")
    peer.subscribe("one more")
    with pytest.raises(StompRefusal, match="already a subscription with that id"):
        peer.subscribe("one more")
    with peer.peer:
        pass
    assert server.broker.listeners("/x") == 0


def test_a_message_to_many_subscriptions_is_held_once(server: Server) -> None:
    peer = server.peer(limit_bytes=1 << 30, max_subscriptions=1024)
    for number in range(1024):
        peer.subscribe(str(number))
    body = bytes(1_000_000)
    tracemalloc.start()
    try:
        peer("SEND", body, destination="/x")
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4_000_000
    assert held > 0
    assert len(peer.received()) == 1024


def test_what_waits_is_bounded_in_bytes(server: Server) -> None:
    peer = server.peer(limit_bytes=2_500_000)
    for number in range(3):
        peer.subscribe(str(number))
    peer("SEND", bytes(1_000_000), destination="/x")
    with pytest.raises(cp.SlowConsumer, match="more than 2500000 bytes waited for this client"):
        peer.outbox.pop()
    peer("SEND", b"more", destination="/x")  # changes nothing


def test_room_is_free_again_when_frames_are_written(server: Server) -> None:
    peer = server.peer(limit=1, limit_bytes=1500)
    peer.subscribe("s")
    for _ in range(10):
        peer("SEND", bytes(1000), destination="/x")
        assert len(peer.received()) == 1
    peer("SEND", b"", destination="/x")
    peer("SEND", b"", destination="/x")
    with pytest.raises(cp.SlowConsumer, match="more than 1 messages waited"):
        peer.received()


@pytest.mark.parametrize(
    ("principal", "action", "allowed"),
    [(READER, "subscribe", True), (READER, "send", False), (WRITER, "subscribe", False), (WRITER, "send", True)],
)
def test_authorities(server: Server, principal: Principal, action: str, allowed: bool) -> None:
    peer = server.peer(principal=principal, authorize=allow_by_authorities)
    frames: dict[str, Callable[[], object]] = {
        "subscribe": lambda: peer.subscribe("s"),
        "send": lambda: peer("SEND", destination="/x"),
    }
    if allowed:
        frames[action]()
        return
    with pytest.raises(StompRefusal, match=f"may not {action}"):
        frames[action]()


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_acknowledgements(server: Server, version: str) -> None:
    peer = server.peer(version)
    for name, mode in (("all", "client"), ("one", "client-individual"), ("none", "auto")):
        peer.subscribe(name, f"/{name}", ack=mode)
    tokens: dict[str, list[dict[str, str]]] = {}
    for name in ("all", "one", "none"):
        for _ in range(3):
            server.broker.publish(f"/{name}", b"")
        for frame in peer.received():
            tokens.setdefault(name, []).append(
                {"id": frame.headers.get("ack", "")}
                if version == "1.2"
                else {"message_id": frame.headers["message-id"], "subscription": name}
            )
    peer("ACK", b"", **tokens["all"][1])  # and with it the first
    peer("NACK", b"", **tokens["one"][2])
    peer("ACK", b"", **tokens["all"][2])
    peer("ACK", b"", **tokens["one"][0])
    for name, number in (("all", 0), ("one", 2), ("none", 0)):
        with pytest.raises(StompRefusal, match=r"no unacknowledged message|needs the header"):
            peer("ACK", b"", **tokens[name][number])


def test_only_so_many_messages_wait_for_an_acknowledgement(server: Server) -> None:
    peer = server.peer()
    peer.subscribe("s", ack="client-individual")
    for _ in range(4097):
        server.broker.publish("/x", b"")
    tokens = [frame.headers["ack"] for frame in peer.received()]
    peer("ACK", id=tokens[1])
    with pytest.raises(StompRefusal, match="no unacknowledged message"):
        peer("ACK", id=tokens[0])
    with pytest.raises(StompRefusal, match="no unacknowledged message"):
        server.peer("1.1")("ACK", message_id="1", subscription="none")


def test_a_key_that_was_removed_ends_both_directions(server: Server) -> None:
    peer = server.peer()
    peer.subscribe("s")
    server.stands = False
    with pytest.raises(StompRefusal, match="removed or changed"):
        peer("SEND", destination="/y")
    server.broker.publish("/x", b"secret")
    with pytest.raises(StompRefusal, match="removed or changed"):
        peer.received()
