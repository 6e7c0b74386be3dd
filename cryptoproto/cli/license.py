"""``cryptoproto license``: the gateway owner's commands; the manager's are in the module beside this one."""

from __future__ import annotations

import asyncio
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..exceptions import ConfigurationError
from .license_manager import manager_commands
from .license_options import (
    AsJson,
    Config,
    Logins,
    ManagerKeyFile,
    PackageName,
    Uat,
    chosen_logins,
    print_json,
    seconds,
)

if TYPE_CHECKING:
    from ..licensing import LicenseToken

__all__ = ["license_app"]

license_app = typer.Typer(
    help="Licenses: a gateway's keys, requests and tokens, and the license manager.", no_args_is_help=True
)
manager_commands(license_app)

KeyFile = Annotated[Path, typer.Option("--keys", help="The gateway's key file.")]
CacheFolder = Annotated[Path, typer.Option("--cache-dir", help="The folder that holds the gateway's tokens.")]


@license_app.callback()
def _needs_extras() -> None:
    try:
        import_module("cryptoproto.licensing")
    except ModuleNotFoundError as error:
        raise ConfigurationError(str(error)) from None


@license_app.command()
def keygen(
    path: Annotated[Path, typer.Argument(help="The key file to write.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it is there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make a gateway's key pair (mode 0600) and print the public key, which the licensor needs.

    Example: cryptoproto license keygen keys.json
    """
    from ..licensing import KeyPair

    pair = KeyPair.generate()
    pair.save(path, overwrite=overwrite)
    if as_json:
        print_json({"path": str(path), "public_key": pair.public_key})
    else:
        typer.echo(pair.public_key)


@license_app.command("config-hash")
def config_hash(package: PackageName, logins: Logins = None, config: Config = None, as_json: AsJson = False) -> None:
    """Print the hash that a license is locked by.

    Example: cryptoproto license config-hash --package my-gateway --config gateway.toml
    """
    from ..licensing import config_hash as hash_of

    chosen = chosen_logins(logins, config)
    digest = hash_of(package, chosen).hex()
    if as_json:
        print_json({"package": package, "logins": sorted(set(chosen)), "config_hash": digest})
    else:
        typer.echo(digest)


@license_app.command("show-request")
def show_request(
    package: PackageName,
    logins: Logins = None,
    config: Config = None,
    api: Annotated[str, typer.Option(help="The exchange API in use.")] = "",
    service_name: Annotated[str, typer.Option(help="The gateway's service name.")] = "",
    uat: Uat = False,
    withhold: Annotated[list[str] | None, typer.Option(help="A field not to send; repeat it for several.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print every field of the request that a gateway here would send. Nothing is sent.

    Example: cryptoproto license show-request --package my-gateway --config gateway.toml --withhold hostname
    """
    from ..licensing import Deployment, preview_request

    deployment = Deployment(api=api, service_name=service_name, is_uat=uat)
    request = preview_request(package, chosen_logins(logins, config), deployment=deployment, withhold=withhold or ())
    fields = request.to_plain()
    if as_json:
        print_json(fields)
        return
    width = max(map(len, fields))
    for name, value in fields.items():
        typer.echo(f"{name:{width}}  {'(not sent)' if value is None else value}")


@license_app.command()
def acquire(
    urls: Annotated[list[str], typer.Argument(help="Addresses of license managers, tried in turn.")],
    keys: KeyFile,
    manager_key: ManagerKeyFile,
    package: PackageName,
    cache_dir: CacheFolder,
    logins: Logins = None,
    config: Config = None,
    uat: Uat = False,
    period: Annotated[str, typer.Option(help="For how long: 90s, 15m, 2h, 30d.")] = "2h",
    ca: Annotated[Path | None, typer.Option(help="Trust the certificate authorities in this file alone.")] = None,
    insecure: Annotated[bool, typer.Option(help="Accept http:// beyond this machine, and any certificate.")] = False,
    as_json: AsJson = False,
) -> None:
    """Ask the managers for a token now, and put it where the gateway will find it.

    Example: cryptoproto license acquire https://lm.example.com --keys keys.json --manager-key manager.pub.json
    --package my-gateway --config gateway.toml --cache-dir /var/lib/my-gateway
    """
    from ..licensing import Deployment, LicenseAgent, Schedule

    async def run() -> LicenseToken:
        agent = LicenseAgent(
            urls,
            keys=keys,
            manager_key=manager_key,
            package=package,
            logins=chosen_logins(logins, config),
            cache_dir=cache_dir,
            deployment=Deployment(is_uat=uat),
            schedule=Schedule(lock_period_s=seconds(period)),
            verify=(not insecure) if ca is None else ca,
            insecure=insecure,
        )
        try:
            token = await agent.renew()
            if agent.cache_error is not None:
                raise agent.cache_error
            return token
        finally:
            await agent.close()

    _print_token(asyncio.run(run()), as_json)


@license_app.command()
def install(
    token_file: Annotated[Path, typer.Argument(help="The sealed token that the licensor sent.")],
    keys: KeyFile,
    manager_key: ManagerKeyFile,
    package: PackageName,
    cache_dir: CacheFolder,
    logins: Logins = None,
    config: Config = None,
    uat: Uat = False,
    as_json: AsJson = False,
) -> None:
    """Verify a token made by hand and put it where the gateway will find it, running or not.

    Example: cryptoproto license install token.bin --keys keys.json --manager-key manager.pub.json
    --package my-gateway --config gateway.toml --cache-dir /var/lib/my-gateway
    """
    from ..licensing import KeyPair, ManagerKey, TokenBinding, TokenCache
    from ..licensing.clock import SystemClock

    pair = KeyPair.load(keys)
    binding = TokenBinding.of(pair.public_key, package, chosen_logins(logins, config), is_uat=uat)
    cache = TokenCache(cache_dir, binding)
    try:
        box = token_file.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{token_file}: the token cannot be read: {error.strerror}") from error
    token = cache.open(box, pair, ManagerKey.all_from(manager_key), source=token_file)
    token.check_usable(binding, SystemClock().wall_ns())
    cache.write(box)
    _print_token(token, as_json)


@license_app.command("show-token")
def show_token(
    keys: KeyFile,
    manager_key: ManagerKeyFile,
    package: PackageName,
    cache_dir: CacheFolder,
    logins: Logins = None,
    config: Config = None,
    uat: Uat = False,
    as_json: AsJson = False,
) -> None:
    """Open the cached token and print what it says; exit code 1 if it is not valid now.

    Example: cryptoproto license show-token --keys keys.json --manager-key manager.pub.json
    --package my-gateway --config gateway.toml --cache-dir /var/lib/my-gateway
    """
    from ..licensing import KeyPair, ManagerKey, TokenBinding, TokenCache, TokenCacheError
    from ..licensing.clock import SystemClock

    pair = KeyPair.load(keys)
    binding = TokenBinding.of(pair.public_key, package, chosen_logins(logins, config), is_uat=uat)
    cache = TokenCache(cache_dir, binding)
    box = cache.read()
    if box is None:
        raise TokenCacheError(f"{cache.path}: there is no token for this key, package and set of logins")
    token = cache.open(box, pair, ManagerKey.all_from(manager_key))
    token.check_usable(binding, SystemClock().wall_ns())
    _print_token(token, as_json)


def _print_token(token: LicenseToken, as_json: bool) -> None:
    content = {
        "token_id": token.token_id,
        "package": token.binding.package,
        "config_hash": token.binding.config_hash.hex(),
        "uat": token.binding.is_uat,
        "issued_at": token.issued_at.isoformat(timespec="seconds"),
        "expires_at": token.expires_at.isoformat(timespec="seconds"),
    }
    if as_json:
        print_json(content)
    else:
        typer.echo(f"licensed until {token.expires_at:%Y-%m-%d %H:%M:%S} UTC (token {token.token_id})")
