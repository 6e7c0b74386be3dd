"""Numbers as Java writes them, and groups that are refused."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cryptoproto as cp
from cryptoproto.apikeys import Group, GroupLimits
from cryptoproto.apikeys.diffie_hellman import (
    DEFAULT_GROUP,
    from_base64,
    power,
    private_exponent,
    shared_secret,
    to_base64,
    twos_complement,
)
from tests.support.apikeys.samples import SMALL_GROUP


@pytest.mark.parametrize(
    ("number", "form"),
    [
        (0, b"\x00"),
        (1, b"\x01"),
        (0x7F, b"\x7f"),
        (0x80, b"\x00\x80"),  # the top bit set: one leading zero byte
        (0xFF, b"\x00\xff"),
        (0x100, b"\x01\x00"),
        (0x7FFF, b"\x7f\xff"),
        (0x8000, b"\x00\x80\x00"),
        (0x123456, b"\x12\x34\x56"),  # an odd number of bytes
        (0xABC, b"\x0a\xbc"),  # an odd number of hexadecimal digits
    ],
)
def test_twos_complement(number: int, form: bytes) -> None:
    assert twos_complement(number) == form
    assert from_base64(to_base64(number), "number") == number


def test_the_unsigned_form_is_read_as_well() -> None:
    assert from_base64(base64.b64encode(b"\x80\x00").decode(), "number") == 0x8000
    assert from_base64(base64.b64encode(b"\x00\x00\x80\x00").decode(), "number") == 0x8000


@settings(deadline=None)
@given(st.integers(min_value=0, max_value=1 << 4096))
def test_every_number_survives(number: int) -> None:
    form = twos_complement(number)
    assert int.from_bytes(form, "big", signed=True) == number
    assert len(form) == 1 or form[0] != 0 or form[1] & 0x80  # minimal


@pytest.mark.parametrize("text", ["", "?", "AAA", "A===", "AA==\n", "ÄÄÄÄ", "AA=A"])
def test_invalid_numbers(text: str) -> None:
    with pytest.raises(cp.DecodeError, match="dh_key is"):
        from_base64(text, "dh_key")


def test_a_number_that_is_too_long_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(cp.DecodeError, match="longer than 64 bits"):
        from_base64("A" * 100, "dh_key", maximum_bits=64)


@settings(deadline=None)
@given(
    st.integers(min_value=0, max_value=1 << 300),
    st.integers(min_value=0, max_value=1 << 300),
    st.integers(min_value=1, max_value=1 << 300),
)
def test_power_is_pow(base: int, exponent: int, modulus: int) -> None:
    assert power(base, exponent, modulus) == pow(base, exponent, modulus)


def test_the_default_group_is_a_safe_prime() -> None:
    """A Fermat test, because the package's own check accepts this group without a test."""
    modulus = DEFAULT_GROUP.modulus
    for number in (modulus, (modulus - 1) // 2):
        assert pow(3, number - 1, number) == 1
    assert modulus.bit_length() == 2048
    DEFAULT_GROUP.check()


@pytest.mark.parametrize(
    ("group", "complaint"),
    [
        (Group(2, 23), "5 bits is too weak"),
        (Group(2, 2**521 - 1), "521 bits is too weak"),
        (Group(2, 0), "too weak"),
        (Group(2, 2**9689 - 1), "too long"),
        (Group(2, 2**1279 - 3), "not a prime"),
        (Group(2, 2**2048 - 2), "not a prime"),
        (Group(2, (2**607 - 1) * (2**521 - 1)), "not a prime"),
        (Group(0, 2**1279 - 1), "base is outside 2 to p-2"),
        (Group(1, 2**1279 - 1), "base is outside 2 to p-2"),
        (Group(2**1279 - 2, 2**1279 - 1), "base is outside 2 to p-2"),
        (Group(2**1279, 2**1279 - 1), "base is outside 2 to p-2"),
    ],
)
def test_groups_that_are_refused(group: Group, complaint: str) -> None:
    with pytest.raises(cp.DecodeError, match=complaint):
        group.check()


@pytest.mark.parametrize("modulus", [0, 1, 2, 4, 9])
def test_tiny_moduli_are_refused_whatever_the_limits(modulus: int) -> None:
    with pytest.raises(cp.DecodeError, match=r"not a prime|outside 2 to p-2"):
        Group(2, modulus).check(GroupLimits(minimum_bits=0))


def test_a_prime_of_1279_bits_is_accepted() -> None:
    Group(3, 2**1279 - 1).check()


def test_public_values_that_are_refused() -> None:
    modulus = SMALL_GROUP.modulus
    for value in (0, 1, modulus - 1, modulus, modulus + 1, 5 * modulus + 7):
        with pytest.raises(cp.DecodeError, match="outside 2 to p-2"):
            shared_secret(SMALL_GROUP, value, 12345)
    SMALL_GROUP.check_public(2)
    SMALL_GROUP.check_public(modulus - 2)


def test_a_secret_that_anyone_could_guess_is_refused() -> None:
    group = Group(base=5, modulus=23)  # order 22, so 22 as exponent leads to 1
    with pytest.raises(cp.DecodeError, match="predictable"):
        shared_secret(group, 7, 22)


def test_exponents_stay_within_the_group_and_the_configured_size() -> None:
    group = Group(2, 23)
    lowest, highest = 0, 0

    def take_lowest(below: int) -> int:
        return 0

    def take_highest(below: int) -> int:
        return below - 1

    lowest = private_exponent(group, take_lowest)
    highest = private_exponent(group, take_highest)
    assert (lowest, highest) == (2, 21)
    assert private_exponent(DEFAULT_GROUP, take_highest, size_bytes=16) == 2**128 - 1
    assert private_exponent(DEFAULT_GROUP, take_highest, size_bytes=512) == DEFAULT_GROUP.modulus - 2
