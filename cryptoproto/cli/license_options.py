"""What the license commands share: options, and how they print."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..exceptions import ConfigurationError

if TYPE_CHECKING:
    from ..licensing import TokenBinding

__all__ = [
    "AsJson",
    "Config",
    "ConfigHash",
    "DatabasePath",
    "Logins",
    "ManagerKeyFile",
    "PackageName",
    "Uat",
    "binding_of",
    "chosen_logins",
    "print_json",
    "print_table",
    "seconds",
]

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
PackageName = Annotated[str, typer.Option("--package", help="The name of the gateway's package.")]
Logins = Annotated[list[str] | None, typer.Option("--login", help="An account login; repeat it for several.")]
Config = Annotated[
    Path | None, typer.Option("--config", help="The gateway's TOML file; its logins are read, nothing else.")
]
ConfigHash = Annotated[str | None, typer.Option("--config-hash", help="In place of the logins: their hash, as hex.")]
Uat = Annotated[bool, typer.Option("--uat", help="For a test environment.")]
ManagerKeyFile = Annotated[
    str, typer.Option("--manager-key", help="The manager's public file, or its key as one line of text.")
]
DatabasePath = Annotated[
    Path, typer.Option("--database", envvar="CRYPTOPROTO_LICENSE_DATABASE", help="The manager's SQLite file.")
]

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


def seconds(text: str) -> float:
    """A duration such as ``90``, ``90s``, ``15m``, ``2h`` or ``30d``, in seconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text.strip())
    if match is None:
        raise ConfigurationError(f"{text!r} is no duration; write 90s, 15m, 2h or 30d")
    return float(match[1]) * _UNITS[match[2]]


def chosen_logins(logins: Sequence[str] | None, config: Path | None) -> tuple[str, ...]:
    """The logins given one by one or in a file; none of either is a gateway for market data alone."""
    from ..licensing import read_logins

    if logins and config is not None:
        raise ConfigurationError("give the logins with --login or with --config, not with both")
    return read_logins(config) if config is not None else tuple(logins or ())


def binding_of(public_key: str, package: str, digest: bytes, *, uat: bool) -> TokenBinding:
    """What a lock or a token is bound to."""
    from ..licensing import TokenBinding

    return TokenBinding(public_key, package, digest, uat)


def print_json(content: Any) -> None:
    """One JSON document."""
    typer.echo(json.dumps(content, indent=2, ensure_ascii=False))


def print_table(rows: Iterable[dict[str, Any]], columns: Sequence[str], *, empty: str) -> None:
    """A table of the named columns, or one line that says that there is nothing."""
    listed = list(rows)
    if not listed:
        typer.echo(empty)
        return
    table = Table(*(column.replace("_", " ") for column in columns), box=None, pad_edge=False)
    for row in listed:
        table.add_row(*(Text(_cell(row[column])) for column in columns))
    # A terminal may be narrower than two keys of 44 characters; a cut key is of no use to anybody.
    Console(soft_wrap=True, width=max(Console().width, 200)).print(table)


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else str(value)
