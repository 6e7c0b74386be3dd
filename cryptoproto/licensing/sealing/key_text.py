"""Public keys as text: base64url with padding, 44 characters for 32 bytes, in exactly one spelling."""

from __future__ import annotations

import base64
import binascii
from typing import Final

from ...exceptions import ConfigurationError
from ...extras import needs

with needs("cryptoproto.licensing", "licensing"):
    from nacl import bindings
    from nacl.exceptions import CryptoError

__all__ = ["KEY_BYTES", "decode_box_key", "decode_key", "decode_verify_key", "encode_key"]

KEY_BYTES: Final = 32
_KEY_CHARACTERS: Final = 44
_FIELD_PRIME: Final = 2**255 - 19  # the field of Curve25519 (RFC 7748, section 4.1)
_ANY_SCALAR: Final = b"\x01" * KEY_BYTES


def encode_key(raw: bytes) -> str:
    """32 bytes as 44 characters of base64url."""
    return base64.urlsafe_b64encode(raw).decode("ascii")


def decode_key(text: object, what: str) -> bytes:
    """The 32 bytes of a key. Errors name it as *what* and never show the text.

    Raises:
        ConfigurationError: the text is not exactly what :func:`encode_key` writes.
    """
    if not isinstance(text, str):
        raise ConfigurationError(f"{what}: expected text, {_KEY_CHARACTERS} characters of base64url")
    if len(text) != _KEY_CHARACTERS:
        raise ConfigurationError(
            f"{what}: has {len(text)} characters; base64url of {KEY_BYTES} bytes with padding has {_KEY_CHARACTERS}"
        )
    try:
        raw = base64.b64decode(text, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise ConfigurationError(f"{what}: not base64url (letters, digits, - and _, padding)") from None
    if len(raw) != KEY_BYTES or encode_key(raw) != text:
        raise ConfigurationError(f"{what}: not the canonical base64url of {KEY_BYTES} bytes; was it cut or retyped?")
    return raw


def decode_box_key(text: str, what: str = "public key") -> bytes:
    """An X25519 public key from text.

    Raises:
        ConfigurationError: the text is malformed, or the point is not in canonical form or has low order, so that
            anybody would know the shared key.
    """
    raw = decode_key(text, what)
    if int.from_bytes(raw, "little") >= _FIELD_PRIME:
        raise ConfigurationError(f"{what}: not an X25519 point in canonical form")
    try:
        bindings.crypto_scalarmult(_ANY_SCALAR, raw)  # libsodium fails if the product is zero
    except (CryptoError, RuntimeError):
        raise ConfigurationError(
            f"{what}: a point of low order, which gives no protection; make a key with: cryptoproto license keygen"
        ) from None
    return raw


def decode_verify_key(text: str, what: str = "verify key") -> bytes:
    """An Ed25519 public key from text.

    Raises:
        ConfigurationError: the text is malformed, or not a canonical point of the main subgroup.
    """
    raw = decode_key(text, what)
    if not bindings.crypto_core_ed25519_is_valid_point(raw):
        raise ConfigurationError(f"{what}: not a valid Ed25519 point")
    return raw
