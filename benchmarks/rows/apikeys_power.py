"""What one modular exponentiation of a login costs, against the built-in ``pow()``."""

from __future__ import annotations

from typing import Final

from cryptoproto.apikeys.diffie_hellman import DEFAULT_GROUP, power

from ..machinery.effort import Effort
from ..machinery.measure import in_turns, seconds
from ..machinery.report import Row

__all__ = ["ROUNDS", "rows"]

ROUNDS: Final = 15


def rows(effort: Effort) -> list[Row]:
    """The exponentiation in the group that both sides use by default."""
    base, modulus = 3, DEFAULT_GROUP.modulus
    exponent = modulus // 3
    pairs = in_turns(
        lambda: seconds(lambda: power(base, exponent, modulus)) * 1e3,
        lambda: seconds(lambda: pow(base, exponent, modulus)) * 1e3,
        effort.rounds,
    )
    title = f"an exponentiation with {modulus.bit_length():,} bits, against pow()"
    return [Row.from_pairs("apikeys-power", title, pairs, unit="ms")]
