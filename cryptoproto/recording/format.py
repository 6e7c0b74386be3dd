"""The bytes of a recording: a header, and then blocks that are only ever appended.

::

    file    = magic, length u32, crc32 u32, header (MessagePack)
    block   = "BLK1", number u32, entries u32, first i64, last i64, flags u32,
              length u32, crc32 of the payload u32, crc32 of all fields before u32,
              payload: MessagePack, compressed by zstd

All integers are big-endian; times are microseconds since 1970. The two checksums tell damage of a payload, after which
the next block is still found by *length*, from damage of the fields.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import cached_property
from typing import Any, Final
from zlib import crc32

import msgspec

from ..exceptions import ConfigurationError, DecodeError
from ..extras import needs
from ..messages import MALFORMED
from .block import Block

__all__ = [
    "ANCHOR",
    "BLOCK_HEAD_BYTES",
    "FILE_HEAD_BYTES",
    "LARGEST_PAYLOAD",
    "MARKER",
    "VERSION",
    "BlockHead",
    "Codec",
    "Header",
    "HeaderCut",
    "block_head",
    "compression",
    "file_head",
    "header_of",
    "length_of_header",
]

VERSION: Final = 1
_MAGIC: Final = b"\x8bCPREC\r\n\x1a\n"  # as PNG's: a transfer that changed line ends shows at once
_FILE_HEAD: Final = struct.Struct(">10sHII")
FILE_HEAD_BYTES: Final = _FILE_HEAD.size
_LARGEST_HEADER: Final = 1 << 20

MARKER: Final = b"BLK1"
_BLOCK_HEAD: Final = struct.Struct(">4sIIqqIII")
_CRC: Final = struct.Struct(">I")
BLOCK_HEAD_BYTES: Final = _BLOCK_HEAD.size + _CRC.size
LARGEST_PAYLOAD: Final = 1 << 26
"""64 MiB. A recorder's blocks are a few kilobytes; a damaged length must not make a reader allocate gigabytes."""
_LARGEST_BLOCK: Final = 1 << 28
_LEVEL: Final = 5  # of zstd: higher levels take longer and save nothing on columns of small integers

ANCHOR: Final = 1
"""A flag of blocks that begin with the state of the feed and all of its books: a reader can start there."""


class Header(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a recording says about itself.

    Attributes:
        url: where the feed comes from, without a password.
        pairs: the pairs that were recorded; ``None`` = all.
        created_us: when it was created, microseconds since 1970.
        software: what created it.
    """

    url: str
    pairs: list[str] | None
    created_us: int
    software: str = ""


class HeaderCut(DecodeError):
    """A file ends within its header."""


class BlockHead(msgspec.Struct, frozen=True, gc=False):
    """The fields in front of a block.

    Attributes:
        number: counts the blocks of a file, from 0.
        entries: how many entries the block has.
        first_us: the time of its first entry, microseconds since 1970.
        last_us: the time of its last entry.
        flags: see :data:`ANCHOR`.
        length: the length of the payload in bytes.
        checksum: the CRC-32 of the payload.
    """

    number: int
    entries: int
    first_us: int
    last_us: int
    flags: int
    length: int
    checksum: int

    @property
    def is_anchor(self) -> bool:
        """Whether a reader can start with this block."""
        return bool(self.flags & ANCHOR)

    def encode(self) -> bytes:
        """The fields as bytes."""
        fields = _BLOCK_HEAD.pack(
            MARKER, self.number, self.entries, self.first_us, self.last_us, self.flags, self.length, self.checksum
        )
        return fields + _CRC.pack(crc32(fields))


def block_head(raw: bytes) -> BlockHead | None:
    """The fields in *raw*, the :data:`BLOCK_HEAD_BYTES` before a payload; ``None`` if they are not intact."""
    fields = raw[: _BLOCK_HEAD.size]
    marker, *values = _BLOCK_HEAD.unpack(fields)
    if marker != MARKER or crc32(fields) != _CRC.unpack(raw[_BLOCK_HEAD.size :])[0]:
        return None
    head = BlockHead(*values)
    return head if head.length <= LARGEST_PAYLOAD else None


def file_head(header: Header) -> bytes:
    """The beginning of a file."""
    payload = msgspec.msgpack.encode(header)
    return _FILE_HEAD.pack(_MAGIC, VERSION, len(payload), crc32(payload)) + payload


def length_of_header(raw: bytes) -> tuple[int, int]:
    """Length and checksum of the header that follows *raw*, the first :data:`FILE_HEAD_BYTES` of a file.

    Raises:
        ConfigurationError: the file is not a recording, or was written by a newer version.
        DecodeError: the length is impossible.
    """
    if not raw.startswith(_MAGIC[: len(raw)]) or not raw:
        raise ConfigurationError("not a recording of market data")
    if len(raw) < FILE_HEAD_BYTES:
        raise HeaderCut("cut off within its header: nothing was recorded yet")
    _, version, length, checksum = _FILE_HEAD.unpack(raw)
    if version > VERSION:
        raise ConfigurationError(
            f"written by a newer version of this package (format {version}; this one reads up to {VERSION}); "
            f"update with: pip install --upgrade cryptoproto"
        )
    if length > _LARGEST_HEADER:
        raise DecodeError("its header is damaged")
    return length, checksum


def header_of(payload: bytes, length: int, checksum: int) -> Header:
    """The header in *payload*, which should have this *length* and *checksum*.

    Raises:
        DecodeError: it is cut off or damaged.
    """
    if len(payload) < length:
        raise HeaderCut("cut off within its header: nothing was recorded yet")
    if crc32(payload) != checksum:
        raise DecodeError("its header is damaged")
    try:
        return msgspec.msgpack.decode(payload, type=Header)
    except MALFORMED as error:
        raise DecodeError(f"its header is damaged: {error}") from None


def compression() -> Any:
    """The module ``zstandard``.

    Raises:
        MissingExtra: it is not installed.
    """
    with needs("a recording", "recording"):
        import zstandard
    return zstandard


class Codec:
    """Blocks to bytes and back.

    Raises:
        MissingExtra: zstandard is not installed.
    """

    def __init__(self) -> None:
        zstandard = compression()
        self._decompressor: Any = zstandard.ZstdDecompressor()
        self._error = zstandard.ZstdError
        self._size: Callable[[bytes], int] = zstandard.frame_content_size
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(Block).decode

    @cached_property
    def _compress(self) -> Callable[[bytes], bytes]:
        """Made when it is needed: it takes as long as reading a block, and readers need none."""
        compress: Callable[[bytes], bytes] = compression().ZstdCompressor(level=_LEVEL).compress
        return compress

    def encode(self, block: Block, *, number: int, entries: int, first_us: int, last_us: int, flags: int) -> bytes:
        """The bytes of *block*, fields and payload."""
        payload = self._compress(self._encode(block))
        head = BlockHead(number, entries, first_us, last_us, flags, len(payload), crc32(payload))
        return head.encode() + payload

    def decode(self, head: BlockHead, payload: bytes) -> Block:
        """The block in *payload*, whose checksum is right.

        Raises:
            DecodeError: it is not what a recorder writes.
        """
        try:
            # The size is checked first: a few bytes can stand for gigabytes of zeroes.
            if not 0 <= self._size(payload) <= _LARGEST_BLOCK:
                raise DecodeError("it is too large")
            block = self._decode(self._decompressor.decompress(payload))
        except (self._error, *MALFORMED) as error:
            raise DecodeError(str(error)) from None
        if len(block.order) != head.entries:
            raise DecodeError(f"it has {len(block.order)} entries instead of {head.entries}")
        return block
