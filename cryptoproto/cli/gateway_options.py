"""The options that the ``gateway`` commands have in common."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias

import typer

from ..exceptions import ConfigurationError

__all__ = ["NATS", "Lease", "Nats", "NatsCa", "Nkey", "Prefix", "Replicas", "SessionOf", "Strategy", "room", "trusted"]

_SHORTEST_LEASE_S: Final = 0.5
_MOST_REPLICAS: Final = 5

Nats: TypeAlias = Annotated[
    str, typer.Option("--nats", envvar="CRYPTOPROTO_NATS", help="NATS server, or several, separated by commas.")
]
Nkey: TypeAlias = Annotated[
    Path | None,
    typer.Option("--nkey", envvar="CRYPTOPROTO_NKEY", help="File with your nkey seed, if NATS asks for one."),
]
NatsCa: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--nats-ca", envvar="CRYPTOPROTO_NATS_CA", help="Certificates (PEM) to trust instead of the system's."
    ),
]
Prefix: TypeAlias = Annotated[str, typer.Option("--prefix", help="First token of all NATS subjects.")]
SessionOf: TypeAlias = Annotated[
    str, typer.Option("--client-id", envvar="CRYPTOPROTO_CLIENT_ID", help="The client id whose session is shared.")
]


def _lease(value: float) -> float:
    if not value >= _SHORTEST_LEASE_S:
        raise typer.BadParameter(f"must be {_SHORTEST_LEASE_S} or more, not {value}")
    return value


def _replicas(value: int) -> int:
    if not 1 <= value <= _MOST_REPLICAS:
        raise typer.BadParameter(f"must be 1 to {_MOST_REPLICAS}, not {value}")
    return value


Lease: TypeAlias = Annotated[
    float,
    typer.Option(
        "--lease", callback=_lease, metavar="<seconds>", help="Silence until a standby takes over: 0.5 or more."
    ),
]
Replicas: TypeAlias = Annotated[
    int,
    typer.Option(
        "--replicas", callback=_replicas, metavar="<count>", help="On how many NATS servers the data is kept: 1 to 5."
    ),
]
Strategy: TypeAlias = Annotated[str, typer.Argument(help="Name of the strategy.")]
NATS = "nats://127.0.0.1:4222"


def room() -> Any:
    """The room ``gateway``, which needs an extra."""
    from .. import gateway

    return gateway


def trusted(path: Path | None) -> ssl.SSLContext | None:
    """The TLS context for the certificates in a file."""
    if path is None:
        return None
    try:
        return ssl.create_default_context(cafile=path)
    except OSError as error:
        raise ConfigurationError(f"{path}: the certificates cannot be read: {error.strerror or error}") from error
