"""How results are shown: laid out for people, JSON for programs."""

from __future__ import annotations

import sys
from decimal import Decimal
from typing import Any

import orjson
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..connection import Event
from ..messages import Message, Unknown, plain

__all__ = ["console", "counted", "fields", "note", "notes", "print_event", "print_json", "short", "show", "table"]

console: Console = Console(highlight=False)
_NARROWEST_COLUMNS = 72  # below it, the columns of an event leave no room for its fields
_ANY_WIDTH = 10_000
notes: Console = Console(stderr=True, highlight=False)


def note(text: str) -> None:
    """Write a remark for the user to standard error, so that it does not get into a pipe."""
    notes.print(text, soft_wrap=True)


def print_json(value: Any) -> None:
    """Write one JSON value on one line, and flush it."""
    sys.stdout.write(orjson.dumps(value).decode() + "\n")
    sys.stdout.flush()


def table(title: str, *columns: str, right: tuple[str, ...] = ()) -> Table:
    """An empty table. The columns named in *right* are aligned right."""
    made = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        header_style="bold",
        box=box.SIMPLE_HEAD,
        collapse_padding=True,
        pad_edge=False,
    )
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")  # never cut a number
    return made


def show(made: Table) -> None:
    """Print a table if it fits the width, otherwise a paragraph for each row.

    Numbers, keys and hashes are not broken: a part of one is of no use.
    """
    whole = console.options.update(max_width=_ANY_WIDTH)
    if not made.row_count or console.measure(made, options=whole).maximum <= console.width:
        console.print(made)
        return
    if made.title:
        console.print(f"[bold]{made.title}[/]\n")
    label = max(len(str(column.header)) for column in made.columns)
    for number, row in enumerate(zip(*(column.cells for column in made.columns), strict=True)):
        if number:
            console.print()
        for column, cell in zip(made.columns, row, strict=True):
            console.print(f"{column.header!s:{label}}  ", cell, sep="", soft_wrap=True)


def fields(message: Message) -> str:
    """The fields of a message as ``name=value`` on one line, without its type and time."""
    parts = []
    for name, value in message.payload.items():
        if name not in ("@type", "time"):
            shown = short(getattr(message, name)) if isinstance(getattr(message, name), Decimal) else str(value)
            parts.append(f"[dim]{name}[/]={escape(shown)}")
    return " ".join(parts)


def short(value: Decimal) -> str:
    """*value* in plain digits, without zeros at the end of its decimals."""
    text = plain(value)
    return text.rstrip("0").rstrip(".") if "." in text else text


def counted(count: int, noun: str) -> str:
    """*count* and the *noun*, which forms its plural with an s: ``1 order``, ``2 orders``."""
    return f"{count} {noun}" if count == 1 else f"{count:,} {noun}s"


def print_event(event: Event) -> None:
    """Show one event: in columns on a terminal, on one line in a pipe or if the terminal has no room for columns."""
    when = event.at.astimezone().strftime("%H:%M:%S.%f")[:-3] if event.at else "broadcast"
    number = "" if event.transaction_id is None else str(event.transaction_id)
    message = event.message
    if isinstance(message, Unknown):
        name, text = message.type, escape(str(message.payload))
    else:
        name, text = type(message).__name__, fields(message)
    if not console.is_terminal or console.width < _NARROWEST_COLUMNS:
        console.print(f"{when:<12} {number:>8} {escape(name):<22} {text}", soft_wrap=True)
        return
    row = Table.grid(padding=(0, 1))
    row.add_column(style="dim", width=12)
    row.add_column(style="cyan", justify="right", min_width=6, no_wrap=True)
    row.add_column(style="bold", width=22, overflow="fold")
    row.add_column(overflow="fold")
    row.add_row(when, number, escape(name), text)
    console.print(row)
