"""AES-256-CBC with PKCS7 padding: one sealer and one opener for each direction of a connection.

Every frame is ``IV || ciphertext``, and the IV must be unpredictable and fresh for each frame. Creating a cipher for
each frame costs more than encrypting it, so both ends keep a single CBC context alive:

- The sealer feeds it 16 random bytes and then the padded body. The first block of output is the encryption of a nonce,
  which is an unpredictable IV (NIST SP 800-38A, appendix C), and CBC chains the body to it as if a new cipher had been
  created with that IV.
- The opener feeds it the whole frame. The first block decrypts to garbage, which is dropped. The rest is correct,
  because CBC decryption depends on one previous block only. A context that only ever gets whole blocks stays aligned,
  which is why the length is checked first.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from ..exceptions import DecodeError

__all__ = ["KEY_BYTES", "MAX_FRAME_BYTES", "PADDING", "Opener", "Sealer"]

KEY_BYTES: Final = 32
BLOCK_BYTES: Final = 16
MAX_FRAME_BYTES: Final = 2**20
"""The default size limit of a frame, checked before anything is decrypted."""

_NONCES: Final = Struct("16s" * 64)
PADDING: Final = tuple(bytes([BLOCK_BYTES - rest]) * (BLOCK_BYTES - rest) for rest in range(BLOCK_BYTES))
"""The PKCS7 padding by the body's length modulo 16."""
_PADDING_BY_LAST: Final = {padding[-1]: padding for padding in PADDING}


class Sealer:
    """Encrypts the frames of one direction.

    Args:
        key: the AES key of the direction, 32 bytes.
        random: returns the requested number of unpredictable bytes; ``os.urandom`` outside tests.

    Attributes:
        nonces: the first blocks of the next frames; each is used once, and :meth:`draw` adds more when none is left.
        update: encrypts a nonce followed by a padded body.
    """

    __slots__ = ("_random", "nonces", "update")

    def __init__(self, key: bytes, random: Callable[[int], bytes]) -> None:
        self._random = random
        self.nonces: list[bytes] = []
        self.update: Callable[[bytes | bytearray | memoryview], bytes] = (
            Cipher(AES(key), CBC(random(BLOCK_BYTES))).encryptor().update
        )

    def seal(self, body: bytes) -> bytes:
        """The frame that carries *body*: IV and ciphertext."""
        return self.seal_padded(body + PADDING[len(body) & 15])

    def seal_padded(self, padded_body: bytes) -> bytes:
        """The frame of a body that already has its padding."""
        nonces = self.nonces
        if not nonces:
            self.draw()
        return self.update(nonces.pop() + padded_body)

    def draw(self) -> None:
        """Draw the nonces of many frames together: a system call per frame would cost more than encrypting it."""
        self.nonces += _NONCES.unpack(self._random(_NONCES.size))


class Opener:
    """Decrypts the frames of one direction.

    Frames are not authenticated: damage shows only in the length or the padding. Both raise the same error, so that an
    attacker cannot learn which of the two was wrong.

    Attributes:
        max_frame_bytes: the size limit.
        update: decrypts whole blocks, without any checks; for callers that check the length themselves.
    """

    __slots__ = ("max_frame_bytes", "update")

    def __init__(self, key: bytes, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self.max_frame_bytes: int = max_frame_bytes
        # Any IV will do: it only affects the garbage block of the first frame.
        self.update: Callable[[bytes | bytearray | memoryview], bytes] = (
            Cipher(AES(key), CBC(bytes(BLOCK_BYTES))).decryptor().update
        )

    def open(self, frame: bytes) -> bytes:
        """The body of *frame*. The same frame can be opened again.

        Raises:
            DecodeError: the frame is truncated, larger than the limit, or wrongly padded.
        """
        size = len(frame)
        if size & 15 or not 32 <= size <= self.max_frame_bytes:
            raise DecodeError(
                f"a frame of {size} bytes exceeds the limit of {self.max_frame_bytes}"
                if size > self.max_frame_bytes
                else f"a frame of {size} bytes is malformed: expected a multiple of 16, at least 32"
            )
        plain = self.update(frame)
        padding = _PADDING_BY_LAST.get(plain[-1])
        if padding is None or not plain.endswith(padding):
            raise DecodeError("a frame cannot be decrypted: it is damaged, or was sealed with another key")
        return plain[BLOCK_BYTES : -len(padding)]
