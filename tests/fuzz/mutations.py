"""Inputs made up from others by chance, the same ones for the same seed."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator, Sequence
from typing import Final

__all__ = ["mutants"]

_BYTES: Final = (b"\x00", b"\x01", b"\x04", b"\x10", b"\x7f", b"\x80", b"\xff", b"\n", b"\r", b'"', b"\\", b"%", b":")
_NUMBERS: Final = (0, 1, 2, 3, 4, 15, 16, 255, 256, 65_535, 65_536, 2**31 - 1, 2**31, 2**32 - 4, 2**32 - 1)
_TEXTS: Final = (
    b"null", b"-1", b"1e999", b"0x", b"NaN", b"sNaN", b"Infinity", b"-0", b"1E-8", b"\\ud800", b"\xed\xa0\x80",
    b"\xc3\xbc", b"\xf0\x9f\x98\x80", b"9" * 20, b"9" * 4400, b"[" * 1100, b'{"a":' * 1100, b"{}", b"[]", b'""',
)  # fmt: skip


def mutants(seeds: Sequence[bytes], words: Sequence[bytes], longest: int, seed: int) -> Iterator[bytes]:
    """Endlessly many inputs: each one of *seeds* with a few changes.

    Args:
        seeds: what to start from.
        words: pieces to insert.
        longest: bytes of the longest input.
        seed: the same seed gives the same inputs.
    """
    dice = random.Random(seed)
    pieces = (*words, *words, *_BYTES, *_TEXTS)  # the words twice: they lead further than bytes by chance
    while True:
        data = bytearray(dice.choice(seeds))
        for _ in range(dice.choice((1, 1, 1, 1, 2, 2, 3, 6))):
            _change(data, dice, pieces, seeds)
        yield bytes(data[:longest])


def _change(data: bytearray, dice: random.Random, pieces: Sequence[bytes], seeds: Sequence[bytes]) -> None:
    at = dice.randrange(len(data) + 1)
    to = min(len(data), at + dice.choice((1, 1, 2, 4, 8, 16, 64)))
    match dice.randrange(13):
        case 0 if at < len(data):
            data[at] ^= 1 << dice.randrange(8)
        case 1 if at < len(data):
            data[at] = dice.randrange(256)
        case 2:
            data[at:at] = dice.choice(pieces)
        case 3:
            data[at:to] = dice.choice(pieces)
        case 4:
            del data[at:to]
        case 5:
            del data[at:]
        case 6:
            data[at:at] = data[at:to] * dice.choice((1, 1, 2, 20))
        case 7:  # lengths and offsets are on word boundaries
            at -= at % 4
            form = dice.choice((">I", "<I", ">q"))
            piece = struct.pack(form, dice.choice(_NUMBERS))
            data[at : at + len(piece)] = piece
        case 8:
            data[at:to] = dice.randbytes(to - at)
        case 9:  # another value of the same kind, where the input is text
            _other_digit(data, at, dice)
        case 10:
            _exchange(data, at, to, dice)
        case 11:
            other = dice.choice(seeds)
            start = dice.randrange(len(other) + 1)
            data[at:] = other[start:]
        case _:
            data[at:at] = dice.randbytes(dice.randrange(9))


def _other_digit(data: bytearray, at: int, dice: random.Random) -> None:
    """Change the next digit."""
    for place in range(at, min(len(data), at + 64)):
        if 0x30 <= data[place] <= 0x39:
            data[place] = dice.choice(b"0123456789-.e")
            return


def _exchange(data: bytearray, at: int, to: int, dice: random.Random) -> None:
    """Move a piece to another place."""
    piece = data[at:to]
    del data[at:to]
    place = dice.randrange(len(data) + 1)
    data[place:place] = piece
