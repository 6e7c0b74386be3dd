"""Cancelling all orders from the status page, which has to be asked for twice."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any, Final

from ..client import Client
from ..exceptions import CryptoprotoError

__all__ = ["CancelAll"]

_VALID_S: Final = 20.0


class CancelAll:
    """Gives out a confirmation on the first request, and cancels on the second one if it brings it along.

    Args:
        client: whose orders are cancelled.
        clock: a steady clock in seconds.
    """

    def __init__(self, client: Client, clock: Callable[[], float]) -> None:
        self._client = client
        self._clock = clock
        self._confirmation: str | None = None
        self._valid_until = 0.0

    def ask(self) -> dict[str, Any]:
        """The answer to the first request: how many orders there are, and what to send to cancel them."""
        self._confirmation = secrets.token_urlsafe(16)
        self._valid_until = self._clock() + _VALID_S
        return {
            "confirm": self._confirmation,
            "valid_s": _VALID_S,
            "open_orders": len(self._client.orders.open),
        }

    async def confirm(self, confirmation: str) -> tuple[int, dict[str, Any]]:
        """Cancel all open orders: the HTTP status and the answer."""
        expected, self._confirmation = self._confirmation, None  # each is good for one attempt
        if expected is None or not secrets.compare_digest(confirmation.encode(), expected.encode()):
            return 409, {"error": "not_asked", "message": "the confirmation is not the one that was given last"}
        if self._clock() > self._valid_until:
            return 409, {"error": "too_late", "message": f"the confirmation was valid for {_VALID_S:g} s; ask again"}
        try:
            await self._client.cancel_all()
        except CryptoprotoError as error:
            return 502, {"error": type(error).__name__, "message": str(error)}
        return 200, {"cancelled": True, "open_orders": len(self._client.orders.open)}
