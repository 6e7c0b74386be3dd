"""How things are shown: laid out for people, JSON for programs."""

from __future__ import annotations

import sys
from typing import Any

import orjson
from rich import box
from rich.console import Console
from rich.table import Table

from ..messages import Message, plain

__all__ = ["console", "fields", "note", "print_json", "table"]

console = Console(highlight=False)
_notes = Console(stderr=True, highlight=False)


def note(text: str) -> None:
    """Something for the person at the keyboard, on standard error, so that pipes stay clean."""
    _notes.print(text, soft_wrap=True)


def print_json(value: Any) -> None:
    """One JSON value on one line, flushed at once."""
    sys.stdout.write(orjson.dumps(value).decode() + "\n")
    sys.stdout.flush()


def table(title: str, *columns: str, right: tuple[str, ...] = ()) -> Table:
    """An empty table; the columns named in *right* are aligned right."""
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
        made.add_column(column, justify="right" if column in right else "left", no_wrap=column in right)
    return made


def fields(message: Message) -> str:
    """A message as one readable line: its fields, amounts in plain digits, without type and time."""
    parts = []
    for name, value in message.payload.items():
        if name not in ("@type", "time"):
            parts.append(f"[dim]{name}[/]={plain(value) if hasattr(value, 'as_tuple') else value}")
    return " ".join(parts)
