"""The tree of commands, and what happens to an error."""

from __future__ import annotations

import contextlib
import errno
import inspect
import os
import re
import sys
from collections.abc import Iterator
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from typer.core import TyperGroup

from ..exceptions import CryptoprotoError, IdentityInUse
from ..version import __version__
from .commands import COMMANDS, SETTINGS, load
from .exit_codes import ExitCode, described, exit_code, show_error, wants_json

__all__ = ["app", "run"]

_NEGATIVE: Final = re.compile(r"-[0-9.]")
_PLAIN: Final = {  # for the words of pydantic, which typer shows
    "it must be a valid integer, unable to parse string as an integer": "it must be a whole number",
    "it must be a valid number, unable to parse string as a number": "it must be a number",
}
_NOT_WRITTEN: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
_UsageError: Any = typer.BadParameter.__base__  # click's, or the copy of click that newer versions of typer bring


class _Commands(TyperGroup):
    """The root of the tree. Imports a command when it is run, and adapts what typer shows in the help and in errors.

    Flags are shown without a type (``--json``, not ``--json <bool>``). Each paragraph of a docstring is joined to one
    line, so that it is wrapped to the width of the terminal and not broken where the source is. Each command ends with
    its exit codes. An error begins with what is wrong, not with the words that pydantic puts before it.
    """

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self._loaded: set[str] = set()

    def get_params(self, ctx: Any) -> list[Any]:
        return _without_type(super().get_params(ctx))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name = args[0]
        if name in COMMANDS and name not in self._loaded:
            self._loaded.add(name)
            self.commands[name] = load(name)
            for each in _tree(self.commands[name]):
                params = _without_type(each.get_params(ctx))
                each.help = _joined(each.help)
                if not hasattr(each, "commands"):
                    each.epilog = described([param.name for param in params])
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            text = error.message.removeprefix("Value error, ").replace("Input should be ", "it must be ")
            error.message = _PLAIN.get(text, text)
            raise
        except _UsageError as error:
            if _NEGATIVE.match(getattr(error, "option_name", "")):
                error.message += "; if it is a number, put -- before the arguments"
            raise


def _tree(command: Any) -> Iterator[Any]:
    """A command and, if it is a group, all commands below it."""
    if command is not None:
        yield command
        for each in getattr(command, "commands", {}).values():
            yield from _tree(each)


def _joined(text: str | None) -> str | None:
    """*text* with each of its paragraphs on one line."""
    return text and "\n\n".join(" ".join(paragraph.split()) for paragraph in inspect.cleandoc(text).split("\n\n"))


def _without_type(params: list[Any]) -> list[Any]:
    for param in params:
        if getattr(param, "is_flag", False):
            param.metavar = ""
    return params


app: typer.Typer = typer.Typer(
    cls=_Commands,
    name="cryptoproto",
    help="Trade over encrypted protocols, and run an exchange to test against.",
    epilog="Exit codes: 0 success, 1 refused or failed, 2 wrong usage or configuration, 3 no connection, "
    "4 no answer (an order may have been placed), 5 client id in use on this machine. "
    "With --json, errors are JSON on standard error.",
    **SETTINGS,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(value: bool) -> None:
    if value:
        Console().print(f"cryptoproto {__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    pass


for _name, _place in COMMANDS.items():
    app.command(_name, help=_place.summary)(lambda: None)  # stands in the list until it is run


def run() -> int:
    """Run the command that the process was given, and return the exit code; see :class:`ExitCode`.

    Raises:
        SystemExit: the command ended by itself; it has the exit code.
    """
    as_json = wants_json(sys.argv[1:])
    try:
        outcome = app(standalone_mode=not as_json)  # otherwise typer writes usage errors, as text
    except IdentityInUse as error:
        show_error(type(error).__name__, f"{error}, or pass --take-over", ExitCode.IN_USE, as_json=as_json)
        return ExitCode.IN_USE
    except CryptoprotoError as error:
        code = exit_code(error)
        show_error(type(error).__name__, str(error), code, as_json=as_json)
        return code
    except _UsageError as error:
        show_error("UsageError", error.format_message(), ExitCode.USAGE, as_json=as_json)
        return ExitCode.USAGE
    except OSError as error:
        if error.errno not in _NOT_WRITTEN or error.filename is not None:
            raise
        _discard_output()
        what = f"the output cannot be written: {error.strerror}; what the command did before is done"
        show_error("OutputError", what, ExitCode.FAILED, as_json=as_json)
        return ExitCode.FAILED
    except typer.Abort:
        show_error("Aborted", "aborted: no answer to the prompt", ExitCode.FAILED, as_json=as_json)
        return ExitCode.FAILED
    return outcome if isinstance(outcome, int) else ExitCode.SUCCESS


def _discard_output() -> None:
    """Let nothing be written to standard output any more: what is buffered would fail again at the end."""
    with contextlib.suppress(OSError, ValueError):  # it is not a file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
