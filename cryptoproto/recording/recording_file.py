"""The file of a recording: appending blocks to it, and reading them."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, Self
from zlib import crc32

from ..exceptions import ConfigurationError, DecodeError, RecordingError
from ..file_lock import FileInUse, FileLock
from .block import Block, Entry, read_block
from .columns import Decimals
from .format import (
    BLOCK_HEAD_BYTES,
    FILE_HEAD_BYTES,
    MARKER,
    BlockHead,
    Codec,
    Header,
    HeaderCut,
    block_head,
    file_head,
    header_of,
    length_of_header,
)

__all__ = ["BlockRead", "Damage", "RecordingReader", "RecordingWriter"]

logger: logging.Logger = logging.getLogger("cryptoproto.recording")

_SEARCHED: Final = 1 << 16


class BlockRead(NamedTuple):
    """An intact block, and where it is."""

    offset: int
    head: BlockHead
    payload: bytes


class Damage(NamedTuple):
    """A part of a file that cannot be read. *size* is 0 if blocks are missing."""

    offset: int
    size: int
    text: str


class RecordingReader:
    """Reads the blocks of a recording, in order.

    A file may end with a part of a block: its recorder was killed, or is about to write it. That part is ignored and
    reported as :attr:`torn`. Whatever else cannot be read is damage.

    Args:
        path: the file.

    Attributes:
        path: the file.
        header: what it says about itself.
        torn: the unfinished block at the end of the file, once that has been reached; ``None`` if there is none.

    Raises:
        ConfigurationError: the file does not exist, is not a recording, or was written by a newer version.
        RecordingError: its header is cut off or damaged.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path: str = os.fspath(path)
        self._codec = Codec()
        self.torn: Damage | None = None
        self._known: dict[int, Decimals] = {}
        with ExitStack() as opened:
            try:
                self._file: BinaryIO = opened.enter_context(open(self.path, "rb"))
            except OSError as error:
                raise ConfigurationError(f"{self.path}: the recording cannot be read: {error.strerror}") from None
            self.header: Header = _read_header(self._file, self.path)
            self._start = self._file.tell()
            opened.pop_all()

    def blocks(self, *, since_us: int | None = None) -> Iterator[BlockRead | Damage]:
        """All blocks, with damage in between. The file stays open until :meth:`close`.

        Args:
            since_us: leave out what a reader who wants only what comes after this time does not need.

        Raises:
            RecordingError: the file cannot be read.
        """
        try:
            yield from self._blocks(self._start if since_us is None else self._anchor(since_us))
        except OSError as error:
            raise RecordingError(self.path, f"the recording cannot be read: {error.strerror}") from error

    def entries(self, read: BlockRead) -> Iterator[tuple[int, Entry]]:
        """The entries of a block with their times, microseconds since 1970.

        Raises:
            RecordingError: its content is not what a recorder writes.
        """
        try:
            yield from read_block(self._codec.decode(read.head, read.payload), self._known)
        except DecodeError as error:
            raise self._damaged(read, error) from None

    def block(self, read: BlockRead) -> Block:
        """The columns of a block; raises as :meth:`entries`."""
        try:
            return self._codec.decode(read.head, read.payload)
        except DecodeError as error:
            raise self._damaged(read, error) from None

    def _damaged(self, read: BlockRead, error: DecodeError) -> RecordingError:
        return RecordingError(self.path, f"block {read.head.number} at byte {read.offset} is damaged: {error}")

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _blocks(self, offset: int) -> Iterator[BlockRead | Damage]:
        number: int | None = None if offset > self._start else 0
        while True:
            self._file.seek(offset)
            raw = self._file.read(BLOCK_HEAD_BYTES)
            if not raw:
                return
            head = block_head(raw) if len(raw) == BLOCK_HEAD_BYTES else None
            text = "the fields in front of a block are damaged"
            if head is not None:
                payload = self._file.read(head.length)
                if len(payload) == head.length and crc32(payload) == head.checksum:
                    if number is not None and head.number != number:
                        yield Damage(offset, 0, f"block {head.number} follows block {number - 1}: some are missing")
                    yield BlockRead(offset, head, payload)
                    number = head.number + 1
                    offset += BLOCK_HEAD_BYTES + head.length
                    continue
                text = f"block {head.number} is damaged"
            following = self._next_head(offset + 1)
            if following is None:
                end = self._file.seek(0, os.SEEK_END)
                self.torn = Damage(offset, end - offset, "the last block is incomplete")
                return
            yield Damage(offset, following - offset, text)
            number = None
            offset = following

    def _anchor(self, since_us: int) -> int:
        """The offset of the last block that begins before *since_us* and at which a reader can start."""
        offset = found = self._start
        while True:
            self._file.seek(offset)
            raw = self._file.read(BLOCK_HEAD_BYTES)
            head = block_head(raw) if len(raw) == BLOCK_HEAD_BYTES else None
            if head is None or head.first_us > since_us:
                return found
            if head.is_anchor:
                found = offset
            offset += BLOCK_HEAD_BYTES + head.length

    def _next_head(self, offset: int) -> int | None:
        """Where the next intact block is, after damage."""
        while True:
            self._file.seek(offset)
            chunk = self._file.read(_SEARCHED)
            at = chunk.find(MARKER)
            while at >= 0:
                self._file.seek(offset + at)
                raw = self._file.read(BLOCK_HEAD_BYTES)
                if len(raw) == BLOCK_HEAD_BYTES and block_head(raw) is not None:
                    return offset + at
                at = chunk.find(MARKER, at + 1)
            if len(chunk) < _SEARCHED:
                return None
            offset += len(chunk) - len(MARKER) + 1


