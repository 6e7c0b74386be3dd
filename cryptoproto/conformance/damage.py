"""Frames as a correct peer never sends them: cut, lengthened, flipped, wrongly filled, padded or signed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ..exceptions import ConfigurationError
from ..wire import Sealer

__all__ = ["damaged_frame", "damaged_signature", "sealed", "with_fill"]

_BLOCK: Final = 16


def damaged_signature(signature: bytes, settings: Mapping[str, int]) -> bytes:
    """The signature to send: wrong in one bit, or empty, if the settings say so."""
    if "wrong signature" in settings:
        return _flipped(signature, len(signature) // 2)
    return b"" if "no signature" in settings else signature


def with_fill(payload: bytes, settings: Mapping[str, int]) -> bytes:
    """The JSON with spaces behind it, so that XDR fills it up with one byte, if that is to be wrong."""
    return payload + b" " * ((3 - len(payload)) % 4) if "wrong fill" in settings else payload


def sealed(body: bytes, sealer: Sealer, settings: Mapping[str, int]) -> bytes:
    """The frame of *body*, with what the settings say about the body and its padding."""
    if "wrong fill" in settings:
        body = body[:-1] + b"\x01"
    if "body first" in settings:
        body = body[: settings["body first"]]
    body += bytes(settings.get("body extra", 0))
    if "wrong padding" not in settings:
        return sealer.seal(body)
    fill = _BLOCK - len(body) % _BLOCK
    return sealer.seal_padded(body + bytes(fill))  # PKCS7 has no padding that ends with a zero


def damaged_frame(frame: bytes, settings: Mapping[str, int]) -> bytes:
    """The frame to send, with what the settings say about its bytes.

    Raises:
        ConfigurationError: the byte to flip is not in the frame.
    """
    if "first" in settings:
        frame = frame[: settings["first"]]
    frame += bytes(settings.get("extra", 0))
    if "flip byte" in settings:
        position = settings["flip byte"]
        if not -len(frame) <= position < len(frame):
            raise ConfigurationError(f"[flip byte {position}]: the frame has {len(frame)} bytes")
        frame = _flipped(frame, position)
    return frame


def _flipped(data: bytes, position: int) -> bytes:
    changed = bytearray(data)
    changed[position] ^= 0x40
    return bytes(changed)
