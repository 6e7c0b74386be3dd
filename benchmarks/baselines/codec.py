"""The obvious codec: a new cipher and padder for each frame, ``xdrlib3`` and the standard library's ``json``.

It reads and writes the same frames as ours; a test checks this. It returns dicts of strings, while ours returns typed
messages with Decimals: work that the comparison does not charge to it.
"""

from __future__ import annotations

import json
import os
from typing import Any

import xdrlib3
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

__all__ = ["decode_event", "decode_response", "decrypt", "encode_message", "encode_request", "encrypt"]


def encrypt(key: bytes, body: bytes) -> bytes:
    iv = os.urandom(16)
    padder = PKCS7(128).padder()
    padded = padder.update(body) + padder.finalize()
    encryptor = Cipher(AES(key), CBC(iv)).encryptor()
    return iv + encryptor.update(padded) + encryptor.finalize()


def decrypt(key: bytes, frame: bytes) -> bytes:
    decryptor = Cipher(AES(key), CBC(frame[:16])).decryptor()
    padded = decryptor.update(frame[16:]) + decryptor.finalize()
    unpadder = PKCS7(128).unpadder()
    return unpadder.update(padded) + unpadder.finalize()


def encode_message(key: bytes, sequence: int, message: dict[str, Any]) -> bytes:
    return _encode(key, 1, sequence, message)


def encode_request(key: bytes, request_id: int, message: dict[str, Any]) -> bytes:
    return _encode(key, 2, request_id, message)


def _encode(key: bytes, kind: int, number: int, message: dict[str, Any]) -> bytes:
    packer = xdrlib3.Packer()
    packer.pack_enum(kind)
    packer.pack_hyper(number)
    packer.pack_bytes(json.dumps(message).encode())
    return encrypt(key, packer.get_buffer())


def decode_event(key: bytes, frame: bytes) -> tuple[int, float, dict[str, Any]]:
    """Transaction id, timestamp and payload of a server message."""
    unpacker = xdrlib3.Unpacker(decrypt(key, frame))
    kind = unpacker.unpack_enum()
    if kind != 1:
        raise ValueError(f"expected a server message, got type {kind}")
    transaction_id = unpacker.unpack_hyper()
    timestamp = unpacker.unpack_double()
    payload = json.loads(unpacker.unpack_bytes())
    unpacker.done()
    return transaction_id, timestamp, payload


def decode_response(key: bytes, frame: bytes) -> tuple[int, dict[str, Any]]:
    """Request id and payload of an RPC response."""
    unpacker = xdrlib3.Unpacker(decrypt(key, frame))
    kind = unpacker.unpack_enum()
    if kind != 2:
        raise ValueError(f"expected a response, got type {kind}")
    request_id = unpacker.unpack_hyper()
    payload = json.loads(unpacker.unpack_bytes())
    unpacker.done()
    return request_id, payload
