"""``cryptoproto license``: the commands of the licensor, who runs the manager."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..exceptions import ConfigurationError
from ..private_file import write_public
from .license_options import (
    AsJson,
    Config,
    ConfigHash,
    DatabasePath,
    Logins,
    PackageName,
    Uat,
    chosen_logins,
    print_json,
    print_rows,
    seconds,
)

if TYPE_CHECKING:
    from ..licensing import Administration, TokenBinding

__all__ = ["manager_commands"]

_DATABASE = Path("licenses.db")

agreement_app: typer.Typer = typer.Typer(help="Agreements: who may run what, and how many.", no_args_is_help=True)

ManagerKeys = Annotated[Path, typer.Option("--keys", help="The manager's secret key file.")]
PublicKey = Annotated[str, typer.Option("--public-key", help="The gateway's public key.")]


def manager_commands(app: typer.Typer) -> None:
    """Add the licensor's commands to *app*."""
    app.add_typer(agreement_app, name="agreement")
    commands: dict[str, Callable[..., None]] = {
        "manager-key": manager_key,
        "serve": serve,
        "locks": locks,
        "release": release,
        "grant": grant,
        "usage": usage,
        "audit": audit,
    }
    for name, command in commands.items():
        app.command(name)(command)


def manager_key(
    path: Annotated[Path, typer.Argument(help="The manager's secret key file.")],
    public: Annotated[
        Path | None, typer.Option(help="The public file for gateways; by default beside the secret file.")
    ] = None,
    rotate: Annotated[
        bool, typer.Option("--rotate", help="Add new keys, to be used before those in the file.")
    ] = False,
    overlap: Annotated[str, typer.Option(help="How long the earlier keys stay valid: 90s, 15m, 2h, 30d.")] = "30d",
    database: Annotated[
        Path | None, typer.Option("--database", help="The manager's SQLite file, to record the change in the audit.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make the manager's keys, or rotate them, and write the public file that gateways pin.

    Example: cryptoproto license manager-key manager.json
    Then, once a year: cryptoproto license manager-key manager.json --rotate --overlap 30d --database licenses.db
    """
    from ..licensing import Keyring
    from ..licensing.manager import administer

    now_ns = time.time_ns()
    keyring = Keyring.load(path).rotated(now_ns, seconds(overlap)) if rotate else Keyring.generate(now_ns)
    keyring.save(path, overwrite=rotate)
    target = public or path.with_suffix(".pub.json")
    fields = keyring.public_fields(now_ns)
    try:
        write_public(target, (json.dumps(fields, indent=2) + "\n").encode(), what="public file", overwrite=True)
    except ConfigurationError as error:
        raise ConfigurationError(f"{error}; the secret keys are saved in {path}") from error
    newest = keyring.active(now_ns)[0].public
    if database is not None:
        with administer(database, create=True) as administration:
            action = "key rotation" if rotate else "key generation"
            administration.note_key_change(action, {"manager_key": newest.text(), "overlap": overlap})
    if as_json:
        print_json({"path": str(path), "public": str(target), "manager_key": newest.text(), **fields})
    else:
        typer.echo(f"secret keys: {path}\npublic file: {target}\npinned as:   {newest.text()}")


def serve(
    keys: ManagerKeys,
    database: DatabasePath = _DATABASE,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="<port>", help="The port; 0 for a free one.")] = 8390,
    certificate: Annotated[Path | None, typer.Option(help="PEM file with the certificate chain; enables TLS.")] = None,
    certificate_key: Annotated[
        Path | None, typer.Option(help="PEM file with the private key of the certificate.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run the license manager until SIGINT or SIGTERM. Refusals are logged to standard error.

    Example: cryptoproto license serve --keys manager.json --database licenses.db --port 8390
    """
    from ..licensing import LicenseManager

    async def run(manager: LicenseManager) -> None:
        server = manager.serving(host=host, port=port, certificate=certificate, certificate_key=certificate_key)
        async with server as listening:
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, listening.stop)
            line = json.dumps({"url": listening.url}) if as_json else f"license manager on {listening.url}"
            typer.echo(line)
            sys.stdout.flush()
            await listening.ended()

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    with LicenseManager(database, keys) as manager:
        _ = manager.generations  # if all have retired, fail now and not at the first request
        asyncio.run(run(manager))


@agreement_app.command("add")
def agreement_add(
    public_key: Annotated[str, typer.Argument(help="The licensee's public key, as `license keygen` prints it.")],
    package: Annotated[str, typer.Argument(help="A package name, or a pattern such as 'roq-*'.")],
    licenses: Annotated[
        int, typer.Option(metavar="<count>", help="How many different sets of logins may run at the same time.")
    ],
    lock_period: Annotated[str, typer.Option(help="The life of a token: 90s, 15m, 2h, 30d.")] = "2h",
    uat: Uat = False,
    note: Annotated[str, typer.Option(help="A note for yourself.")] = "",
    database: DatabasePath = _DATABASE,
    as_json: AsJson = False,
) -> None:
    """Add an agreement. The database is created if it does not exist.

    Example: cryptoproto license agreement add --licenses 2 -- "$(cat alice.key)" 'my-*'
    """
    with _administration(database, create=True) as administration:
        agreement = administration.add_agreement(
            public_key, package, licenses=licenses, lock_period_s=seconds(lock_period), uat=uat, note=note
        )
    if as_json:
        print_json(agreement.to_plain())
    else:
        typer.echo(f"agreement {agreement.id}: {licenses} licenses of {package}")


@agreement_app.command("list")
def agreement_list(
    everything: Annotated[bool, typer.Option("--all", help="Include revoked agreements.")] = False,
    database: DatabasePath = _DATABASE,
    as_json: AsJson = False,
) -> None:
    """List the agreements.

    Example: cryptoproto license agreement list --database licenses.db
    """
    with _administration(database) as administration:
        rows = [agreement.to_plain() for agreement in administration.agreements(revoked=everything)]
    if as_json:
        print_json(rows)
    else:
        columns = ("id", "public_key", "package", "licenses", "lock_period_s", "uat", "created", "revoked", "note")
        print_rows(rows, columns, empty="no agreements")


@agreement_app.command("revoke")
def agreement_revoke(
    agreement_id: Annotated[int, typer.Argument(help="Its number, as `agreement list` shows it.")],
    database: DatabasePath = _DATABASE,
    as_json: AsJson = False,
) -> None:
    """Revoke an agreement and end its locks. Tokens that were given out stay valid until they expire.

    Example: cryptoproto license agreement revoke 3
    """
    with _administration(database) as administration:
        agreement = administration.revoke_agreement(agreement_id)
    if as_json:
        print_json(agreement.to_plain())
    else:
        typer.echo(f"agreement {agreement.id} is revoked")


def locks(
    everything: Annotated[bool, typer.Option("--all", help="Include locks that have ended.")] = False,
    database: DatabasePath = _DATABASE,
    as_json: AsJson = False,
) -> None:
    """List the licenses in use.

    Example: cryptoproto license locks --database licenses.db
    """
    with _administration(database) as administration:
        rows = [lock.to_plain() for lock in administration.locks(ended=everything)]
    if as_json:
        print_json(rows)
    else:
        columns = ("agreement_id", "public_key", "package", "config_hash", "uat", "acquired", "expires")
        print_rows(rows, columns, empty="no locks")


def release(
    public_key: PublicKey,
    package: PackageName,
    config_hash: ConfigHash = None,
    logins: Logins = None,
    config: Config = None,
    uat: Uat = False,
    database: DatabasePath = _DATABASE,
    as_json: AsJson = False,
) -> None:
    """End a lock early. First make sure that its gateway has stopped: its token stays valid until it expires.

    Example: cryptoproto license release --public-key=KEY --package my-gateway --login A1
    """
    binding = _binding(public_key, package, config_hash, logins, config, uat=uat)
    with _administration(database) as administration:
        administration.release(binding)
    if as_json:
        print_json({"released": binding.config_hash.hex()})
    else:
        typer.echo("released")


def grant(
    out: Annotated[Path, typer.Argument(help="The file to write the sealed token to.")],
    keys: ManagerKeys,
    public_key: PublicKey,
    package: PackageName,
    period: Annotated[str, typer.Option(help="How long it lasts: 15m, 2h, 30d.")],
    config_hash: ConfigHash = None,
    logins: Logins = None,
    config: Config = None,
    uat: Uat = False,
    without_lock: Annotated[
        bool, typer.Option("--without-lock", help="Without a lock, whatever the agreements allow.")
    ] = False,
    database: DatabasePath = _DATABASE,
    as_json: AsJson = False,
) -> None:
    """Make a token by hand, for a gateway that cannot reach the manager. Its owner runs `license install`.

    Example: cryptoproto license grant token.bin --keys manager.json --public-key=KEY --package my-gateway
    --config-hash HASH --period 2d
    """
    from ..licensing import LicenseManager

    binding = _binding(public_key, package, config_hash, logins, config, uat=uat)
    if not database.exists():
        raise ConfigurationError(f"{database}: no such license database; `license agreement add` creates one")
    if out.exists():
        raise ConfigurationError(f"{out}: already exists and was not changed; choose another name")
    with LicenseManager(database, keys) as manager:
        generation = manager.generations[0]
        token, box = manager.administration.grant(
            generation, binding, period_s=seconds(period), without_lock=without_lock
        )
    try:
        write_public(out, box, what="token", overwrite=False)
    except ConfigurationError as error:
        raise ConfigurationError(
            f"{error}; the token was granted and holds a lock: `license release` ends it"
        ) from error
    if as_json:
        print_json({"path": str(out), "token_id": token.token_id, "expires_at": token.expires_at.isoformat()})
    else:
        typer.echo(f"{out}: valid until {token.expires_at:%Y-%m-%d %H:%M:%S} UTC (token {token.token_id})")


def usage(
    since: Annotated[str, typer.Option(help="The first day, as YYYY-MM-DD.")] = "",
    public_key: Annotated[str | None, typer.Option("--public-key", help="Only of this gateway key.")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV with every field of the last request.")] = False,
    database: DatabasePath = _DATABASE,
    as_json: AsJson = False,
) -> None:
    """Show what gateways reported: a row for each day, gateway and run, and the requests that were refused unread.

    Example: cryptoproto license usage --since 2026-01-01 --csv > usage.csv
    """
    from ..licensing.manager import to_csv

    if as_csv and as_json:
        raise ConfigurationError("use --csv or --json, not both")
    if since and not _is_day(since):
        raise ConfigurationError(f"--since {since}: write a day as YYYY-MM-DD")
    with _administration(database) as administration:
        rows = administration.usage(since=since, public_key=public_key)
    if as_csv:
        typer.echo(to_csv(rows), nl=False)
    elif as_json:
        print_json([row.to_plain() for row in rows])
    else:
        columns = (
            *("day", "public_key", "package", "config_hash", "uat", "session_id"),
            *("last", "granted", "refused", "last_reason"),
        )
        print_rows((row.to_plain() for row in rows), columns, empty="no usage")


def audit(database: DatabasePath = _DATABASE, as_json: AsJson = False) -> None:
    """Show what administrators changed, and when.

    Example: cryptoproto license audit --database licenses.db
    """
    with _administration(database) as administration:
        rows = administration.audit()
    if as_json:
        print_json([row.to_plain() for row in rows])
        return
    shown = (row.to_plain() | {"detail": json.dumps(row.detail)} for row in rows)
    print_rows(shown, ("id", "at", "actor", "action", "detail"), empty="no changes yet")


def _administration(database: Path, *, create: bool = False) -> AbstractContextManager[Administration]:
    from ..licensing.manager import administer

    return administer(database, create=create)


def _binding(
    public_key: str,
    package: str,
    digest: str | None,
    logins: list[str] | None,
    config: Path | None,
    *,
    uat: bool,
) -> TokenBinding:
    from ..licensing import TokenBinding, config_hash

    if digest is None:
        return TokenBinding(public_key, package, config_hash(package, chosen_logins(logins, config)), uat)
    if logins or config is not None:
        raise ConfigurationError("use --config-hash or the logins, not both")
    try:
        raw = bytes.fromhex(digest)
    except ValueError:
        raw = b""
    if len(raw) != 32:
        raise ConfigurationError("--config-hash: 64 hexadecimal digits, as `license config-hash` prints them")
    return TokenBinding(public_key, package, raw, uat)


def _is_day(text: str) -> bool:
    try:
        time.strptime(text, "%Y-%m-%d")
    except ValueError:
        return False
    return True
