"""Topics in memory: which listeners each destination has."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

__all__ = ["Delivery", "Listener", "StompBroker"]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message for the listeners of a destination. All of them share its body."""

    destination: str
    message_id: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


Listener = Callable[[Delivery], None]
"""Called for each message. It must not wait."""


class StompBroker:
    """Passes each message to the current listeners of its destination. Belongs to one event loop."""

    __slots__ = ("_ids", "_listeners")

    def __init__(self) -> None:
        self._ids = itertools.count(1)
        self._listeners: dict[str, set[Listener]] = {}

    def publish(
        self,
        destination: str,
        body: bytes | str,
        *,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> int:
        """Send a message to a destination. Return how many listeners it had."""
        delivery = Delivery(
            destination,
            str(next(self._ids)),
            body.encode() if isinstance(body, str) else body,
            {**(headers or {}), "content-type": content_type},
        )
        listeners = tuple(self._listeners.get(destination, ()))
        for listener in listeners:
            listener(delivery)
        return len(listeners)

    def listen(self, destination: str, listener: Listener) -> Callable[[], None]:
        """Add a listener. Call what is returned to remove it."""
        self._listeners.setdefault(destination, set()).add(listener)

        def stop() -> None:
            listeners = self._listeners.get(destination, set())
            listeners.discard(listener)
            if not listeners:
                self._listeners.pop(destination, None)

        return stop

    def listeners(self, destination: str) -> int:
        """How many listeners a destination has now."""
        return len(self._listeners.get(destination, ()))
