"""Boxes and signatures: libsodium's ``crypto_box`` for each message, an Ed25519 signature for each token.

A box proves that one of the two ends that share its key made it, but not which one. Requests need no more: the manager
opens them with the sender's registered key. A token must come from the manager, so it has the manager's signature
inside its box. Each kind of message has its own identifier, so that none can be taken for another.

::

    request, on the wire   gateway's public key (32 bytes), nonce (24), crypto_box(LicenseRequest)
    reply, on the wire     nonce (24), crypto_box(SignedToken(token = LicenseToken, signature))
    signature              Ed25519 over "cryptoproto/license-token/1", a zero byte, and the LicenseToken
"""

from __future__ import annotations

from typing import Final

from ...exceptions import InvalidToken, SealBroken
from ...extras import needs
from ..request.codec import decode, encode
from ..request.layout import SIGNED_TOKEN
from .key_text import KEY_BYTES, decode_key, encode_key
from .keypair import KeyPair, ManagerKey

with needs("cryptoproto.licensing", "licensing"):
    from nacl import bindings
    from nacl.exceptions import BadSignatureError, CryptoError
    from nacl.signing import SigningKey, VerifyKey
    from nacl.utils import random as random_bytes

__all__ = ["BOX_OVERHEAD", "Channel", "open_token", "seal_request", "sign_token", "split_request"]

_NONCE_BYTES: Final = bindings.crypto_box_NONCEBYTES
BOX_OVERHEAD: Final = _NONCE_BYTES + 16  # nonce and Poly1305 tag
_TOKEN_DOMAIN: Final = b"cryptoproto/license-token/1\x00"


class Channel:
    """Seals and opens with the shared key of two parties, which is computed once."""

    __slots__ = ("_shared",)

    def __init__(self, own: KeyPair, other: str) -> None:
        self._shared = own.shared_key(decode_key(other, "public key"))

    def seal(self, message: bytes) -> bytes:
        """The nonce and the box, as from ``nacl.public.Box.encrypt``."""
        nonce = random_bytes(_NONCE_BYTES)
        return nonce + bindings.crypto_box_afternm(message, nonce, self._shared)

    def open(self, box: bytes) -> bytes:
        """The message in a box.

        Raises:
            SealBroken: the box was made for or by another key, or is damaged.
        """
        if len(box) < BOX_OVERHEAD:
            raise SealBroken(f"{len(box)} bytes are too short for a sealed box; was it cut off?")
        try:
            return bindings.crypto_box_open_afternm(box[_NONCE_BYTES:], box[:_NONCE_BYTES], self._shared)
        except CryptoError:
            raise SealBroken("the sealed box does not open: it is for other keys, or damaged") from None

    def __repr__(self) -> str:
        return "<Channel>"


def seal_request(request: bytes, keys: KeyPair, manager_key: ManagerKey) -> bytes:
    """The body of the HTTP request for an encoded LicenseRequest."""
    return decode_key(keys.public_key, "public key") + Channel(keys, manager_key.box_key).seal(request)


def split_request(body: bytes) -> tuple[str, bytes]:
    """The sender's public key, as text, and the sealed box of a request's body.

    Raises:
        SealBroken: the body is too short to hold both.
    """
    if len(body) < KEY_BYTES + BOX_OVERHEAD:
        raise SealBroken(f"{len(body)} bytes are too short for a public key and a sealed box")
    return encode_key(body[:KEY_BYTES]), body[KEY_BYTES:]


def sign_token(token: bytes, signing_key: SigningKey) -> bytes:
    """The encoded SignedToken for an encoded LicenseToken."""
    signature = signing_key.sign(_TOKEN_DOMAIN + token).signature
    return encode(SIGNED_TOKEN, {"token": token, "signature": signature})


def open_token(box: bytes, keys: KeyPair, manager_key: ManagerKey) -> bytes:
    """The encoded LicenseToken in a sealed reply, its signature verified.

    Raises:
        SealBroken: the box does not open.
        MalformedMessage: it holds no SignedToken.
        InvalidToken: the signature is not the manager's.
    """
    signed = decode(SIGNED_TOKEN, Channel(keys, manager_key.box_key).open(box))
    token, signature = signed["token"], signed["signature"]
    if not isinstance(token, bytes) or not isinstance(signature, bytes):  # pragma: no cover - the layout requires both
        raise InvalidToken("the token or its signature is missing")
    try:
        VerifyKey(decode_key(manager_key.verify_key, "verify key")).verify(_TOKEN_DOMAIN + token, signature)
    except BadSignatureError:
        raise InvalidToken("the token is not signed by the pinned manager; is manager_key up to date?") from None
    return token
