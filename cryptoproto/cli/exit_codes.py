"""What the exit code of a command says, and how an error is shown."""

from __future__ import annotations

import enum
import sys
from collections.abc import Collection, Sequence
from typing import Final

import orjson
from rich.console import Console
from rich.markup import escape

from ..exceptions import (
    ConfigurationError,
    CryptoprotoError,
    GatewayError,
    HandshakeError,
    IdentityInUse,
    OutcomeUnknown,
    ProtocolError,
    RequestNotSent,
    RequestTimeout,
    ServerError,
)

__all__ = ["ExitCode", "described", "exit_code", "show_error", "wants_json"]


class ExitCode(enum.IntEnum):
    """The exit codes of all commands; 0 means success and nothing else does."""

    SUCCESS = 0
    """The command did what it was asked to do."""
    FAILED = 1
    """The request was refused, or the command did not succeed."""
    USAGE = 2
    """An option, argument, key file or address cannot be used."""
    NO_CONNECTION = 3
    """The other end cannot be reached, the handshake failed, or the connection was lost before anything was sent."""
    NO_ANSWER = 4
    """No answer came in time, or the connection was lost before it. An order may have been placed."""
    IN_USE = 5
    """Another process on this machine uses the client id; see `--take-over`."""
    INTERRUPTED = 130
    """Ended by Ctrl-C (SIGINT). If an answer was missing then, the error says so: an order may have been placed."""
    TERMINATED = 143
    """Ended by SIGTERM; likewise."""


def exit_code(error: CryptoprotoError) -> ExitCode:
    """The exit code of a command that ends with *error*."""
    if isinstance(error, IdentityInUse):
        return ExitCode.IN_USE
    if isinstance(error, ConfigurationError):
        return ExitCode.USAGE
    if isinstance(error, ServerError):
        return ExitCode.FAILED
    if isinstance(error, OutcomeUnknown | RequestTimeout) or error.sent:
        return ExitCode.NO_ANSWER
    if isinstance(error, ConnectionError | GatewayError | HandshakeError | ProtocolError | RequestNotSent):
        return ExitCode.NO_CONNECTION
    return ExitCode.FAILED


_CONNECTING: Final = frozenset({"base_url", "nats", "session", "take_over", "timeout", "urls"})
"""The parameters that only commands with a connection have."""


def described(parameters: Collection[str]) -> str:
    """The exit codes of a command with these parameters, for its help."""
    codes = "Exit codes: 0 success, 1 refused or failed, 2 wrong usage or configuration"
    if not _CONNECTING.isdisjoint(parameters):
        codes += ", 3 no connection, 4 no answer"
    if "time_in_force" in parameters:
        codes += " (the order may have been placed)"
    if "take_over" in parameters:
        codes += ", 5 client id in use on this machine"
    return codes + "."


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether ``--json`` is among the options. Looked up here because a usage error comes before any parsed option."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--json" in options


def show_error(name: str, message: str, code: int, *, as_json: bool) -> None:
    """Write one error to standard error: a sentence, or a JSON object."""
    if as_json:
        value = {"error": name, "message": message, "exit_code": int(code)}
        sys.stderr.write(orjson.dumps(value).decode() + "\n")
        sys.stderr.flush()
    else:
        Console(stderr=True).print(f"[red]error:[/] {escape(message)}", highlight=False, soft_wrap=True)
