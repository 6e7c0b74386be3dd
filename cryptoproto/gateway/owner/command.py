"""The command that a task of the owner works on."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Final

import msgspec

__all__ = ["CURRENT", "Command"]


class Command(msgspec.Struct, eq=False):
    """A command of a strategy on its way to the exchange.

    Attributes:
        id: chosen by the strategy.
        strategy: who gave it.
        key: its number in the outbox of the client, once it was sent.
        is_refused: says at the last moment before it is sent whether it must not be.
    """

    id: str
    strategy: str
    key: int | None = None
    is_refused: Callable[[], bool] = bool  # bool() is false


CURRENT: Final[ContextVar[Command]] = ContextVar("cryptoproto_gateway_command")
"""Set by the service before it calls the client, because a store does not learn who calls."""
