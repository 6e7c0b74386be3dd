"""The frames of one read, decoded together: the same as one by one, whatever is among them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cryptoproto as cp
from cryptoproto.wire import (
    BroadcastFrame,
    ErrorFrame,
    Opened,
    Opener,
    Protocol,
    ResponseFrame,
    Sealer,
    ServerFrame,
    ServerFrameCodec,
    ServerSession,
    TransactionFrame,
)
from cryptoproto.wire.batch_reader import batch_reader
from tests.support.wire_oracle import Dice, sessions

PROTOCOLS = pytest.mark.parametrize("protocol", list(Protocol))


class Counting(Opener):
    """Notes the size of everything that is decrypted."""

    __slots__ = ("sizes",)

    def __init__(self, key: bytes, max_frame_bytes: int = 2**20) -> None:
        super().__init__(key, max_frame_bytes)
        self.sizes: list[int] = []
        update = self.update

        def counting(data: bytes | bytearray | memoryview) -> bytes:
            self.sizes.append(len(data))
            return update(data)

        self.update = counting


def frames_of(count: int) -> tuple[bytes, list[bytes]]:
    """A key, and *count* frames of 64 bytes under it."""
    key = bytes(range(32))
    codec, sealer = ServerFrameCodec(Protocol.V5), Sealer(key, Dice())
    return key, [sealer.seal_padded(codec.padded_transaction(n, 1.0, b"j" * 16)) for n in range(1, count + 1)]


def test_all_are_decrypted_by_one_call() -> None:
    key, frames = frames_of(10)
    opener = Counting(key)
    results = batch_reader(Protocol.V5, opener)(frames)
    assert results == [TransactionFrame(n, 1.0, b"j" * 16) for n in range(1, 11)]
    assert opener.sizes == [640]


@pytest.mark.parametrize("reason", ["limit", "length"])
def test_nothing_is_decrypted_that_cannot_be_decrypted_together(reason: str) -> None:
    key, frames = frames_of(10)
    opener = Counting(key, 639 if reason == "limit" else 2**20)
    if reason == "length":
        frames[9] += b"x"
    assert batch_reader(Protocol.V5, opener)(frames) == []
    assert opener.sizes == []


@PROTOCOLS
def test_a_read_of_events(protocol: Protocol) -> None:
    client, server = sessions(protocol)
    frames = [server.transaction(number, 0.5, b"j" * number) for number in range(1, 40)]
    assert client.receive_all(frames) == ([TransactionFrame(n, 0.5, b"j" * n) for n in range(1, 40)], None)
    assert client.last_transaction_id == 39


@PROTOCOLS
@pytest.mark.parametrize("count", [2, 20])
def test_what_is_decoded_together_is_not_read_again(
    protocol: Protocol, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, server = sessions(protocol)
    ways: list[str] = []
    one, together = client._read, client._read_batch

    def read_one(frame: bytes) -> object:
        ways.append("one")
        return one(frame)

    def read_together(frames: list[bytes]) -> object:
        ways.append("together")
        return together(frames)

    monkeypatch.setattr(client, "_read", read_one)
    monkeypatch.setattr(client, "_read_batch", read_together)
    frames = [server.transaction(number, 1.0, b"{}") for number in range(1, count)] + [server.response(1, b"[]")]
    received, error = client.receive_all(frames)
    assert (len(received), error) == (count, None)
    assert ways == ["together"]


@PROTOCOLS
def test_a_read_of_everything(protocol: Protocol) -> None:
    client, server = sessions(protocol)
    frames = [
        server.transaction(1, 1.0, b"{}"),
        server.broadcast(b"[1]"),
        server.transaction(1, 1.0, b"{}"),  # replayed
        server.response(7, b"[2]"),
        server.transaction(2, 1.0, b"[3]"),
        server.error(2, "no"),
    ]
    expected = [
        TransactionFrame(1, 1.0, b"{}"),
        BroadcastFrame(b"[1]"),
        ResponseFrame(7, b"[2]"),
        TransactionFrame(2, 1.0, b"[3]"),
        ErrorFrame(2, "no"),
    ]
    assert client.receive_all(frames) == (expected, None)


@PROTOCOLS
@pytest.mark.parametrize("damage", [b"", b"x", bytes(16), bytes(31), bytes(48), b"q" * 64], ids=len)
@pytest.mark.parametrize("count", [0, 2, 10])
def test_what_comes_before_damage_is_received(protocol: Protocol, damage: bytes, count: int) -> None:
    client, server = sessions(protocol)
    frames = [server.transaction(number, 1.0, b"{}") for number in range(1, count + 1)]
    frames += [server.error(2, "no"), damage, server.transaction(99, 1.0, b"{}")]
    received, error = client.receive_all(frames)
    assert received == [*(TransactionFrame(n, 1.0, b"{}") for n in range(1, count + 1)), ErrorFrame(2, "no")]
    assert isinstance(error, cp.DecodeError)


@PROTOCOLS
def test_two_damaged_lengths_that_make_up_for_each_other(protocol: Protocol) -> None:
    client, server = sessions(protocol)
    frames = [server.transaction(number, 1.0, b"{}") for number in range(1, 7)]
    frames[2] += b"12345678"
    frames[4] += b"12345678"
    received, error = client.receive_all(frames)
    assert received == [TransactionFrame(1, 1.0, b"{}"), TransactionFrame(2, 1.0, b"{}")]
    assert isinstance(error, cp.DecodeError)


def test_a_history_that_goes_back_within_a_read() -> None:
    client, server = sessions(Protocol.V5)
    frames = [server.transaction(5, 1.0, b"{}"), server.response(1, b"{}"), server.transaction(6, 1.0, b"{}")]
    frames += [server.transaction(6, 1.0, b"{}"), server.transaction(7, 1.0, b"{}")]
    received, error = client.receive_all(frames)
    assert [type(frame) for frame in received] == [TransactionFrame, ResponseFrame, TransactionFrame]
    assert isinstance(error, cp.HistoryRewound)


def test_a_frame_larger_than_the_limit_is_rejected() -> None:
    client, server = sessions(Protocol.V5, max_frame_bytes=1024)
    small = [server.transaction(number, 1.0, b"{}") for number in range(1, 6)]
    received, error = client.receive_all([*small, server.transaction(6, 1.0, b"j" * 1024)])
    assert len(received) == 5
    assert isinstance(error, cp.DecodeError)
    assert "exceeds the limit of 1024" in str(error)


def test_a_read_may_be_larger_than_the_limit_of_a_frame() -> None:
    client, server = sessions(Protocol.V5, max_frame_bytes=1024)
    frames = [server.transaction(number, 1.0, b"j" * 100) for number in range(1, 60)]
    received, error = client.receive_all(frames)
    assert (len(received), error) == (59, None)


@PROTOCOLS
@given(sizes=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 90)), max_size=12), cut=st.integers(0, 12))
def test_together_and_one_by_one_are_the_same(protocol: Protocol, sizes: list[tuple[int, int]], cut: int) -> None:
    """Whatever the read has, and wherever it is split in two."""
    client, server = sessions(protocol)
    other, same = sessions(protocol)
    reads = [_frames(each, sizes) for each in (server, same)]
    expected = [frame for data in reads[1] if (frame := other.receive(data)) is not None]
    received: list[ServerFrame | Opened] = []
    for part in (reads[0][:cut], reads[0][cut:]):
        frames, error = client.receive_all(part)
        received += frames
        assert error is None
    assert received == expected
    assert client.last_transaction_id == other.last_transaction_id


def _frames(server: ServerSession, sizes: list[tuple[int, int]]) -> list[bytes]:
    makers = (
        lambda number, size: server.transaction(number, 1.0, b"j" * size),
        lambda number, size: server.response(number, b"j" * size),
        lambda number, size: server.broadcast(b"j" * size),
        lambda number, size: server.throttling(size, number, 1),
    )
    return [makers[kind](number, size) for number, (kind, size) in enumerate(sizes, 1)]
