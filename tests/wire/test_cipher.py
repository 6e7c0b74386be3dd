"""Sealing and opening: fresh IVs, alignment, limits, and one error for every bad frame."""

from __future__ import annotations

import os
from typing import TypeAlias

import pytest
from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

import cryptoproto as cp
from cryptoproto.wire import MAX_FRAME_BYTES, Opener, Sealer
from cryptoproto.wire.cipher import PADDING
from tests.support.wire_oracle import Dice, opened

KEY = bytes(range(32))
Buffer: TypeAlias = bytes | bytearray | memoryview
BODY = b"a body of some bytes, more than a block"


def opened_the_obvious_way(frame: bytes) -> bytes:
    """A new cipher for the frame, as any other implementation reads it."""
    decryptor = Cipher(AES(KEY), CBC(frame[:16])).decryptor()
    unpadder = padding.PKCS7(128).unpadder()
    plain = decryptor.update(frame[16:]) + decryptor.finalize()
    return unpadder.update(plain) + unpadder.finalize()


def test_every_length_round_trips() -> None:
    for size in [*range(50), 208, 1000, 65536]:
        body = os.urandom(size)
        frame = Sealer(KEY, os.urandom).seal(body)
        assert len(frame) == 16 + (size // 16 + 1) * 16
        assert Opener(KEY).open(frame) == body == opened_the_obvious_way(frame)


def test_a_long_connection_is_read_by_one_who_makes_a_new_cipher_each_time() -> None:
    sealer, opener = Sealer(KEY, os.urandom), Opener(KEY)
    for size in range(300):
        frame = sealer.seal(b"x" * size)
        assert opened_the_obvious_way(frame) == opener.open(frame) == b"x" * size


def test_padding_is_that_of_pkcs7() -> None:
    for rest in range(16):
        padder = padding.PKCS7(128).padder()
        assert padder.update(bytes(rest)) + padder.finalize() == bytes(rest) + PADDING[rest]


def test_a_padded_body_is_sealed_as_it_is() -> None:
    frame = Sealer(KEY, os.urandom).seal_padded(BODY + PADDING[len(BODY) % 16])
    assert Opener(KEY).open(frame) == BODY


# ---------------------------------------------------------------------------------------------- IVs


def test_no_iv_comes_twice() -> None:
    sealer = Sealer(KEY, os.urandom)
    frames = [sealer.seal(BODY) for _ in range(10_000)]
    assert len({frame[:16] for frame in frames}) == 10_000
    # Not one block of the same plaintext is encrypted the same way twice.
    assert len({frame[start : start + 16] for frame in frames for start in (16, 32)}) == 20_000
    opener = Opener(KEY)
    assert {opener.open(frame) for frame in frames} == {BODY}


def test_ivs_look_random() -> None:
    """Each bit of an IV is set about half of the time: a counter or a constant would show."""
    sealer = Sealer(KEY, Dice())  # the nonces only count up: it is their encryption that has to look random
    ivs = [int.from_bytes(sealer.seal(b"")[:16], "big") for _ in range(4096)]
    for bit in range(128):
        ones = sum(iv >> bit & 1 for iv in ivs)
        assert 1700 < ones < 2400  # eleven standard deviations


def test_the_iv_depends_on_the_nonce_and_so_cannot_be_known_before() -> None:
    """Two sealers with the same past, but another nonce, give another IV."""
    same = [bytes(16)]
    one, other = (Sealer(KEY, Dice(*same, nonces * 64)) for nonces in (b"a" * 16, b"b" * 16))
    assert one.seal(BODY)[:16] != other.seal(BODY)[:16]


def test_the_iv_is_no_ciphertext_seen_before() -> None:
    """The flaw of TLS 1.0: the last block of a frame must not be the next frame's IV."""
    sealer = Sealer(KEY, os.urandom)
    seen: set[bytes] = set()
    for _ in range(500):
        frame = sealer.seal(BODY)
        assert frame[:16] not in seen
        seen.update(frame[start : start + 16] for start in range(0, len(frame), 16))


def test_each_frame_uses_up_one_nonce_of_the_source() -> None:
    source = Dice()
    sealer = Sealer(KEY, source)
    assert source.asked == [16]
    for _ in range(64):
        sealer.seal(BODY)
    assert sum(source.asked) == 16 + 64 * 16
    sealer.seal(BODY)
    assert sum(source.asked) == 16 + 128 * 16


def test_a_source_that_fails_stops_the_sealing() -> None:
    def exhausted(size: int) -> bytes:
        if size == 16:
            return bytes(16)
        raise OSError("no randomness")

    sealer = Sealer(KEY, exhausted)
    with pytest.raises(OSError, match="no randomness"):
        sealer.seal(BODY)
    with pytest.raises(OSError, match="no randomness"):
        sealer.seal(BODY)


# ---------------------------------------------------------------------------------------------- bad frames


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 31, 33, 47, 1000])
def test_a_frame_of_a_wrong_length_is_refused(size: int) -> None:
    with pytest.raises(cp.DecodeError, match=f"a frame of {size} bytes is malformed: expected a multiple of 16"):
        Opener(KEY).open(bytes(size))


