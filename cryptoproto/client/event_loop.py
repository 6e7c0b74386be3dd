"""A client belongs to the event loop in which it is created."""

from __future__ import annotations

import asyncio

from ..exceptions import ConfigurationError

__all__ = ["check_running_loop"]


def check_running_loop() -> None:
    """Check that an event loop is running in this thread.

    Raises:
        ConfigurationError: none is. ``RuntimeError: no running event loop`` would not say what to do.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise ConfigurationError(
            "create a Client in a coroutine, because it belongs to the running event loop; "
            "without asyncio, use cryptoproto.sync.Client"
        ) from None