class RecordingWriter:
    """Appends blocks to a recording, which it creates, or continues if it exists.

    A part of a block at the end of the file, left by a recorder that was killed, is cut off. While the writer is open,
    no other can write to the file.

    Args:
        path: the file.
        header: what the file says about itself.

    Attributes:
        path: the file.
        size: its length in bytes.
        number: how many blocks it has.
        last_us: the time of its last entry, microseconds since 1970; 0 if it has none.

    Raises:
        ConfigurationError: the file is in use, is not a recording, was written by a newer version, or is of another
            feed or other pairs.
        RecordingError: the file is damaged, or cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str], header: Header) -> None:
        self.path: str = os.fspath(Path(path).resolve())
        self._codec = Codec()
        self.size: int = 0
        self.number: int = 0
        self.last_us: int = 0
        with ExitStack() as opened:
            try:
                if self._exists():
                    # Before the lock, which would leave a file beside one that is not ours.
                    with suppress(RecordingError), RecordingReader(self.path):
                        pass
                lock = FileLock(self.path)
                opened.callback(lock.release)
                if self._exists():
                    self._continue(header)
                self._file: BinaryIO = opened.enter_context(open(self.path, "ab", buffering=0))
                lock.follow()
                if self._file.tell() != self.size:
                    self._file.truncate(self.size)
                if not self.size:
                    self._write(file_head(header))
            except FileInUse as error:
                raise ConfigurationError(f"{self.path}: {error.user} is recording to this file") from None
            except OSError as error:
                raise self._failed(error) from error
            self._opened = opened.pop_all()

    def append(self, block: Block, *, entries: int, first_us: int, last_us: int, flags: int) -> None:
        """Write *block* and wait until it is on disk.

        Raises:
            RecordingError: it cannot be written. The file may end with a part of it, which readers ignore.
        """
        raw = self._codec.encode(
            block, number=self.number, entries=entries, first_us=first_us, last_us=last_us, flags=flags
        )
        try:
            self._write(raw)
        except OSError as error:
            raise self._failed(error) from error
        self.number += 1
        self.last_us = last_us

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._opened.close()

    def _exists(self) -> bool:
        """Whether there is something to continue. A file of length 0 is new: its creator was killed."""
        return os.path.exists(self.path) and os.path.getsize(self.path) > 0

    def _write(self, raw: bytes) -> None:
        if self._file.closed:
            raise ConfigurationError(f"{self.path}: the recording is closed")
        view = memoryview(raw)
        while view:
            view = view[self._file.write(view) :]
        os.fsync(self._file.fileno())
        self.size += len(raw)

    def _continue(self, header: Header) -> None:
        try:
            reader = RecordingReader(self.path)
        except RecordingError as error:
            if isinstance(error.__cause__, HeaderCut):  # its creator was killed
                logger.warning("%s: started over, because the file ended within its header", self.path)
                return
            raise RecordingError(self.path, f"{error.text}; nothing was changed") from None
        with reader:
            _check_same(self.path, reader.header, header)
            self.size = os.path.getsize(self.path)
            for each in reader.blocks():
                if isinstance(each, Damage):
                    raise RecordingError(
                        self.path, f"{each.text} (at byte {each.offset}); nothing was changed, record to another file"
                    )
                self.number = each.head.number + 1
                self.last_us = each.head.last_us
            if reader.torn is not None:
                self.size = reader.torn.offset
                logger.warning(
                    "%s: cut off %d bytes of an unfinished block at byte %d, left by a recorder that was killed",
                    self.path, reader.torn.size, reader.torn.offset,
                )  # fmt: skip

    def _failed(self, error: OSError) -> RecordingError:
        return RecordingError(self.path, f"the recording cannot be written: {error.strerror or error}")


def _read_header(file: BinaryIO, path: str) -> Header:
    try:
        length, checksum = length_of_header(file.read(FILE_HEAD_BYTES))
        return header_of(file.read(length), length, checksum)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from None
    except DecodeError as error:
        raise RecordingError(path, str(error)) from error
    except OSError as error:
        raise ConfigurationError(f"{path}: the recording cannot be read: {error.strerror}") from None


def _check_same(path: str, kept: Header, wanted: Header) -> None:
    if kept.url != wanted.url:
        raise ConfigurationError(f"{path}: a recording of {kept.url}, not of {wanted.url}; record to another file")
    if kept.pairs != wanted.pairs:
        raise ConfigurationError(
            f"{path}: a recording of {_names(kept.pairs)}, not of {_names(wanted.pairs)}; record to another file"
        )


def _names(pairs: list[str] | None) -> str:
    return "all pairs" if pairs is None else ", ".join(pairs)
