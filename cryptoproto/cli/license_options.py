"""What the license commands share: options, and how they print."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.table import Table
from rich.text import Text

from ..exceptions import ConfigurationError
from .output import show

if TYPE_CHECKING:
    from ..licensing import Deployment

__all__ = [
    "Api",
    "ApiName",
    "AsJson",
    "BuildHost",
    "BuildNumber",
    "Config",
    "ConfigHash",
    "DatabasePath",
    "Features",
    "Instance",
    "Logins",
    "ManagerKeyFile",
    "PackageName",
    "PackageVersion",
    "ServiceName",
    "Uat",
    "Withhold",
    "chosen_logins",
    "deployment_of",
    "print_json",
    "print_rows",
    "seconds",
]

FEATURES: Final = (
    "download_trades", "download_orders", "event_log", "position_manager", "risk_manager", "journal", "udp_publish",
)  # fmt: skip

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
PackageName = Annotated[str, typer.Option("--package", help="The name of the gateway's package.")]
Logins = Annotated[list[str] | None, typer.Option("--login", help="An account login. Repeat it for several.")]
Config = Annotated[Path | None, typer.Option("--config", help="The gateway's TOML file. Only its logins are read.")]
ConfigHash = Annotated[str | None, typer.Option("--config-hash", help="Instead of the logins: their hash, as hex.")]
Uat = Annotated[bool, typer.Option("--uat", help="For a test environment.")]
ManagerKeyFile = Annotated[
    str, typer.Option("--manager-key", help="The manager's public file, or its key as one line of text.")
]
DatabasePath = Annotated[
    Path, typer.Option("--database", envvar="CRYPTOPROTO_LICENSE_DATABASE", help="The manager's SQLite file.")
]
PackageVersion = Annotated[str, typer.Option("--package-version", help="The version of the package.")]
BuildNumber = Annotated[str, typer.Option("--build-number", help="The build number of the package.")]
BuildHost = Annotated[str, typer.Option("--build-host", help="The host on which the package was built.")]
ServiceName = Annotated[str, typer.Option("--service-name", help="The gateway's service name.")]
ApiName = Annotated[str, typer.Option("--api-name", help="The product name of the exchange API.")]
Api = Annotated[str, typer.Option("--api", help="The exchange API in use.")]
Instance = Annotated[str, typer.Option("--instance", help="The name of this instance of the gateway.")]
Features = Annotated[
    list[str] | None,
    typer.Option("--feature", help=f"A feature that is on: {', '.join(FEATURES)}. Repeat it for several."),
]
Withhold = Annotated[list[str] | None, typer.Option("--withhold", help="A field not to send. Repeat it for several.")]

_UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


def seconds(text: str) -> float:
    """A duration such as ``90``, ``90s``, ``15m``, ``2h`` or ``30d``, in seconds.

    Raises:
        ConfigurationError: it is not a duration.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text.strip())
    if match is None:
        raise ConfigurationError(f"{text!r} is not a duration; write 90s, 15m, 2h or 30d")
    return float(match[1]) * _UNITS[match[2]]


def chosen_logins(logins: Sequence[str] | None, config: Path | None) -> tuple[str, ...]:
    """The logins that were given one by one or in a file; empty for a gateway with market data only.

    Raises:
        ConfigurationError: both were given, or the file cannot be used.
    """
    from ..licensing import read_logins

    if logins and config is not None:
        raise ConfigurationError("give the logins with --login or with --config, not with both")
    return read_logins(config) if config is not None else tuple(logins or ())


def deployment_of(features: Sequence[str] | None, *, uat: bool, **texts: str) -> Deployment:
    """The deployment that the options describe.

    Raises:
        ConfigurationError: a feature is unknown, or a text does not fit.
    """
    from ..licensing import Deployment

    unknown = sorted(set(features or ()) - set(FEATURES))
    if unknown:
        raise ConfigurationError(f"--feature {unknown[0]}: not a feature; choose from {', '.join(FEATURES)}")
    options: dict[str, Any] = {**texts, **dict.fromkeys(features or (), True)}
    return Deployment(is_uat=uat, **options)


def print_json(content: Any) -> None:
    """One JSON document."""
    typer.echo(json.dumps(content, indent=2, ensure_ascii=False))


def print_rows(rows: Iterable[dict[str, Any]], columns: Sequence[str], *, empty: str) -> None:
    """The named columns as a table if it fits the width, otherwise one paragraph for each row.

    Keys and hashes are never cut or wrapped: a part of one is of no use. Without rows, *empty* is printed.
    """
    listed = [{column: _cell(row[column]) for column in columns} for row in rows]
    if not listed:
        typer.echo(empty)
        return
    titles = {column: column.replace("_", " ") for column in columns}
    table = Table(*titles.values(), box=None, pad_edge=False)
    for row in listed:
        table.add_row(*(Text(cell) for cell in row.values()))
    show(table)


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value in {None, ""} else str(value)
