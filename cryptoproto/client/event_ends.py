"""What events come from, and what sees them before the user does, as types."""

from __future__ import annotations

from typing import Protocol

from ..connection import Event
from ..exceptions import CryptoprotoError
from .account.balances import BalanceTable

__all__ = ["EventSource", "EventTables", "Settler"]


class EventSource(Protocol):
    """What events are read from: the :class:`~cryptoproto.client.link.Link` of a client, for example."""

    def pause(self) -> None:
        """Pass no more events on for now."""

    def resume(self) -> None:
        """Pass events on again."""

    def give_up(self, error: CryptoprotoError) -> None:
        """Begin again after the position, because of *error*."""


class EventTables(Protocol):
    """What sees each event first."""

    @property
    def balances(self) -> BalanceTable:
        """The balances, as of the last event."""

    @property
    def position(self) -> int:
        """The transaction id of the last event that was applied."""

    def apply(self, events: list[Event]) -> None:
        """Apply *events*; those that were applied before change nothing."""


class Settler(Protocol):
    """What events settle: the :class:`~cryptoproto.client.order_entry.OrderEntry` of a client, for example."""

    @property
    def unanswered(self) -> int:
        """How many messages have no outcome yet."""

    def settle(self, events: list[Event]) -> None:
        """Settle what *events* answer."""
