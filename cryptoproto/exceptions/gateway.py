"""Errors of the gateway that shares one exchange session over NATS."""

from __future__ import annotations

from typing import Any

from .base import CryptoprotoError
from .connection import ConnectionClosed

__all__ = ["GatewayError", "HistoryTruncated", "OwnershipLost"]


class GatewayError(CryptoprotoError):
    """NATS cannot be used: it is not there, refuses what the gateway needs, or holds what no gateway has written."""


class OwnershipLost(GatewayError):
    """This process does not own the exchange session any more, or cannot be sure that it does."""


class HistoryTruncated(ConnectionClosed):
    """The gateway's event stream does not go back to this strategy's position: some events are gone from it.

    A retry cannot succeed: compare orders and balances, then start with a new store, or keep events for longer.

    Attributes:
        position: the last transaction id that this strategy has handled.
        first: the first transaction id in the stream.
    """

    position: int

    def __init__(self, position: int, first: int) -> None:
        super().__init__(
            None,
            f"the gateway's event stream begins at transaction {first}, after this strategy's position {position}; "
            f"the events in between are gone. Compare your orders and balances with the exchange, then start again "
            f"with a new store",
            position=position,
        )
        self.args: tuple[Any, ...] = (position, first)  # what a copy is made from
        self.first = first

    def __str__(self) -> str:
        return self.reason
