"""Decodes the frames of one read of the socket together."""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import Final

from .cipher import Opener
from .codes import Protocol
from .frames import LATEST_TIMESTAMP, SHORTEST_BYTES, ResponseFrame, TransactionFrame, json_ends

__all__ = ["batch_reader"]

_LENGTH: Final = Struct(">I")


def batch_reader(
    protocol: Protocol, opener: Opener
) -> Callable[[list[bytes]], list[TransactionFrame | ResponseFrame | None]]:
    """A function that opens and decodes the frames of one read, most of which are transactions or responses.

    It returns one result for each frame, ``None`` for frames of other types and malformed ones. The list ends early
    where the frames cannot be decrypted together. The caller decodes what is missing frame by frame.

    All frames are decrypted by one call. CBC decryption only looks back one block, and the first block of each frame is
    dropped anyway, so it does not matter that it is chained to the frame before. This saves most of the cipher's time,
    which goes into the calls. Decoding all frames before the first JSON is parsed saves as much again, because each
    loop stays in the processor's caches.
    """
    nested = protocol is Protocol.SIGNED
    decrypt, max_frame_bytes = opener.update, opener.max_frame_bytes
    transaction = Struct(">16xi4xqdI" if nested else ">16xiqdI")
    response = Struct(">24xqI" if nested else ">20xqI")
    unpack, head, ends = transaction.unpack_from, transaction.size, json_ends(transaction.size)
    unpack_response, response_head, response_ends = response.unpack_from, response.size, json_ends(response.size)

    def read(frames: list[bytes]) -> list[TransactionFrame | ResponseFrame | None]:
        results: list[TransactionFrame | ResponseFrame | None] = []
        joined = b"".join(frames)
        # The limit of one frame, so that no larger one is decrypted. Part of a block would misalign the cipher.
        if len(joined) > max_frame_bytes or len(joined) & 15:
            return results
        plain = decrypt(joined)
        stop = 0
        for frame in frames:
            size, at = len(frame), stop
            stop += size
            if size & 15:
                break
            if size < SHORTEST_BYTES:
                results.append(None)
                continue
            kind, number, timestamp, length = unpack(plain, at)
            start = at + head
            end = start + length
            if (
                kind == 1
                and plain[end:stop] == ends[length & 15]
                and 0.0 <= timestamp < LATEST_TIMESTAMP
                and not (nested and _LENGTH.unpack_from(plain, at + 20)[0] != 20 + length + (-length & 3))
            ):
                results.append(TransactionFrame(number, timestamp, plain[start:end]))
                continue
            number, length = unpack_response(plain, at)
            start = at + response_head
            end = start + length
            if (
                kind == 2
                and plain[end:stop] == response_ends[length & 15]
                and not (nested and _LENGTH.unpack_from(plain, at + 20)[0] != 12 + length + (-length & 3))
            ):
                results.append(ResponseFrame(number, plain[start:end]))
            else:
                results.append(None)
        return results

    return read
