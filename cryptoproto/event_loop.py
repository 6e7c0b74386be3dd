"""Runs a program on the fastest event loop that is installed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from .exceptions import ConfigurationError

__all__ = ["run"]

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T], *, uvloop: bool | None = None, debug: bool | None = None) -> T:
    """Run *main* to its end and return its result, as :func:`asyncio.run`, on uvloop if it is installed.

    With uvloop, a request takes about a fifth less time. An event costs a client a little more.

    Args:
        main: the coroutine of the program.
        uvloop: ``False`` for the event loop of asyncio, ``True`` if uvloop must be there; ``None`` takes what there is.
        debug: the debug mode of the event loop; ``None`` leaves it as it is.

    Raises:
        ConfigurationError: uvloop is asked for and not installed.
        RuntimeError: an event loop is running in this thread.
    """
    factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    if uvloop is not False:
        try:
            import uvloop as uvloop_module
        except ImportError:
            if uvloop:
                main.close()
                raise ConfigurationError("uvloop is not installed: pip install 'cryptoproto[fast]'") from None
        else:
            factory = uvloop_module.new_event_loop
    with asyncio.Runner(debug=debug, loop_factory=factory) as runner:
        return runner.run(main)
