"""The start and the end of a client: what is opened, and what is closed, in which order."""

from __future__ import annotations

import asyncio
from typing import Final

from ..connection import ConnectOptions
from ..exceptions import CryptoprotoError
from .cancel_on_exit import CancelOnExit
from .event_stream import EventDelivery
from .order_entry import OrderEntry
from .reconnector import Reconnector
from .reports import Reports
from .store import Store

__all__ = ["CLOSE_TIMEOUT_S", "Lifecycle"]

CLOSE_TIMEOUT_S: Final = 5.0


class Lifecycle:
    """Starts and closes the parts of a client; :class:`~cryptoproto.Client` says what a caller may rely on."""

    def __init__(
        self,
        options: ConnectOptions,
        store: Store,
        reports: Reports,
        order_entry: OrderEntry,
        events: EventDelivery,
        reconnector: Reconnector,
        cancel_on_exit: CancelOnExit,
    ) -> None:
        self._options = options
        self._store = store
        self._reports = reports
        self._order_entry = order_entry
        self._events = events
        self._reconnector = reconnector
        self._cancel_on_exit = cancel_on_exit

    async def start(self) -> None:
        """Open the store and connect. Returns when the first attempt has ended."""
        self._store.open(self._options.client_id, self._options.server_key.fingerprint)
        self._store.watch(self._events.handling)
        try:
            self._order_entry.restore()
            self._reports.restore()
            self._reconnector.start()
        except CryptoprotoError:
            self._store.close()
            raise
        try:
            await self._reconnector.settled()
        except asyncio.CancelledError:
            await self.close(0)
            raise
        if self._reconnector.error is not None:
            await self.close(CLOSE_TIMEOUT_S)
            raise self._reconnector.error

    async def close(self, timeout: float) -> None:
        """Cancel what is to be cancelled, end the connection and every task, then close the store. Idempotent."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        try:
            await self._cancel_on_exit.cancel(timeout)
        finally:
            await self._reconnector.close(max(deadline - loop.time(), 0.0))
            self._order_entry.close()
            self._events.end()
            self._cancel_on_exit.finish()
            self._store.close()
