"""The requests for streams of events that the responder knows, and the reading of a stream."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import cryptoproto as cp

__all__ = ["PREPARE_S", "START", "prepare", "take"]

START: Final[dict[str, Any]] = {"@type": "StartStream", "padding": "." * 20}
"""Sends the events that were prepared."""
PREPARE_S: Final = 300.0
"""How long it may take to prepare them."""


def prepare(count: int, *, as_it_goes: bool = False, **more: object) -> dict[str, Any]:
    """The request that prepares *count* events; see ``responder``."""
    return {"@type": "PrepareStream", "count": count, "as_it_goes": as_it_goes, **more}


async def take(events: AsyncIterator[cp.Event], count: int) -> None:
    """Iterate over *count* events."""
    taken = 0
    async for _ in events:
        taken += 1
        if taken == count:
            break