def test_the_opener_keeps_its_alignment_whatever_comes() -> None:
    sealer, opener = Sealer(KEY, os.urandom), Opener(KEY)
    for rubbish in (b"", b"x", bytes(16), bytes(31), bytes(33), bytes(32), b"Z" * 48, bytes(MAX_FRAME_BYTES + 16)):
        before = sealer.seal(b"before")
        assert opener.open(before) == b"before"
        with pytest.raises(cp.DecodeError):
            opener.open(before[:-16] + rubbish if len(rubbish) % 16 else rubbish)
        assert opener.open(sealer.seal(BODY)) == BODY


def test_the_limit_stands_before_the_decryption() -> None:
    opener = Opener(KEY, max_frame_bytes=64)
    calls: list[int] = []
    update = opener.update

    def watched(data: Buffer) -> bytes:
        calls.append(len(bytes(data)))
        return update(data)

    opener.update = watched
    sealer = Sealer(KEY, os.urandom)
    assert opener.open(sealer.seal(bytes(47))) == bytes(47)
    for size in (48, 64, 65, 10_000):
        frame = sealer.seal(bytes(size))
        with pytest.raises(cp.DecodeError, match=f"a frame of {len(frame)} bytes exceeds the limit of 64"):
            opener.open(frame)
    with pytest.raises(cp.DecodeError, match="a frame of 65 bytes exceeds the limit of 64"):
        opener.open(bytes(65))
    with pytest.raises(cp.DecodeError, match="a frame of 40 bytes is malformed"):
        Opener(KEY, max_frame_bytes=40).open(bytes(40))
    assert calls == [64]


def test_a_frame_under_another_key_is_refused_in_words() -> None:
    frame = Sealer(KEY, bytes).seal(b"body")
    with pytest.raises(cp.DecodeError) as caught:
        Opener(bytes(32)).open(frame)
    assert str(caught.value) == "a frame cannot be decrypted: it is damaged, or was sealed with another key"


def test_the_default_limit_is_a_mebibyte() -> None:
    sealer, opener = Sealer(KEY, os.urandom), Opener(KEY)
    assert len(opener.open(sealer.seal(bytes(MAX_FRAME_BYTES - 17)))) == MAX_FRAME_BYTES - 17
    with pytest.raises(cp.DecodeError, match="exceeds the limit of 1048576"):
        opener.open(sealer.seal(bytes(MAX_FRAME_BYTES - 16)))


def test_another_key_is_the_same_error_as_damage() -> None:
    # Damaged, or under a wrong key, one frame in 256 seems to be padded; with these nonces, neither is.
    frame = Sealer(KEY, Dice()).seal(BODY)
    with pytest.raises(cp.DecodeError, match="it is damaged, or was sealed with another key") as damaged:
        Opener(KEY).open(frame[:-1] + bytes([frame[-1] ^ 1]))
    with pytest.raises(cp.DecodeError) as foreign:
        Opener(bytes(32)).open(Sealer(KEY, Dice()).seal(BODY))
    assert str(damaged.value) == str(foreign.value)


def test_unpad() -> None:
    for last in range(256):
        for filler in (0, last):
            plain = bytes(16) + bytes([filler]) * 15 + bytes([last])
            if 1 <= last <= 16 and (filler == last or last == 1):
                assert opened(plain) == plain[16:-last]
            else:
                with pytest.raises(cp.DecodeError):
                    opened(plain)
