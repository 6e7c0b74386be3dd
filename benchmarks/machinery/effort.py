"""How much to measure, and the responder that the measurements of one run share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .processes import Responder

__all__ = ["Effort"]


@dataclass(frozen=True)
class Effort:
    """How much to measure.

    Attributes:
        rounds: how many times ours and the floor take turns.
        quick: whether to do a thousandth of the work, which only shows that everything runs.
        start_responder: returns the responder of this run; the first call starts it.
        pythons: the interpreters to compare.
    """

    rounds: int
    quick: bool
    start_responder: Callable[[], Responder]
    pythons: Sequence[str] = (sys.executable,)

    @property
    def responder(self) -> Responder:
        """The process at the other end of the connection."""
        return self.start_responder()

    def scaled(self, count: int) -> int:
        """*count*, or in quick mode a thousandth of it, but at least 5."""
        return max(5, count // 1000) if self.quick else count

    def repeated(self, times: int) -> int:
        """*times*, or in quick mode once."""
        return 1 if self.quick else times

    def some(self, steps: tuple[int, ...]) -> tuple[int, ...]:
        """*steps*, or in quick mode the first two."""
        return steps[:2] if self.quick else steps
