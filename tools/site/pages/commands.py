"""Every command with its arguments, options and exit codes, from the commands themselves."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any, Final

import typer

from cryptoproto.cli.app import app
from cryptoproto.cli.commands import COMMANDS
from cryptoproto.cli.exit_codes import ExitCode

from ..enum_values import documented_values
from ..markdown import heading, table

__all__ = ["commands", "page"]

_HEAD: Final = """\
# Commands

Every command, as `--help` shows it. [The command line](../command-line.md) explains how they are used together. Install them with
`pip install 'cryptoproto[cli]'`.
"""
_MARKUP: Final = re.compile(r"\[/?(?:bold|dim|cyan|green|red|yellow|italic|code)?[a-z ]*\]")


def page() -> str:
    """The page."""
    parts = [_HEAD, heading(2, "Exit codes")]
    codes = [[str(int(code)), f"`{code.name}`", meaning] for code, meaning in documented_values(ExitCode)]
    parts.append(table(["code", "name", "meaning"], codes))
    for name, command in commands():
        parts += _command(name, command)
    return "\n\n".join(parts) + "\n"


def commands() -> Iterator[tuple[str, Any]]:
    """Each command that can be run, with its full name."""
    root: Any = typer.main.get_command(app)
    context = root.make_context("cryptoproto", [], resilient_parsing=True)
    for name in COMMANDS:
        root.resolve_command(context, [name])  # imports it
    yield from _below("cryptoproto", root)


def _below(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield name, command
        return
    for word, each in inner.items():
        if not each.hidden:
            yield from _below(f"{name} {word}", each)


def _command(name: str, command: Any) -> list[str]:
    context = command.make_context(name, [], resilient_parsing=True)
    params = [param for param in command.get_params(context) if not getattr(param, "hidden", False)]
    words = [piece for param in params if (piece := _piece(param))]
    parts = [
        heading(2, name.removeprefix("cryptoproto ")),
        f"```text\n{' '.join([name, '[OPTIONS]', *words])}\n```",
        *_paragraphs(command.help or ""),
        *_paragraphs(command.epilog or ""),
    ]
    for title, kind in (("argument", "argument"), ("option", "option")):
        rows = [_row(param) for param in params if param.param_type_name == kind and param.name != "help"]
        if rows:
            parts.append(table([title, "default", "what it does"], rows))
    return parts


def _piece(param: Any) -> str:
    if param.param_type_name != "argument":
        return ""
    word = (param.metavar or param.name).upper().strip("[]")
    return (
        f"{word}{'...' if param.nargs == -1 else ''}"
        if param.required
        else f"[{word}{'...' if param.nargs == -1 else ''}]"
    )


def _row(param: Any) -> list[str]:
    names = [*param.opts, *param.secondary_opts] if param.param_type_name == "option" else [param.name.upper()]
    text = _plain(getattr(param, "help", None) or "")
    variable = getattr(param, "envvar", None)
    if variable:
        text += f" Environment: `{variable if isinstance(variable, str) else ', '.join(variable)}`."
    return [", ".join(f"`{name}`" for name in names), _default(param), text]


def _default(param: Any) -> str:
    default = param.default
    if param.required:
        return "required"
    if default is None or callable(default) or isinstance(default, list | tuple):
        return ""
    if isinstance(default, bool):
        return "on" if default else ""
    return f"`{getattr(default, 'value', default)}`"


def _paragraphs(text: str) -> Iterator[str]:
    for part in inspect.cleandoc(text).split("\n\n"):
        example = re.fullmatch(r"Example:\s+(.*)", part.strip(), re.DOTALL)
        if example:
            yield from _example(" ".join(example[1].split()))
        elif part.strip():
            yield _plain(part)


def _example(text: str) -> Iterator[str]:
    """A command as a block that can be copied, and what is said behind it. The command is bold, or all of *text*."""
    command, bold_ends, rest = text.removeprefix("[bold]").partition("[/]")
    yield f"```sh\n{_plain(command)}\n```"
    if bold_ends and rest.strip():
        yield _plain(rest.strip())


def _plain(text: str) -> str:
    return _MARKUP.sub("", text).replace("\b", "")
