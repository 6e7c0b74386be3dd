"""How commands run: on an event loop, until they end or are stopped by a signal."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, cast

import typer

from ..exceptions import OutcomeUnknown
from .exit_codes import ExitCode, show_error, wants_json

__all__ = ["reported_if_stopped", "run"]


def run(main: Coroutine[Any, Any, int]) -> None:
    """Run a command's coroutine and exit with the code that it returns. SIGTERM ends it as Ctrl-C does."""
    stopped = ExitCode.INTERRUPTED

    async def interruptible() -> int:
        task, loop = cast("asyncio.Task[int]", asyncio.current_task()), asyncio.get_running_loop()
        loop.set_exception_handler(_on_loop_error)

        def on_sigterm() -> None:
            nonlocal stopped
            stopped = ExitCode.TERMINATED
            task.cancel()

        loop.add_signal_handler(signal.SIGTERM, on_sigterm)
        try:
            return await main
        except OutcomeUnknown as error:
            if not task.cancelling():
                raise
            show_error(type(error).__name__, str(error), stopped, as_json=wants_json(sys.argv[1:]))
            return stopped

    try:
        code = asyncio.run(interruptible())
    except asyncio.CancelledError:
        code = ExitCode.TERMINATED
    raise typer.Exit(code)


@contextmanager
def reported_if_stopped(what: str, advice: str) -> Iterator[None]:
    """Say that an outcome is not known if the command is stopped by a signal inside the block.

    Args:
        what: what was done before, like "the order was sent".
        advice: how to find out what became of it.

    Raises:
        OutcomeUnknown: the command was stopped. :func:`run` shows it, and ends with the exit code of the signal.
    """
    try:
        yield
    except asyncio.CancelledError:
        raise OutcomeUnknown(f"{what}, but the command was stopped before its answer came; {advice}") from None


def _on_loop_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Report an error that nothing awaits, except a link that its peer ended during the TLS handshake.

    aiofastnet, on which picows runs, reports such links with a class in place of an exception, and logging fails on it.
    """
    if not isinstance(context.get("exception"), type):
        loop.default_exception_handler(context)
