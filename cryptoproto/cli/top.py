"""``top``: the status of a running bot in the terminal."""

from __future__ import annotations

from typing import Annotated

import typer

from .exit_codes import ExitCode
from .options import Json, Timeout
from .output import print_json
from .running import run

__all__ = ["top"]


def top(
    url: Annotated[
        str,
        typer.Argument(
            envvar="CRYPTOPROTO_STATUS_URL",
            help="The address that the bot printed, with its token. The environment variable keeps it out of the "
            "list of processes.",
            show_default=False,
        ),
    ],
    interval: Annotated[
        float, typer.Option(min=0.2, max=3600, metavar="<seconds>", help="Time between updates.")
    ] = 1.0,
    timeout: Timeout = 5.0,
    json: Json = False,
) -> None:
    """Show the status of a running bot: orders, fills, balances, latencies.

    The bot has to serve it, with serve_status() of the package. Press c to cancel all orders, if the bot allows it; you
    are asked twice. With --json, the status is printed once.

    Example: [bold]cryptoproto top 'http://127.0.0.1:8500/?token=…'[/]
    """
    # Both need the extra `top`, which would slow every other command down.
    from .status_reader import StatusReader
    from .top_screen import TopScreen

    reader = StatusReader(url, timeout=timeout)

    async def main() -> int:
        async with reader:
            first = await reader.read()
            if json:
                print_json(first)
                return ExitCode.SUCCESS
            await TopScreen(reader, first, interval).run_async()
        return ExitCode.SUCCESS

    run(main())
