"""The tree of commands, and what becomes of an error."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from ..exceptions import CryptoprotoError
from ..version import __version__
from .apikeys import app as apikeys_app
from .bench import bench
from .book import book
from .demo import demo
from .exchange import exchange
from .keys import keygen
from .license import license_app
from .trade import order, request, tail

__all__ = ["app", "run"]

app = typer.Typer(
    name="cryptoproto",
    help="Trade over encrypted protocols, and run an exchange of your own to try it on.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # a traceback with local variables would print secrets
    rich_markup_mode="rich",
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
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and stop."),
    ] = False,
) -> None:
    pass


app.command("demo")(demo)
app.command("keygen")(keygen)
app.command("exchange")(exchange)
app.command("tail")(tail)
app.add_typer(order, name="order")
app.command("request")(request)
app.command("book")(book)
app.command("bench")(bench)
app.add_typer(apikeys_app)
app.add_typer(license_app, name="license")


def run() -> int:
    """Run the command that the process was given; the exit code, 0 only on success."""
    try:
        outcome = app(standalone_mode=True)
    except CryptoprotoError as error:
        Console(stderr=True).print(f"[red]error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        return 130
    return outcome if isinstance(outcome, int) else 0
