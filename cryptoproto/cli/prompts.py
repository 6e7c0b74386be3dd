"""Passwords and secrets: asked for at a terminal, otherwise read from standard input."""

from __future__ import annotations

import sys

import typer

from .output import note

__all__ = ["ask_secret"]


def ask_secret(what: str, *, confirm: bool = False) -> str:
    """Ask for *what* without showing what is typed. Without a terminal, one line is read from standard input.

    Args:
        what: such as "Password".
        confirm: at a terminal, ask a second time.

    Raises:
        typer.Abort: standard input is at its end.
    """
    if sys.stdin.isatty():
        entered: str = typer.prompt(what, hide_input=True, err=True, confirmation_prompt=confirm)
        return entered
    note(f"{what}: reading a line from standard input")
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise typer.Abort
    return line
