"""200,000 mutated messages and boxes: each is read, or refused with the documented error, and nothing else happens."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator

import pytest

from cryptoproto.licensing import (
    InvalidToken,
    KeyPair,
    Keyring,
    LicenseRequest,
    LicenseToken,
    MalformedMessage,
    SealBroken,
    TokenBinding,
    config_hash,
)
from cryptoproto.licensing.request.codec import decode
from cryptoproto.licensing.request.layout import LICENSE_REQUEST, SIGNED_TOKEN
from cryptoproto.licensing.sealing.sealing import Channel, open_token, sign_token
from tests.licensing.samples import full_request
from tests.licensing.simulated_time import SECOND, START_NS

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


@pytest.fixture(scope="module")
def request_message() -> bytes:
    return LicenseRequest(full_request()).encode()


@pytest.fixture(scope="module")
def token_message() -> bytes:
    binding = TokenBinding(KeyPair.generate().public_key, "roq-deribit", config_hash("roq-deribit", ["A1"]))
    return LicenseToken.issue(
        binding, now_ns=START_NS, expires_ns=START_NS + 60 * SECOND, request_nonce=bytes(16)
    ).encode()


def test_15_000_mutated_requests(request_message: bytes) -> None:
    good, refused = survey(mutations(request_message, 15_000, seed=1), LicenseRequest.decode, MalformedMessage)
    assert good + refused == 15_000
    assert refused > 4_000
    assert good > 1_000  # a changed count is a fine request


def test_50_000_mutated_tokens(token_message: bytes) -> None:
    good, refused = survey(mutations(token_message, 50_000, seed=2), LicenseToken.decode, MalformedMessage)
    assert good + refused == 50_000
    assert refused > 12_000


def test_23_000_mutated_signed_tokens_before_their_box(token_message: bytes, keyring: Keyring) -> None:
    signed = sign_token(token_message, keyring.active(START_NS)[0].signing_key)
    good, refused = survey(mutations(signed, 23_000, seed=3), lambda data: decode(SIGNED_TOKEN, data), MalformedMessage)
    assert good + refused == 23_000


def test_2_000_mutated_signed_tokens_inside_good_boxes(
    token_message: bytes, gateway: KeyPair, keyring: Keyring
) -> None:
    """What a peer who has the box's key can try: no change of the token survives its signature."""
    generation = keyring.active(START_NS)[0]
    channel = Channel(gateway, generation.public.box_key)
    signed = sign_token(token_message, generation.signing_key)

    def read(mutant: bytes) -> None:
        if open_token(channel.seal(mutant), gateway, generation.public) != token_message:
            raise RuntimeError("a changed token was accepted")

    good, refused = survey(mutations(signed, 2_000, seed=4), read, MalformedMessage, InvalidToken)
    assert good + refused == 2_000
    assert refused > 1_000


def test_110_000_mutated_boxes(request_message: bytes, gateway: KeyPair, keyring: Keyring) -> None:
    generation = keyring.active(START_NS)[0]
    box = Channel(gateway, generation.public.box_key).seal(request_message)
    channel = Channel(generation.box_keys, gateway.public_key)
    assert channel.open(box) == request_message
    assert survey(mutations(box, 110_000, seed=5), channel.open, SealBroken) == (0, 110_000)


def test_every_truncation(request_message: bytes, token_message: bytes) -> None:
    for size in range(len(request_message)):
        with pytest.raises(MalformedMessage):
            decode(LICENSE_REQUEST, request_message[:size])
    for size in range(len(token_message)):
        with pytest.raises(MalformedMessage):
            LicenseToken.decode(token_message[:size])


def test_noise() -> None:
    rng = random.Random(6)
    for _ in range(2_000):
        noise = struct.pack("<I", rng.randrange(64)) + b"CPLQ" + rng.randbytes(rng.randrange(200))
        with pytest.raises(MalformedMessage):
            LicenseRequest.decode(noise)
