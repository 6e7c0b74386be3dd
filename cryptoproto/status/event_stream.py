"""What one open page receives: the whole status, then what changes, as server-sent events."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, Final

import orjson

from .camera import Camera
from .snapshot import Snapshot, changes

__all__ = ["CLOSING", "EventStreams"]

_BEAT_AFTER_S: Final = 3.0
CLOSING: Final = b"event: closing\ndata: {}\n\n"


class EventStreams:
    """The streams of all open pages.

    Each holds a reference to the snapshot that its reader has, and makes the difference to the newest one when the
    reader has taken the last message. So a slow reader skips snapshots, and nothing piles up. Readers that are at the
    same snapshot share the encoded difference.

    Args:
        camera: takes the snapshots.
        most: how many streams there may be at once.
    """

    def __init__(self, camera: Camera, most: int) -> None:
        self._camera = camera
        self._most = most
        self._open = 0
        self._last: tuple[Snapshot, Snapshot, bytes | None] | None = None

    @property
    def is_full(self) -> bool:
        """Whether no further stream may be opened."""
        return self._open >= self._most

    async def follow(self) -> AsyncGenerator[bytes]:
        """The messages for one reader. The last one says that the server is closing."""
        self._open += 1
        try:
            shown = await self._camera.fresh()
            if shown is not None:
                yield _message("full", shown.document())
            sent_at = 0.0 if shown is None else shown.at
            while shown is not None and (now := await self._camera.fresh()) is not None:
                message = self._between(shown, now)
                if message is not None:
                    shown, sent_at = now, now.at
                    yield message
                elif abs(now.at - sent_at) >= _BEAT_AFTER_S:
                    sent_at = now.at
                    yield _message("beat", {"at": now.at})
            yield CLOSING
        finally:
            self._open -= 1

    def _between(self, before: Snapshot, after: Snapshot) -> bytes | None:
        if self._last is None or self._last[0] is not before or self._last[1] is not after:
            changed = changes(before, after)
            self._last = (before, after, None if changed is None else _message("changes", changed))
        return self._last[2]


def _message(event: str, data: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (event.encode(), orjson.dumps(data))
