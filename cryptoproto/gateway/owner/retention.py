"""Deletes events that are older than strategies need, but never the last one: it says where the next owner resumes."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import Final

import nats.errors
from nats.js import JetStreamContext

from ..streams import first_since, purge_before

__all__ = ["keep_events"]

logger: logging.Logger = logging.getLogger("cryptoproto.gateway")

_PARTS: Final = 10
_LONGEST_S: Final = 60.0


async def keep_events(js: JetStreamContext, stream: str, seconds: float | None) -> None:
    """Delete what is older than *seconds*, again and again; ``None`` = nothing. Ends only by cancellation.

    JetStream's own limit by age would delete the last event, too.
    """
    while True:
        await asyncio.sleep(_LONGEST_S if seconds is None else min(seconds / _PARTS, _LONGEST_S))
        if seconds is not None:
            try:
                since = datetime.now(UTC) - timedelta(seconds=seconds)
                await purge_before(js, stream, await first_since(js, stream, since))
            except (nats.errors.Error, TimeoutError) as error:
                logger.info("events that are too old could not be deleted yet: %s", error)
