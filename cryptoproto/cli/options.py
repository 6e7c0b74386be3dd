"""The options that all commands that connect have in common."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import typer

from ..connection import connect
from ..exceptions import ConfigurationError
from ..keys import PrivateKey, PublicKey
from ..transport import TransportKind
from ..wire import Protocol

__all__ = [
    "ClientId",
    "Insecure",
    "Json",
    "KeyFile",
    "ProtocolName",
    "ServerKeyFile",
    "Timeout",
    "TransportName",
    "Url",
    "connecting",
    "run",
]

Url: TypeAlias = Annotated[
    str, typer.Option("--url", envvar="CRYPTOPROTO_URL", help="The exchange: wss://host, or ws:// on this machine.")
]
ClientId: TypeAlias = Annotated[
    str, typer.Option("--client-id", envvar="CRYPTOPROTO_CLIENT_ID", help="Who you are to the exchange.")
]
KeyFile: TypeAlias = Annotated[
    Path, typer.Option("--key", envvar="CRYPTOPROTO_KEY", help="Your private key (PEM); a password is asked for.")
]
ServerKeyFile: TypeAlias = Annotated[
    Path, typer.Option("--server-key", envvar="CRYPTOPROTO_SERVER_KEY", help="The exchange's public key (PEM).")
]
ProtocolName: TypeAlias = Annotated[
    Literal["signed", "v5"], typer.Option("--protocol", envvar="CRYPTOPROTO_PROTOCOL", help="Form of the frames.")
]
TransportName: TypeAlias = Annotated[
    Literal["auto", "websockets", "picows"], typer.Option("--transport", help="WebSocket library.")
]
Insecure: TypeAlias = Annotated[bool, typer.Option("--insecure", help="Allow ws:// to other machines.")]
Timeout: TypeAlias = Annotated[float, typer.Option("--timeout", help="Seconds to wait for an answer.")]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def connecting(
    url: str,
    client_id: str,
    key: Path,
    server_key: Path,
    *,
    protocol: str = "signed",
    transport: TransportKind = "auto",
    insecure: bool = False,
    resume_from: int = -1,
) -> connect:
    """What ``async with`` needs to connect with these options."""
    return connect(
        url,
        client_id=client_id,
        private_key=_load(key),
        server_key=PublicKey.load(server_key),
        protocol=Protocol(protocol),
        transport=transport,
        insecure=insecure,
        resume_from=resume_from,
    )


def _load(path: Path) -> PrivateKey:
    try:
        return PrivateKey.load(path)
    except ConfigurationError as error:
        if "is encrypted" not in str(error):
            raise
    return PrivateKey.load(path, typer.prompt(f"Password of {path}", hide_input=True, err=True))


def run(main: Coroutine[Any, Any, int]) -> None:
    """Run a command's coroutine and exit with what it returns; SIGTERM ends it as Ctrl-C does."""

    async def interruptible() -> int:
        task = asyncio.current_task()
        if task is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await main

    try:
        code = asyncio.run(interruptible())
    except asyncio.CancelledError:
        code = 143
    raise typer.Exit(code)
