"""The options that the commands which connect have in common, and how they connect."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import typer

from ..arguments import check_url
from ..connection import connect
from ..exceptions import ConfigurationError
from ..keys import PrivateKey, PublicKey
from ..transport import TransportKind
from ..wire import Protocol
from .exit_codes import ExitCode
from .prompts import ask_secret

__all__ = [
    "ClientId",
    "Insecure",
    "Json",
    "KeyFile",
    "ProtocolName",
    "ServerKeyFile",
    "TakeOver",
    "Timeout",
    "TransportName",
    "Url",
    "check_address",
    "connecting",
    "load_private_key",
    "run",
]

Url: TypeAlias = Annotated[
    str,
    typer.Option("--url", envvar="CRYPTOPROTO_URL", help="Address of the exchange: wss://host, or ws:// on loopback."),
]
ClientId: TypeAlias = Annotated[
    str, typer.Option("--client-id", envvar="CRYPTOPROTO_CLIENT_ID", help="Your client id at the exchange.")
]
KeyFile: TypeAlias = Annotated[
    Path,
    typer.Option(
        "--key",
        envvar="CRYPTOPROTO_KEY",
        help="Your private key (PEM). If it is encrypted, you are asked for a password.",
    ),
]
ServerKeyFile: TypeAlias = Annotated[
    Path, typer.Option("--server-key", envvar="CRYPTOPROTO_SERVER_KEY", help="The public key of the exchange (PEM).")
]
ProtocolName: TypeAlias = Annotated[
    Literal["signed", "v5"],
    typer.Option("--protocol", envvar="CRYPTOPROTO_PROTOCOL", help="Which form of the protocol the exchange speaks."),
]
TransportName: TypeAlias = Annotated[
    Literal["auto", "websockets", "picows"],
    typer.Option("--transport", metavar="<library>", help="WebSocket library to use: auto, websockets or picows."),
]
Insecure: TypeAlias = Annotated[bool, typer.Option("--insecure", help="Allow ws:// to other machines.")]
TakeOver: TypeAlias = Annotated[
    bool,
    typer.Option("--take-over", help="Connect even if another process here uses the client id; its connection ends."),
]
Timeout: TypeAlias = Annotated[
    float, typer.Option("--timeout", min=0.001, metavar="<seconds>", help="How long to wait for an answer.")
]
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
    take_over: bool = False,
    resume_from: int = -1,
) -> connect:
    """A connection with these options, to be opened by ``async with``.

    It is refused if the client id is in use on this machine, unless *take_over*: the exchange would close the other
    connection, and a command must not end a bot by accident.
    """
    check_address(url, insecure=insecure)
    return connect(
        url,
        client_id=client_id,
        private_key=load_private_key(key),
        server_key=_load_server_key(server_key),
        protocol=Protocol(protocol),
        transport=transport,
        insecure=insecure,
        resume_from=resume_from,
        exclusive=not take_over,
    )


def check_address(url: str, *, insecure: bool) -> None:
    """Check an address as the library does, but name the option of the command line in the error.

    Raises:
        ConfigurationError: it is not a WebSocket address, or plain ``ws://`` to another machine without *insecure*.
    """
    check_url(url, insecure=True)
    try:
        check_url(url, insecure=insecure)
    except ConfigurationError:
        raise ConfigurationError(
            f"{url} is not encrypted by TLS and is not on this machine; use wss://, "
            f"or pass --insecure if you trust the network"
        ) from None


def load_private_key(path: Path) -> PrivateKey:
    """The private key in *path*; if it is encrypted, its password is asked for.

    Raises:
        ConfigurationError: it cannot be used.
    """
    try:
        return PrivateKey.load(path)
    except ConfigurationError as error:
        if "is encrypted" not in str(error):
            raise
    return PrivateKey.load(path, ask_secret(f"Password of {path}"))


def _load_server_key(path: Path) -> PublicKey:
    if not path.exists():
        raise ConfigurationError(
            f"{path}: no such file; it is the public key of the exchange, which its operator gives to clients "
            f"(`cryptoproto exchange` writes exchange.pub)"
        )
    return PublicKey.load(path)


def _on_loop_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Report an error that nothing awaits, except a link that its peer ended during the TLS handshake.

    aiofastnet, on which picows runs, reports such links with a class in place of an exception, and logging fails on it.
    """
    if not isinstance(context.get("exception"), type):
        loop.default_exception_handler(context)


def run(main: Coroutine[Any, Any, int]) -> None:
    """Run a command's coroutine and exit with the code that it returns. SIGTERM ends it as Ctrl-C does."""

    async def interruptible() -> int:
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        loop.set_exception_handler(_on_loop_error)
        if task is not None:
            loop.add_signal_handler(signal.SIGTERM, task.cancel)
        return await main

    try:
        code = asyncio.run(interruptible())
    except asyncio.CancelledError:
        code = ExitCode.TERMINATED
    raise typer.Exit(code)
