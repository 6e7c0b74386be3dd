"""How far the user has got: which event is being handled, which were, and how that reaches the store."""

from __future__ import annotations

import asyncio
import logging
from time import time_ns
from typing import Final

from ..connection.event import Event
from ..exceptions import StoreError
from .metrics import Histogram
from .store.interface import Store

__all__ = ["Progress"]

logger = logging.getLogger("cryptoproto.client")

_FLUSH_INTERVAL_S: Final = 0.05
"""How long the stored position may lag behind the handled one: what a kill makes be handled again."""
_FLUSH_RETRY_S: Final = 1.0


class Progress:
    """The position of one client, moved with each event and stored in groups.

    A group ends when it has as many events as the store wants, or with a timer.

    Args:
        store: where the position is kept.
        durations: counts for how long each event has waited.
        loop: the client's event loop.

    Attributes:
        handed: the event that the user's code has been given and is not done with.
        position: the transaction id of the last one that it is done with, ``None`` before the first in this process.
        waits: for how many nanoseconds each event of the group waited, which is also how many they are.
        group: how many events make a group.
    """

    __slots__ = ("_durations", "_loop", "_store", "_timer", "group", "handed", "position", "waits")

    def __init__(self, store: Store, durations: Histogram, loop: asyncio.AbstractEventLoop) -> None:
        self.handed: Event | None = None
        self.position: int | None = None
        self.waits: list[int] = []
        self.group = store.commit_every
        self._store = store
        self._durations = durations
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None

    @property
    def reached(self) -> int | None:
        """The last transaction that is done with: here, before this process, or by a commit of the user's own."""
        handled, stored = self.position, self._store.position
        return stored if handled is None or (stored is not None and stored > handled) else handled

    def handling(self) -> int | None:
        """The transaction id of the event that the user's code has now; see :meth:`Store.watch`."""
        return None if self.handed is None else self.handed.transaction_id

    def begin(self, event: Event) -> None:
        """*event* is given to the user's code."""
        self.handed = event
        if not self.waits:
            self.store_soon()
        self.waits.append(time_ns() - event.received_ns)

    def finish(self) -> None:
        """The user's code is done with what it was given.

        Raises:
            StoreError: the position could not be stored; it is not lost, and stored with the next group.
        """
        handed, self.handed = self.handed, None
        if handed is not None and handed.transaction_id is not None:
            self.position = handed.transaction_id
        if len(self.waits) >= self.group:
            self.store_now()

    def store_soon(self, delay: float = _FLUSH_INTERVAL_S) -> None:
        """Have the position stored in a moment, if that is not on its way already."""
        if self._timer is None:
            self._timer = self._loop.call_later(delay, self._on_timer)

    def store_now(self) -> None:
        """End the group.

        Raises:
            StoreError: the position could not be stored; it is not lost, and stored with the next group.
        """
        self.settle()
        self._store.flush()

    def settle(self) -> None:
        """Tell the store and the histogram how far it has come."""
        self._durations.add(self.waits)
        self.waits.clear()
        if self.position is not None:
            self._store.advance(self.position)

    def stop(self) -> None:
        """The user's code gets no more. What it has been given and did not finish is not done with."""
        self.handed = None
        self.settle()
        if self._timer is not None:
            self._timer.cancel()

    def _on_timer(self) -> None:
        self._timer = None
        try:
            self.store_now()
        except StoreError:
            logger.exception("the position could not be stored; trying again")
            self.store_soon(_FLUSH_RETRY_S)
