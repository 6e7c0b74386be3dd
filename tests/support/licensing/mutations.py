"""Mutated messages, and what becomes of them."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator

INTERESTING = [0, 1, 2, 3, 4, 7, 8, 0x7F, 0x80, 0xFE, 0xFF]


WORDS = [0, 1, 4, 8, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFC, 0xFFFFFFFF]


def mutations(message: bytes, count: int, seed: int) -> Iterator[bytes]:
    """Cut, extended, with bits flipped, bytes and words replaced, pieces moved; always different from the original."""
    rng = random.Random(seed)
    size = len(message)
    made = 0
    while made < count:
        data = bytearray(message)
        for _ in range(rng.choice((1, 1, 1, 2, 4))):
            at = rng.randrange(size)
            match rng.randrange(7):
                case 0:
                    data[at % len(data)] ^= 1 << rng.randrange(8)
                case 1:
                    data[at % len(data)] = rng.choice(INTERESTING)
                case 2 | 3:  # offsets and lengths are words on word boundaries
                    at = at // 4 * 4
                    if at + 4 <= len(data):
                        struct.pack_into("<I", data, at, rng.choice((*WORDS, rng.randrange(2 * size))))
                case 4:  # vtable entries are half words
                    at = at // 2 * 2
                    if at + 2 <= len(data):
                        struct.pack_into("<H", data, at, rng.choice((0, 1, 2, 4, 6, 0xFFFF, rng.randrange(size))))
                case 5:
                    del data[max(at, 1) :]
                case 6:
                    data[at:at] = rng.randbytes(rng.randrange(1, 9))
        mutant = bytes(data)
        if mutant != message:
            made += 1
            yield mutant


def survey(mutants: Iterator[bytes], read: Callable[[bytes], object], *documented: type[Exception]) -> tuple[int, int]:
    """How many were read and how many refused; anything but the documented errors comes through."""
    good = refused = 0
    for mutant in mutants:
        try:
            read(mutant)
        except documented:
            refused += 1
        else:
            good += 1
    return good, refused
