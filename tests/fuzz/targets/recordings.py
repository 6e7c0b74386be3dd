"""Recordings of market data: whole files, and the blocks in them behind their checksums and compression."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from io import BytesIO
from itertools import islice
from zlib import crc32

import msgspec
import zstandard

import cryptoproto as cp
from cryptoproto.recording.block import BlockBuilder, Entry, Snapshot, StateRecord, read_block
from cryptoproto.recording.format import BlockHead, Codec, Header, file_head
from cryptoproto.recording.recording_file import BlockRead, RecordingReader
from tests.fuzz.scratch import written
from tests.fuzz.target import Cost, Target
from tests.support.recordings import START_US, Market

__all__ = ["TARGETS"]

_ENTRIES = 8


@cache
def codec() -> Codec:
    return Codec()


@cache
def compressor() -> zstandard.ZstdCompressor:
    """One for all inputs: making one takes longer than an input."""
    return zstandard.ZstdCompressor(1)


def block_of(seed: int) -> bytes:
    """The content of a block, not compressed."""
    builder = BlockBuilder()
    builder.add_state(START_US, StateRecord("begin", "live", "reason", rules=b"{}"))
    for number, update in enumerate(islice(iter(Market(seed)), _ENTRIES)):
        if isinstance(update, cp.OrderBookAgg):
            book = cp.OrderBook(update.trade_pair)
            book.apply(update)
            builder.add_book(START_US + number, update, book.bids, book.asks, is_key=number == 5)
        else:
            builder.add(START_US + number, update)
    builder.add(START_US + 99, cp.Unknown("Auction", {"@type": "Auction", "price": "1.50"}))
    return msgspec.msgpack.encode(builder.finish())


def entries_of(content: bytes) -> int:
    """The first list of a block says how many entries there are; a reader compares it with the head."""
    try:
        return len(msgspec.msgpack.decode(content)[0])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError, IndexError, KeyError):
        return 0


def read_content(content: bytes) -> list[tuple[int, Entry]]:
    """A block whose checksums are right, which a damaged block's are not: somebody has made it."""
    payload = compressor().compress(content)
    head = BlockHead(0, entries_of(content), 0, 0, 0, len(payload), crc32(payload))
    return list(read_block(codec().decode(head, payload), {}))


def check_content(content: bytes, entries: list[tuple[int, Entry]]) -> None:
    assert len(entries) == entries_of(content)
    for _, entry in entries:
        if isinstance(entry, Snapshot):
            assert len(entry.bids) >= len(entry.message.buy_levels) - len(content)
    assert repr(entries) == repr(read_content(content))


def file_of(seed: int) -> bytes:
    content = block_of(seed)
    payload = zstandard.compress(content)
    head = BlockHead(0, entries_of(content), START_US, START_US + 99, 1, len(payload), crc32(payload))
    later = BlockHead(1, entries_of(content), START_US, START_US + 99, 0, len(payload), crc32(payload))
    return file_head(Header("wss://example.com", ["BTC_USD"], 1)) + head.encode() + payload + later.encode() + payload


def read_file(data: bytes) -> int:
    """All of a file; returns how many entries it has."""
    count = 0
    with RecordingReader(written("market.rec", data)) as reader:
        for since in (None, START_US + 5):
            for block in reader.blocks(since_us=since):
                if isinstance(block, BlockRead):
                    count += len(list(reader.entries(block)))
    return count


def check_file(data: bytes, count: int) -> None:
    assert count <= 4 * _ENTRIES + 8 or len(data) > len(file_of(1))


def file_seeds() -> Iterator[bytes]:
    yield file_of(1)
    yield BytesIO(file_of(2)).read(200)


TARGETS = (
    Target(
        "recording-blocks",
        read_content,
        (cp.DecodeError,),
        lambda: map(block_of, (1, 2)),
        check_content,
        words=(
            b"\x90",
            b"\xc0",
            b"\xcf" + b"\xff" * 8,
            b"\xd3\x80" + bytes(7),
            b"\xa4sNaN",
            b"\xa31E9",
            b"\xdd\xff\xff\xff\xff",
        ),
        longest=4096,
        cost=Cost(calls=20_000, calls_per_byte=60, memory=1_000_000, memory_per_byte=600),
        in_suite=300,
    ),
    Target(
        "recording-files",
        read_file,
        (cp.ConfigurationError, cp.RecordingError),
        file_seeds,
        check_file,
        words=(b"BLK1", b"\x8bCPREC\r\n\x1a\n", b"\x28\xb5\x2f\xfd"),
        longest=4096,
        cost=Cost(calls=40_000, calls_per_byte=60, memory=1_000_000, memory_per_byte=600),
        in_suite=200,
    ),
)
