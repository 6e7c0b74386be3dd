"""``record``: keep market data in a file."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.live import Live
from rich.text import Text

from ..exceptions import RequestTimeout
from ..market_data import MarketData
from ..recording import Recorder, record
from ..recording.durations import seconds_of
from .exit_codes import ExitCode
from .options import Insecure, Json, Timeout, TransportName, check_address, positive
from .output import console, counted, note, notes, print_json
from .running import run

__all__ = ["record_command"]


def record_command(
    to: Annotated[Path, typer.Option("--to", help="The file. An existing recording of these pairs is continued.")],
    pairs: Annotated[list[str] | None, typer.Argument(help="Pairs to record, like BTC_USD; without any, all.")] = None,
    url: Annotated[
        str, typer.Option("--url", envvar="CRYPTOPROTO_MARKET_DATA_URL", help="Address of the market data.")
    ] = "ws://127.0.0.1:8401",
    duration: Annotated[
        str | None, typer.Option("--for", help="Stop after this time: 90s, 10m, 1h30m.", show_default="until Ctrl-C")
    ] = None,
    block_interval: Annotated[
        float,
        typer.Option(
            callback=positive, metavar="<seconds>", help="Time between two writes: what a crash can lose at most."
        ),
    ] = 5.0,
    transport: TransportName = "auto",
    insecure: Insecure = False,
    timeout: Timeout = 10.0,
    json: Json = False,
) -> None:
    """Record order books and trades to a file, until Ctrl-C or SIGTERM.

    Stays connected like a bot would; a disconnect is recorded as such. Play the file back with cryptoproto.replay().

    Example: [bold]cryptoproto record BTC_USD ETH_USD --to monday.rec --for 8h[/]
    """
    check_address(url, insecure=insecure)
    seconds = None if duration is None else seconds_of(duration, "--for")

    async def main() -> int:
        feed = MarketData(url, transport=transport, insecure=insecure, pairs=pairs or None)
        recorder = record(feed, to, block_interval=block_interval)
        async with feed:
            await _first(feed, pairs or [], url, timeout)
            try:
                async with recorder:
                    note(f"Recording {', '.join(pairs or ['all pairs'])} to {to}. Press Ctrl-C to stop.")
                    await _until_the_end(recorder, seconds)
            finally:
                if recorder.size:  # otherwise the file was not opened, which the error says
                    _show_end(recorder, json=json)
        return ExitCode.SUCCESS

    run(main())


async def _first(feed: MarketData, pairs: list[str], url: str, timeout: float) -> None:
    """Wait until there is something to record, so that a mistyped address or pair leaves no empty file."""
    try:
        await feed.wait_connected(timeout=timeout)
        for pair in pairs:
            await feed.wait_book(pair, timeout=timeout)
    except RequestTimeout as error:
        if feed.state.error is not None and not feed.is_connected:
            raise feed.state.error from None
        raise RequestTimeout(f"{url}: {error}") from None


async def _until_the_end(recorder: Recorder, seconds: int | None) -> None:
    """Show the progress until *seconds* have passed.

    Raises:
        RecordingError: the file cannot be written.
    """
    started = time.monotonic()
    closed = asyncio.ensure_future(recorder.wait_closed())
    try:
        with Live(_progress(recorder, 0), console=notes, auto_refresh=False, transient=True) as live:
            while seconds is None or time.monotonic() - started < seconds:
                passed = time.monotonic() - started
                await asyncio.wait([closed], timeout=0.5 if seconds is None else min(0.5, seconds - passed))
                if closed.done():
                    closed.result()
                    return
                if notes.is_terminal:
                    live.update(_progress(recorder, passed), refresh=True)
    finally:
        closed.cancel()


def _progress(recorder: Recorder, passed: float) -> Text:
    minutes, seconds = divmod(int(passed), 60)
    hours, minutes = divmod(minutes, 60)
    return Text(
        f"{hours}:{minutes:02}:{seconds:02}  {counted(recorder.updates, 'update')}, "
        f"{recorder.size / 1000:,.0f} kB{_gaps(recorder)}  ({recorder.path})"
    )


def _gaps(recorder: Recorder) -> str:
    return f", {counted(recorder.gaps, 'disconnect')}" if recorder.gaps else ""


def _show_end(recorder: Recorder, *, json: bool) -> None:
    if json:
        print_json({"path": recorder.path, "updates": recorder.updates, "bytes": recorder.size, "gaps": recorder.gaps})
    elif recorder.updates:
        found = f"{counted(recorder.updates, 'update')}, {recorder.size:,} bytes{_gaps(recorder)}"
        console.print(f"[bold]{recorder.path}[/]  {found}", soft_wrap=True)
    else:
        note(f"{recorder.path}: nothing was recorded")
