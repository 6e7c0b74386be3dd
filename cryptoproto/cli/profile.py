"""``profile``: the profiles in the configuration file."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.markup import escape

from ..arguments import redacted
from ..exceptions import ConfigurationError, PasswordRequired
from ..keys import PrivateKey, PublicKey
from ..messages import plain
from ..profiles import VARIABLES, ConfigFile, Profile, ProfileValues, default_path, expanded
from ..version import __version__
from .exit_codes import ExitCode
from .options import Json, ProfileTimeout, TakeOver
from .output import console, note, print_json, table
from .profile_check import ProfileCheck
from .profile_writer import write_profile
from .running import run

__all__ = ["profile_app"]

profile_app: typer.Typer = typer.Typer(
    no_args_is_help=True, help="Profiles: the settings of an account in a file, for programs and for --profile."
)

Name = Annotated[str, typer.Argument(help="Name of the profile.", show_default=False)]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        envvar="CRYPTOPROTO_CONFIG",
        help="The configuration file; config.toml in your configuration folder by default.",
    ),
]

_COLOURS = {"ok": "green", "failed": "red", "skipped": "dim"}


@profile_app.command("add")
def add(
    name: Name,
    url: Annotated[str | None, typer.Option(help="Address of the exchange.")] = None,
    client_id: Annotated[str | None, typer.Option(help="Your client id at the exchange.")] = None,
    key: Annotated[Path | None, typer.Option(help="Your private key (PEM).")] = None,
    server_key: Annotated[Path | None, typer.Option(help="The public key of the exchange (PEM).")] = None,
    protocol: Annotated[Literal["signed", "v5"] | None, typer.Option(help="What the exchange speaks.")] = None,
    market_data_url: Annotated[str | None, typer.Option(help="Address of the market data.")] = None,
    store: Annotated[Path | None, typer.Option(help="File for a client's position and outbox.")] = None,
    history: Annotated[
        bool, typer.Option("--history", help="Keep trades, orders and balances in the store, for `history`.")
    ] = False,
    nats: Annotated[str | None, typer.Option(help="Address of NATS, for a gateway.")] = None,
    order_rate: Annotated[
        float | None, typer.Option(metavar="<rate>", help="Orders and cancels per second; no limit by default.")
    ] = None,
    password_command: Annotated[
        str | None, typer.Option(help='Command that prints the password of the key: "pass show alice".')
    ] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Allow ws:// to other machines.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Change a profile that exists; its other keys stay.")] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Add a profile to the configuration file. Comments and other profiles stay as they are.

    Paths are written as absolute paths.

    Example: [bold]cryptoproto profile add paper --url ws://127.0.0.1:8400 --client-id alice --key alice.pem
    --server-key exchange.pub --store alice.db --history[/]
    """
    values: dict[str, Any] = {
        "url": url,
        "client_id": client_id,
        "key": _absolute(key),
        "server_key": _absolute(server_key),
        "protocol": protocol,
        "market_data_url": market_data_url,
        "store": _absolute(store),
        "history": history or None,
        "nats": nats,
        "order_rate": order_rate,
        "password_command": _words(password_command),
        "insecure": insecure or None,
    }
    given = {each: value for each, value in values.items() if value is not None}
    if not given:
        raise ConfigurationError("nothing to write: pass --url, --client-id, --key and --server-key")
    file = write_profile(config or default_path(), name, given, force=force)
    written = file.values(name)
    lacking = [each for each in ("url", "client_id", "key", "server_key") if each not in written]
    absent = [each for each in ("key", "server_key") if each in written and not Path(written[each]).exists()]
    if json:
        print_json({"profile": name, "file": str(file.path), "lacking": lacking, "absent_files": absent})
        return
    console.print(f"profile [bold]{escape(name)}[/] is in {escape(str(file.path))}", soft_wrap=True)
    if lacking and lacking != ["url", "client_id", "key", "server_key"]:
        note(f"[yellow]to connect, it lacks:[/] {', '.join(lacking)}")
    for each in absent:
        note(f"[yellow]{each}:[/] {escape(written[each])} does not exist yet")


@profile_app.command("list")
def list_profiles(config: Config = None, json: Json = False) -> None:
    """List the profiles of the configuration file.

    Example: [bold]cryptoproto profile list[/]
    """
    path = Path(expanded(str(config or default_path()), "--config"))
    file = ConfigFile(path) if path.exists() else ConfigFile(path, "")
    rows = [_summary(file, name) for name in file.names]
    if json:
        print_json(rows)
        return
    if not rows:
        note(f"{escape(str(file.path))} has no profiles; write one with: cryptoproto profile add NAME")
        return
    shown = table(
        f"Profiles in {escape(str(file.path))}", "profile", "client id", "exchange", "protocol", "market data"
    )
    for row in rows:
        if "error" in row:
            shown.add_row(f"[bold]{escape(row['profile'])}[/]", "", f"[red]{escape(row['error'])}[/]", "", "")
        else:
            values = [escape(row[key] or "") for key in ("client_id", "url", "protocol", "market_data_url")]
            shown.add_row(f"[bold]{escape(row['profile'])}[/]", *values)
    console.print(shown)


