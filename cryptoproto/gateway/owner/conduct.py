"""What one strategy must not do to the others, whose session it shares. No I/O, no clock: time is an argument."""

from __future__ import annotations

from typing import Final

from .limits import OrderRefused

__all__ = ["Conduct"]

_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 60.0
_FORGIVEN_AFTER_S: Final = 300.0
_UNKNOWN_RATE: Final = 50.0
"""How many commands a second that nobody has received a strategy may ask about: each fills the command log."""


class Conduct:
    """Remembers what each strategy did.

    The exchange answers a message that it cannot accept, such as an order for an unknown pair, with an error frame, and
    ends the session of all. After that, it accepts no order of that strategy for a while, twice as long each time.
    """

    def __init__(self) -> None:
        self._pauses: dict[str, tuple[float, float, float]] = {}  # how long, until when, and when it is forgiven
        self._allowances: dict[str, tuple[float, float]] = {}  # how many questions are left, and since when

    def check_placing(self, strategy: str, now: float) -> None:
        """Check that *strategy* may place orders.

        Raises:
            OrderRefused: its last one ended the session.
        """
        _, until, _ = self._pauses.get(strategy, (0.0, now, 0.0))
        if now < until:
            raise OrderRefused(
                f"an order of strategy {strategy} was refused with an error that ended the session of all strategies; "
                f"its orders are refused for another {until - now:.1f} s"
            )

    def on_session_ended(self, strategy: str, now: float) -> None:
        """The exchange has refused an order of *strategy* with an error frame."""
        length, _, forgiven_at = self._pauses.get(strategy, (0.0, 0.0, 0.0))
        length = _FIRST_PAUSE_S if now >= forgiven_at or not length else min(length * 2, _LONGEST_PAUSE_S)
        self._pauses[strategy] = (length, now + length, now + length + _FORGIVEN_AFTER_S)

    def may_ask(self, strategy: str, now: float) -> bool:
        """Whether *strategy* may ask about one more command that nobody has received."""
        left, since = self._allowances.get(strategy, (_UNKNOWN_RATE, now))
        left = min(_UNKNOWN_RATE, left + (now - since) * _UNKNOWN_RATE)
        self._allowances[strategy] = (left - 1 if left >= 1 else left, now)
        return left >= 1
