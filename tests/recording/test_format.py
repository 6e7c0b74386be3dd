"""The bytes of a recording."""

from __future__ import annotations

import subprocess
import sys
from zlib import crc32

import msgspec
import pytest

import cryptoproto as cp
from cryptoproto.recording import format as recording_format
from cryptoproto.recording.block import Block
from cryptoproto.recording.format import (
    ANCHOR,
    BLOCK_HEAD_BYTES,
    FILE_HEAD_BYTES,
    LARGEST_PAYLOAD,
    BlockHead,
    Codec,
    Header,
    block_head,
    file_head,
    header_of,
    length_of_header,
)
from tests.support.command_line import process_environment
from tests.support.recordings import CONNECTED

HEADER = Header("wss://example.com", ["BTC_USD"], 7, "cryptoproto 1")
BLOCK = Block([1], [5], [], [], [CONNECTED])


def encoded(block: Block = BLOCK, entries: int = 1) -> bytes:
    return Codec().encode(block, number=3, entries=entries, first_us=5, last_us=6, flags=ANCHOR)


def test_a_header_comes_back() -> None:
    raw = file_head(HEADER)
    length, checksum = length_of_header(raw[:FILE_HEAD_BYTES])
    assert header_of(raw[FILE_HEAD_BYTES:], length, checksum) == HEADER


def test_a_block_comes_back() -> None:
    raw = encoded()
    head = block_head(raw[:BLOCK_HEAD_BYTES])
    assert head is not None
    assert (head.number, head.entries, head.first_us, head.last_us, head.is_anchor) == (3, 1, 5, 6, True)
    assert head.length == len(raw) - BLOCK_HEAD_BYTES
    assert Codec().decode(head, raw[BLOCK_HEAD_BYTES:]) == BLOCK


def test_every_changed_bit_of_the_fields_is_noticed() -> None:
    raw = encoded()[:BLOCK_HEAD_BYTES]
    for bit in range(8 * BLOCK_HEAD_BYTES):
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        assert block_head(bytes(changed)) is None


def test_an_absurd_length_is_refused() -> None:
    assert block_head(BlockHead(0, 1, 0, 0, 0, LARGEST_PAYLOAD + 1, 0).encode()) is None


@pytest.mark.parametrize("raw", [b"", b"SQLite format 3\0", b"\x8bCPREC\n\x1a\n" + b"\0" * 20])
def test_another_file_is_not_a_recording(raw: bytes) -> None:
    with pytest.raises(cp.ConfigurationError, match="not a recording"):
        length_of_header(raw)


def test_a_newer_version_says_what_to_do() -> None:
    raw = bytearray(file_head(HEADER))
    raw[11] = 2
    with pytest.raises(cp.ConfigurationError, match=r"newer version .*format 2.*pip install --upgrade"):
        length_of_header(bytes(raw[:FILE_HEAD_BYTES]))


def test_a_header_that_is_cut_or_damaged_is_refused() -> None:
    raw = file_head(HEADER)
    with pytest.raises(cp.DecodeError, match="cut off within its header"):
        length_of_header(raw[:12])
    length, checksum = length_of_header(raw[:FILE_HEAD_BYTES])
    with pytest.raises(cp.DecodeError, match="cut off within its header"):
        header_of(raw[FILE_HEAD_BYTES:-1], length, checksum)
    with pytest.raises(cp.DecodeError, match="damaged"):
        header_of(b"\0" * length, length, checksum)
    with pytest.raises(cp.DecodeError, match="damaged"):
        header_of(b"\0", 1, crc32(b"\0"))
    for strange in (raw[FILE_HEAD_BYTES:].replace(b"example", b"exa\xffple"), b"\x91" * 5000):
        with pytest.raises(cp.DecodeError, match="damaged"):
            header_of(strange, len(strange), crc32(strange))
    with pytest.raises(cp.DecodeError, match="damaged"):
        length_of_header(raw[:12] + b"\xff" * 8)


def head_of(payload: bytes, entries: int = 1) -> BlockHead:
    return BlockHead(0, entries, 0, 0, 0, len(payload), crc32(payload))


def test_a_payload_that_no_recorder_wrote_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import zstandard

    compress = zstandard.ZstdCompressor().compress
    payload = compress(msgspec.msgpack.encode(BLOCK))
    with pytest.raises(cp.DecodeError):
        Codec().decode(head_of(b"not zstd"), b"not zstd")
    with pytest.raises(cp.DecodeError):
        Codec().decode(head_of(compress(b"\xff")), compress(b"\xff"))
    strange = compress(msgspec.msgpack.encode(BLOCK).replace(b"live", b"dead"))
    with pytest.raises(cp.DecodeError, match="Invalid enum value 'dead'"):
        Codec().decode(head_of(strange), strange)
    for content in (msgspec.msgpack.encode(BLOCK).replace(b"connected", b"connect\xffd"), b"\x91" * 5000):
        strange = compress(content)
        with pytest.raises(cp.DecodeError):
            Codec().decode(head_of(strange), strange)
    with pytest.raises(cp.DecodeError, match="1 entries instead of 2"):
        Codec().decode(head_of(payload, 2), payload)
    monkeypatch.setattr(recording_format, "_LARGEST_BLOCK", 10)
    with pytest.raises(cp.DecodeError, match="too large"):
        Codec().decode(head_of(payload), payload)


def test_without_zstandard_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(cp.ConfigurationError, match=r"pip install 'cryptoproto\[recording\]'"):
        Codec()


def test_the_extras_are_imported_when_they_are_used() -> None:
    script = (
        "import sys, cryptoproto, cryptoproto.recording.backtest, cryptoproto.recording.report, "
        "cryptoproto.recording.frames\n"
        "print([name for name in ('zstandard', 'matplotlib', 'pandas', 'polars') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=process_environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
