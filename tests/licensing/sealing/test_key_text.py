"""Public keys as text: one spelling, and only safe points."""

from __future__ import annotations

import pytest
from nacl.signing import SigningKey

import cryptoproto as cp
from cryptoproto.licensing.sealing.key_text import decode_box_key, decode_key, decode_verify_key, encode_key

# Points of small order and their encodings beyond the field (Bernstein, "May the Fourth Be With You").
LOW_ORDER = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]


NOT_CANONICAL = [
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0900000000000000000000000000000000000000000000000000000000000080",
]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[:-1],
        lambda text: text[:-1] + "A",
        lambda text: text + "\n",
        lambda text: " " + text[1:],
        lambda text: text[:-2] + "B=",  # bits beyond the 32 bytes
        lambda text: text[:10] + "+" + text[11:],
        lambda text: text[:10] + "/" + text[11:],
        lambda text: text[:10] + "\u00e9" + text[11:],
        lambda text: text.rstrip("="),
        lambda _: "",
    ],
)
def test_only_the_canonical_text_is_a_key(change: object) -> None:
    text = encode_key(bytes(31) + b"\x04")
    assert decode_key(text, "key") == bytes(31) + b"\x04"
    with pytest.raises(cp.ConfigurationError):
        decode_key(change(text), "key")  # type: ignore[operator]


@pytest.mark.parametrize("point", LOW_ORDER)
def test_points_of_low_order_are_refused(point: str) -> None:
    with pytest.raises(cp.ConfigurationError, match="low order"):
        decode_box_key(encode_key(bytes.fromhex(point)))


@pytest.mark.parametrize("point", NOT_CANONICAL)
def test_points_in_another_form_are_refused(point: str) -> None:
    with pytest.raises(cp.ConfigurationError, match="canonical form"):
        decode_box_key(encode_key(bytes.fromhex(point)))


def test_verify_keys_are_points_of_the_main_subgroup() -> None:
    good = encode_key(bytes(SigningKey.generate().verify_key))
    assert decode_verify_key(good)
    for bad in (bytes(32), b"\x01" + bytes(31), b"\xff" * 32):
        with pytest.raises(cp.ConfigurationError, match="Ed25519"):
            decode_verify_key(encode_key(bad))