@profile_app.command("show")
def show(name: Name, config: Config = None, json: Json = False) -> None:
    """Show the settings of a profile, and where each is from. No secret is shown.

    The environment counts more than the file, as it does when a program connects.

    Example: [bold]cryptoproto profile show paper[/]
    """
    profile = Profile.load(name, path=config)
    settings = {key: _public(key, value) for key, value in profile.values.items()}
    fingerprints = _fingerprints(profile)
    if json:
        print_json(
            {
                "profile": name,
                "file": str(profile.path),
                "settings": settings,
                "sources": dict(profile.sources),
                **{f"{key}_fingerprint": fingerprint for key, (fingerprint, _) in fingerprints.items()},
            }
        )
        return
    shown = table(escape(f"[profiles.{name}] of {profile.path}"), "key", "value", "from")
    for key, value in settings.items():
        source = profile.sources[key] if profile.sources[key] == VARIABLES.get(key) else "the file"
        shown.add_row(f"[bold]{key}[/]", escape(_text(value)), f"[dim]{source}[/]")
    console.print(shown)
    for key, (fingerprint, reason) in fingerprints.items():
        text = fingerprint or f"[yellow]not known:[/] {escape(reason)}"
        console.print(f"fingerprint of {key:<10}  {text}", soft_wrap=True)


@profile_app.command("check")
def check(
    name: Name,
    clock: Annotated[bool, typer.Option(help="Measure how far the clock here is from that of the exchange.")] = True,
    take_over: TakeOver = False,
    timeout: ProfileTimeout = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Connect with a profile, and show versions, fingerprints, times, and whether market data and store can be used.

    To compare the clocks, it cancels order 0, which does not exist. The answer stays in your history at the exchange;
    --no-clock avoids it. The exit code is that of the first failure.

    Example: [bold]cryptoproto profile check paper[/]
    """
    given: ProfileValues = {} if timeout is None else {"open_timeout": timeout, "request_timeout": timeout}
    profile = Profile.load(name, path=config, **given)

    async def main() -> int:
        trial = ProfileCheck(profile, clock=clock, take_over=take_over)
        await trial.run()
        if json:
            print_json(
                {
                    "profile": name,
                    "file": str(profile.path),
                    "ok": trial.code == ExitCode.SUCCESS,
                    "package_version": __version__,
                    **trial.figures,
                    "checks": [
                        {"name": finding.name, "status": finding.status, "detail": finding.detail}
                        for finding in trial.findings
                    ],
                }
            )
            return trial.code
        shown = table(f"Profile {escape(name)}, cryptoproto {__version__}", "what", "", "detail")
        for finding in trial.findings:
            status = f"[{_COLOURS[finding.status]}]{finding.status}[/]"
            shown.add_row(f"[bold]{finding.name}[/]", status, escape(finding.detail))
        console.print(shown)
        return trial.code

    run(main())


def _words(command: str | None) -> list[str] | None:
    try:
        return shlex.split(command) if command else None
    except ValueError as error:
        raise ConfigurationError(f"--password-command is not a command: {error}") from None


def _absolute(path: Path | None) -> str | None:
    return None if path is None else str(Path(expanded(str(path), "a path")).absolute())


def _summary(file: ConfigFile, name: str) -> dict[str, Any]:
    try:
        values = file.values(name)
    except ConfigurationError as error:
        return {"profile": name, "error": str(error)}
    return {
        "profile": name,
        "client_id": values.get("client_id"),
        "url": values.get("url"),
        "protocol": values.get("protocol", "signed"),
        "market_data_url": values.get("market_data_url"),
        "store": values.get("store"),
    }


def _public(key: str, value: Any) -> Any:
    """A value as it may be shown: addresses without a password, commands without their arguments."""
    if key == "password_command":
        return [value[0], *("…" for _ in value[1:])]
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, Mapping):
        return {name: _public(name, inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_public("", inner) for inner in value]
    return value


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_text(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return ("; " if any(isinstance(inner, Mapping) for inner in value) else " ").join(map(_text, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _fingerprints(profile: Profile) -> dict[str, tuple[str | None, str]]:
    """The fingerprint of each key, and the reason if it is not known.

    An encrypted key is not opened: that may ask for a password.
    """
    found: dict[str, tuple[str | None, str]] = {}
    for key, load in (("key", PrivateKey.load), ("server_key", PublicKey.load)):
        path = profile.values.get(key)
        if not isinstance(path, str):
            continue
        try:
            found[key] = load(path).fingerprint, ""
        except PasswordRequired:
            found[key] = None, "the key is encrypted; profile check shows it"
        except ConfigurationError as error:
            found[key] = None, str(error)
    return found
