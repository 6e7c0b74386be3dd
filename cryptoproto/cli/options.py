"""The options that the commands which connect have in common, and how they connect."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

import typer

from ..arguments import check_url, redacted
from ..connection import connect
from ..exceptions import ConfigurationError, PasswordRequired
from ..keys import PrivateKey
from ..profiles import VARIABLES, Profile, joined
from ..transport import TransportKind
from .prompts import ask_secret

__all__ = [
    "ClientId",
    "Insecure",
    "Json",
    "KeyFile",
    "ProfileName",
    "ProfileTimeout",
    "ProtocolName",
    "ServerKeyFile",
    "TakeOver",
    "Timeout",
    "TransportName",
    "TransportOverride",
    "Url",
    "address_of",
    "answer_timeout",
    "check_address",
    "connecting",
    "connection_settings",
    "load_private_key",
    "not_negative",
    "positive",
    "private_key",
    "resolved",
    "store_of",
]

Url: TypeAlias = Annotated[
    str | None,
    typer.Option("--url", envvar="CRYPTOPROTO_URL", help="Address of the exchange: wss://host, or ws:// on loopback."),
]
ClientId: TypeAlias = Annotated[
    str | None, typer.Option("--client-id", envvar="CRYPTOPROTO_CLIENT_ID", help="Your client id at the exchange.")
]
KeyFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--key",
        envvar="CRYPTOPROTO_KEY",
        help="Your private key (PEM). If it is encrypted, you are asked for a password.",
    ),
]
ServerKeyFile: TypeAlias = Annotated[
    Path | None,
    typer.Option("--server-key", envvar="CRYPTOPROTO_SERVER_KEY", help="The public key of the exchange (PEM)."),
]
ProtocolName: TypeAlias = Annotated[
    Literal["signed", "v5"] | None,
    typer.Option("--protocol", envvar="CRYPTOPROTO_PROTOCOL", help="What the exchange speaks; signed by default."),
]
TransportName: TypeAlias = Annotated[
    Literal["auto", "websockets", "picows"],
    typer.Option("--transport", metavar="<library>", help="WebSocket library to use: auto, websockets or picows."),
]
TransportOverride: TypeAlias = Annotated[
    Literal["auto", "websockets", "picows"] | None,
    typer.Option("--transport", metavar="<library>", help="WebSocket library: auto (default), websockets or picows."),
]
ProfileName: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--profile", envvar="CRYPTOPROTO_PROFILE", help="Use the settings of this profile; other options count more."
    ),
]
Insecure: TypeAlias = Annotated[bool, typer.Option("--insecure", help="Allow ws:// to other machines.")]
TakeOver: TypeAlias = Annotated[
    bool,
    typer.Option("--take-over", help="Connect even if another process here uses the client id; its connection ends."),
]


_MOST_SECONDS: Final = 1e9


def positive(value: float | None) -> float | None:
    """A callback of options: the number, if it is one, more than 0, and not above the limit of a profile."""
    if value is not None and not 0 < value <= _MOST_SECONDS:
        raise typer.BadParameter(f"must be more than 0 and at most {_MOST_SECONDS:.0f}, not {value}")
    return value


def not_negative(value: int) -> int:
    """A callback of options: the number, if it is 0 or more."""
    if value < 0:
        raise typer.BadParameter(f"must be 0 or more, not {value}")
    return value


Timeout: TypeAlias = Annotated[
    float,
    typer.Option("--timeout", callback=positive, metavar="<seconds>", help="How long to wait for an answer."),
]
ProfileTimeout: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        callback=positive,
        metavar="<seconds>",
        help="How long to wait for the connection, and then for an answer.",
        show_default="10, or what the profile says",
    ),
]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def connection_settings(
    url: str | None,
    client_id: str | None,
    key: Path | None,
    server_key: Path | None,
    *,
    profile: str | None,
    protocol: Literal["signed", "v5"] | None,
    transport: TransportKind | None,
    insecure: bool,
    timeout: float | None = None,
) -> Profile:
    """These options over those of the profile; *timeout* is for the connection and for each answer.

    Raises:
        ConfigurationError: a file, a variable or an option cannot be used.
    """
    return resolved(
        profile,
        url=url,
        client_id=client_id,
        key=key,
        server_key=server_key,
        protocol=protocol,
        transport=transport,
        insecure=insecure,
        open_timeout=timeout,
        request_timeout=timeout,
    )


def connecting(settings: Profile, *, take_over: bool = False, resume_from: int = -1) -> connect:
    """A connection with these settings, to be opened by ``async with``.

    It is refused if the client id is in use on this machine, unless *take_over*: the exchange would close the other
    connection, and a command must not end a bot by accident.
    """
    address = address_of(settings, "url", "client_id", "key", "server_key")
    _check_server_key(settings.values["server_key"])
    return connect(
        **settings.connect_arguments(
            url=address, private_key=private_key(settings), resume_from=resume_from, exclusive=not take_over
        )
    )


def answer_timeout(settings: Profile) -> float:
    """How long to wait for an answer, in seconds."""
    return settings.values.get("request_timeout", 10.0)


def resolved(profile: str | None, **options: object) -> Profile:
    """The profile of that name, or what the environment says, with the *options* that are given over it.

    An option counts as not given if it is ``None``, false or empty.

    Raises:
        ConfigurationError: a file, a variable or an option cannot be used.
    """
    given: Any = {key: str(value) if isinstance(value, Path) else value for key, value in options.items() if value}
    return Profile.load(profile, **given) if profile else Profile.from_env(**given)


def address_of(settings: Profile, key: Literal["url", "market_data_url"], *others: str) -> str:
    """An address in the settings, once it is clear that nothing is missing.

    Raises:
        ConfigurationError: it or one of the *others* is missing, or it cannot be used; the error names the options.
    """
    missing = settings.missing(key, *others)
    if missing:
        options = ["--url" if each == key else "--" + each.replace("_", "-") for each in missing]
        them = "it" if len(missing) == 1 else "them"
        raise ConfigurationError(f"no {joined(options)}: pass {them}, {_or_set(settings, missing)}")
    address = settings.address(key, insecure=True)
    check_address(address, insecure=settings.values.get("insecure", False))
    return address


def store_of(settings: Profile) -> Path:
    """The file of the store in the settings.

    Raises:
        ConfigurationError: there is none; the error names the option.
    """
    if settings.missing("store"):
        raise ConfigurationError(f"no store: name its file, {_or_set(settings, ['store'])}")
    return Path(settings.values["store"])


def private_key(settings: Profile) -> PrivateKey:
    """The private key of a profile; asks for the password if nothing else gives it."""
    try:
        return settings.private_key()
    except PasswordRequired:
        path = settings.values["key"]
    return PrivateKey.load(path, ask_secret(f"Password of {path}"))


def _or_set(settings: Profile, missing: list[str]) -> str:
    """Where a user can write what is missing."""
    place = f"[profiles.{settings.name}] of {settings.path}" if settings.name else "a profile, and pass --profile"
    return f"set {joined([VARIABLES[each] for each in missing])}, or write {joined(missing)} in {place}"


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
            f"{redacted(url)} is not encrypted by TLS and is not on this machine; use wss://, "
            f"or pass --insecure if you trust the network"
        ) from None


def load_private_key(path: Path) -> PrivateKey:
    """The private key in *path*; if it is encrypted, its password is asked for.

    Raises:
        ConfigurationError: it cannot be used.
    """
    try:
        return PrivateKey.load(path)
    except PasswordRequired:
        pass
    return PrivateKey.load(path, ask_secret(f"Password of {path}"))


def _check_server_key(path: str) -> None:
    """Say where the file comes from if it is missing: unlike other keys, it is not made by its user."""
    if not Path(path).exists():
        raise ConfigurationError(
            f"{path}: no such file; it is the public key of the exchange, which its operator gives to clients "
            f"(`cryptoproto exchange` writes exchange.pub)"
        )
