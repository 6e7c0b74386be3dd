"""``recording``: what is in a recording of market data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from ..recording.info import RecordingInfo, recording_info
from .exit_codes import ExitCode
from .options import Json
from .output import console, note, print_json, show, table

__all__ = ["recording_app"]

recording_app: typer.Typer = typer.Typer(no_args_is_help=True, help="Look into recordings of market data.")


@recording_app.command()
def info(
    file: Annotated[Path, typer.Argument(help="A file that `cryptoproto record` has written.")],
    json: Json = False,
) -> None:
    """Show what a recording holds: pairs, time, updates, gaps, and damage.

    Exit code 1 if a part of it cannot be read. An unfinished block at the end is no damage.

    Example: [bold]cryptoproto recording info monday.rec[/]
    """
    found = recording_info(file)
    if json:
        print_json(found.as_dict())
    else:
        _show(found)
    if found.damages:
        raise typer.Exit(ExitCode.FAILED)


def _show(found: RecordingInfo) -> None:
    each = found.bytes_per_update
    tally = found.tally
    rows = {
        "recording": found.path,
        "feed": found.url,
        "pairs": ", ".join(found.pairs) or "none",
        "from": "nothing was recorded" if found.start is None else f"{found.start:%Y-%m-%d %H:%M:%S.%f} UTC",
        "to": "" if found.end is None else f"{found.end:%Y-%m-%d %H:%M:%S.%f} UTC",
        "updates": f"{tally.updates:,}: {tally.books:,} books, {tally.trades:,} trades, {tally.others:,} others",
        "size": f"{found.size:,} bytes" + ("" if each is None else f", {each:.1f} an update"),
    }
    for name, text in rows.items():
        if text:
            console.print(f"[bold]{name:<10}[/] {escape(text)}", soft_wrap=True)
    if found.gaps:
        gaps = table("gaps", "from", "to", "reason")
        for gap in found.gaps:
            end = "the end" if gap.end is None else f"{gap.end:%Y-%m-%d %H:%M:%S.%f}"
            gaps.add_row(f"{gap.start:%Y-%m-%d %H:%M:%S.%f}", end, escape(gap.reason))
        show(gaps)
    for damage in found.damages:
        note(f"[red]damaged:[/] {damage.size:,} bytes at byte {damage.offset:,}: {escape(damage.text)}")
    if found.torn is not None:
        note(
            f"The last {found.torn.size:,} bytes are an unfinished block, which is ignored: "
            f"the recorder was killed, or is still running."
        )
    elif not found.is_complete and found.blocks:
        note("The recorder was not closed: it was killed, or is still running.")
