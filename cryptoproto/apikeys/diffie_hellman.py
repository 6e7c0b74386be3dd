"""Diffie-Hellman as the gateways use it: numbers have the form of Java's ``BigInteger.toByteArray``.

Pure functions over integers. They decide which numbers a peer may send, for both ends.
"""

from __future__ import annotations

import binascii
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ..exceptions import DecodeError

__all__ = [
    "DEFAULT_GROUP",
    "DEFAULT_LIMITS",
    "Group",
    "GroupLimits",
    "RandomBelow",
    "from_base64",
    "power",
    "private_exponent",
    "shared_secret",
    "to_base64",
    "twos_complement",
]

RandomBelow = Callable[[int], int]
"""``secrets.randbelow`` or a replacement: a random integer from 0 to its argument, exclusive."""

_WINDOW: Final = 5  # bits per step of power(), which precomputes 2**5 products: the usual choice for 2048 bits
_WITNESSES: Final = (2, 3, 5, 7, 11, 13, 17, 19)  # of Miller-Rabin: a random composite survives each with < 1/4


@dataclass(frozen=True, slots=True)
class GroupLimits:
    """How long a modulus may be, in bits."""

    minimum_bits: int = 1024
    """Shorter ones are easily broken. 1024 is allowed for older gateways; the usual group has 2048."""
    maximum_bits: int = 8192
    """The time of an exponentiation grows with the third power: about 1.5 s at 8192 bits."""


DEFAULT_LIMITS: Final = GroupLimits()


@dataclass(frozen=True, slots=True)
class Group:
    """A base and a modulus, the same at both ends."""

    base: int
    modulus: int

    def check(self, limits: GroupLimits = DEFAULT_LIMITS) -> None:
        """Refuse a group that would make the secret weak or the arithmetic too slow.

        For a new modulus it takes as long as a few exponentiations, so do not call it on the event loop.

        Raises:
            DecodeError: the modulus is too short, too long or not prime, or the base is outside 2…p−2.
        """
        bits = self.modulus.bit_length()
        if self.modulus < 0 or bits < limits.minimum_bits:
            raise DecodeError(
                f"a Diffie-Hellman modulus of {bits} bits is too weak; the minimum is {limits.minimum_bits}"
            )
        if bits > limits.maximum_bits:
            raise DecodeError(
                f"a Diffie-Hellman modulus of {bits} bits is too long; the maximum is {limits.maximum_bits}"
            )
        if not _is_prime(self.modulus):
            raise DecodeError("the Diffie-Hellman modulus is not a prime number, so it offers no protection")
        self.check_public(self.base, "base")

    def check_public(self, value: int, what: str = "public value") -> None:
        """Refuse 0, 1, p−1 and everything outside the group, which would make the secret predictable.

        Raises:
            DecodeError: *value* is outside 2…p−2.
        """
        if not 2 <= value <= self.modulus - 2:
            raise DecodeError(f"the Diffie-Hellman {what} is outside 2 to p-2")


DEFAULT_GROUP: Final = Group(
    base=2,
    # The 2048-bit group of RFC 3526, section 3, the default of the gateways.
    modulus=int(
        "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404dd"
        "ef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7ed"
        "ee386bfb5a899fa5ae9f24117c4b1fe649286651ece45b3dc2007cb8a163bf0598da48361c55d39a69163fa8fd24cf5f"
        "83655d23dca3ad961c62f356208552bb9ed529077096966d670c354e4abc9804f1746c08ca18217c32905e462e36ce3b"
        "e39e772c180e86039b2783a2ec07a28fb5c55df06f4c52c9de2bcbf6955817183995497cea956ae515d2261898fa0510"
        "15728e5a8aacaa68ffffffffffffffff",
        16,
    ),
)


def twos_complement(number: int) -> bytes:
    """A non-negative number in two's-complement big-endian form of minimal length.

    A number whose top bit would be set carries one leading zero byte; zero is one zero byte.
    """
    return number.to_bytes(number.bit_length() // 8 + 1, "big")


def to_base64(number: int) -> str:
    """:func:`twos_complement` of *number*, in base64."""
    return binascii.b2a_base64(twos_complement(number), newline=False).decode("ascii")


def from_base64(text: str, what: str, *, maximum_bits: int = DEFAULT_LIMITS.maximum_bits) -> int:
    """Read a number that a peer sent, in two's complement or unsigned, as some peers write it.

    Raises:
        DecodeError: not base64, empty, or longer than *maximum_bits*.
    """
    # 4 characters for 3 bytes, and some for the leading zero and the padding.
    if len(text) > maximum_bits // 6 + 8:
        raise DecodeError(f"{what} is longer than {maximum_bits} bits")
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        raise DecodeError(f"{what} is not base64") from None
    if not data:
        raise DecodeError(f"{what} is empty")
    # Negative numbers do not occur, so a set top bit means that the leading zero was omitted.
    return int.from_bytes(data, "big")


def private_exponent(group: Group, random_below: RandomBelow, *, size_bytes: int | None = None) -> int:
    """A random exponent from 2 to p−2.

    Args:
        group: its modulus is the bound.
        random_below: the source of randomness.
        size_bytes: another upper bound, in bytes. Exponents are equivalent modulo p−1, so a bound above the modulus
            has no effect.
    """
    choices = group.modulus - 3
    if size_bytes is not None:
        choices = min(choices, (1 << (8 * size_bytes)) - 2)
    return 2 + random_below(max(1, choices))


def power(base: int, exponent: int, modulus: int) -> int:
    """``pow(base, exponent, modulus)`` for a worker thread, at the same speed.

    The built-in holds the interpreter lock until it is done, so it would block the event loop even from another
    thread. This one works in small steps, and other threads run in between.
    """
    # The window method (Handbook of Applied Cryptography, algorithm 14.82): five squarings and one product a step.
    products = [1 % modulus]
    for _ in range((1 << _WINDOW) - 1):
        products.append(products[-1] * base % modulus)
    mask = (1 << _WINDOW) - 1
    steps = -(-exponent.bit_length() // _WINDOW)
    result = products[0]
    for step in range(steps - 1, -1, -1):
        result = pow(result, 1 << _WINDOW, modulus)
        result = result * products[(exponent >> (step * _WINDOW)) & mask] % modulus
    return result


def shared_secret(group: Group, peer_public: int, exponent: int) -> bytes:
    """The session secret that both ends compute, in the form that is the key of the HMAC.

    Raises:
        DecodeError: the peer's value is outside 2…p−2, or the secret would be predictable.
    """
    group.check_public(peer_public)
    secret = power(peer_public, exponent, group.modulus)
    if not 2 <= secret <= group.modulus - 2:
        raise DecodeError("the Diffie-Hellman exchange led to a predictable secret")
    return twos_complement(secret)


@functools.lru_cache(maxsize=16)
def _is_prime(number: int) -> bool:
    """Miller-Rabin with the first primes as witnesses, after trial division by them.

    Fixed witnesses are enough: a peer that chooses a modulus to pass them knows the secret anyway. The check finds
    corrupted and careless moduli.
    """
    if number == DEFAULT_GROUP.modulus:
        return True  # as a test shows
    if number < 2:
        return False
    for prime in _WITNESSES:
        if number % prime == 0:
            return number == prime
    odd = number - 1
    twos = (odd & -odd).bit_length() - 1
    odd >>= twos
    for witness in _WITNESSES:
        value = power(witness, odd, number)
        if value in (1, number - 1):
            continue
        for _ in range(twos - 1):
            value = value * value % number
            if value == number - 1:
                break
        else:
            return False
    return True
