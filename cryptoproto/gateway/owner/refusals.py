"""The orders that limits have refused, which are not in the command log. No I/O."""

from __future__ import annotations

from typing import Final

__all__ = ["Refusals"]

_KEPT: Final = 1_000


class Refusals:
    """Remembers refused orders, so that a call that arrives twice gets the same reply each time.

    NATS may deliver a message a second time when a connection comes back. Between the two, an order may become
    acceptable, and its strategy knows that it was refused. A later call with the same command id and another deadline
    is a new try.
    """

    def __init__(self) -> None:
        self._reasons: dict[tuple[str, float], str] = {}

    def add(self, command: str, deadline: float, reason: str) -> None:
        """The call of *command* with *deadline* was refused."""
        self._reasons[command, deadline] = reason
        if len(self._reasons) > _KEPT:
            del self._reasons[next(iter(self._reasons))]

    def reason(self, command: str, deadline: float) -> str | None:
        """Why this call was refused; ``None`` if it was not, or long ago."""
        return self._reasons.get((command, deadline))
