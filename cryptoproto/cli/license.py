"""``cryptoproto license``: the gateway owner's commands. The manager's are in ``license_manager``."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..exceptions import ConfigurationError, TokenCacheError
from .license_manager import manager_commands
from .license_options import (
    Api,
    ApiName,
    AsJson,
    BuildHost,
    BuildNumber,
    Config,
    Features,
    Instance,
    Logins,
    ManagerKeyFile,
    PackageName,
    PackageVersion,
    ServiceName,
    Uat,
    Withhold,
    chosen_logins,
    deployment_of,
    print_json,
    seconds,
)

if TYPE_CHECKING:
    from ..licensing import KeyPair, LicenseAgent, LicenseToken, TokenBinding
    from ..licensing.agent.token_cache import TokenCache

__all__ = ["license_app"]

license_app: typer.Typer = typer.Typer(
    help="Licenses: a gateway's keys, requests and tokens, and the license manager.", no_args_is_help=True
)
manager_commands(license_app)

KeyFile = Annotated[Path, typer.Option("--keys", help="The gateway's key file.")]
CacheFolder = Annotated[Path, typer.Option("--cache-dir", help="The folder that holds the gateway's tokens.")]
Replace = Annotated[bool, typer.Option("--replace", help="Replace a valid cached token that lasts longer.")]

_NEEDS_NO_EXTRA = frozenset({"config-hash"})


@license_app.callback()
def _check_extras(context: typer.Context) -> None:
    if context.invoked_subcommand in _NEEDS_NO_EXTRA:
        return
    from ..licensing import LicenseAgent, LicenseManager  # noqa: F401 - imports all that the extra brings


@license_app.command()
def keygen(
    path: Annotated[Path, typer.Argument(help="The key file to write.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it exists.")] = False,
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
    """Print the hash that a license is bound to. Needs none of the licensing packages.

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
    package_version: PackageVersion = "",
    build_number: BuildNumber = "",
    build_host: BuildHost = "",
    service_name: ServiceName = "",
    api_name: ApiName = "",
    api: Api = "",
    instance: Instance = "",
    features: Features = None,
    uat: Uat = False,
    withhold: Withhold = None,
    as_json: AsJson = False,
) -> None:
    """Print every field of the request that a gateway on this machine would send. Nothing is sent.

    Pass what the gateway's software fills in, such as its version, to see it here.

    Example: cryptoproto license show-request --package my-gateway --config gateway.toml --withhold hostname
    """
    from ..licensing import preview_request

    deployment = deployment_of(
        features,
        uat=uat,
        package_version=package_version,
        package_build_number=build_number,
        package_build_host=build_host,
        service_name=service_name,
        api_name=api_name,
        api=api,
        instance=instance,
    )
    withheld = withhold or []
    request = preview_request(package, chosen_logins(logins, config), deployment=deployment, withhold=withheld)
    fields = request.to_plain()
    if as_json:
        print_json(fields)
        return
    given_by_software = deployment.facts()
    width = max(map(len, fields))
    for name, value in fields.items():
        typer.echo(f"{name:{width}}  {_shown(name, value, withheld=name in withheld, by_software=given_by_software)}")


def _shown(name: str, value: Any, *, withheld: bool, by_software: dict[str, Any]) -> Any:
    if withheld:
        return "(withheld)"
    if name == "session_id":
        return f"{value} (random, a new one for each run)"
    if value is not None:
        return value
    return "(set by the gateway's software; not given here)" if name in by_software else "(not available here)"


@license_app.command()
def acquire(
    urls: Annotated[list[str], typer.Argument(help="Addresses of license managers, tried in turn.")],
    keys: KeyFile,
    manager_key: ManagerKeyFile,
    package: PackageName,
    cache_dir: CacheFolder,
    logins: Logins = None,
    config: Config = None,
    package_version: PackageVersion = "",
    build_number: BuildNumber = "",
    build_host: BuildHost = "",
    service_name: ServiceName = "",
    api_name: ApiName = "",
    api: Api = "",
    instance: Instance = "",
    features: Features = None,
    uat: Uat = False,
    withhold: Withhold = None,
    period: Annotated[str, typer.Option(help="For how long: 90s, 15m, 2h, 30d.")] = "2h",
    ca: Annotated[Path | None, typer.Option(help="Trust only the certificate authorities in this file.")] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Accept http:// to other machines, and any certificate.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Ask the managers for a token now, and put it into the gateway's cache.

    A valid cached token that lasts longer is kept, and printed instead.

    Example: cryptoproto license acquire https://lm.example.com --keys keys.json --manager-key manager.pub.json
    --package my-gateway --package-version 1.0 --config gateway.toml --cache-dir /var/lib/my-gateway
    """
    from ..licensing import LicenseAgent, Schedule

    deployment = deployment_of(
        features,
        uat=uat,
        package_version=package_version,
        package_build_number=build_number,
        package_build_host=build_host,
        service_name=service_name,
        api_name=api_name,
        api=api,
        instance=instance,
    )

    chosen = chosen_logins(logins, config)
    pair, binding = _identity(keys, package, chosen, uat=uat)
    earlier = None
    with contextlib.suppress(TokenCacheError):  # whatever is wrong with it, a new token replaces it
        earlier = _cache(cache_dir, binding, pair, manager_key).read()
    agent = LicenseAgent(
        urls,
        keys=pair,
        manager_key=manager_key,
        package=package,
        logins=chosen,
        cache_dir=cache_dir,
        deployment=deployment,
        withhold=withhold or (),
        schedule=Schedule(lock_period_s=seconds(period)),
        verify=(not insecure) if ca is None else ca,
        insecure=insecure,
    )
    token = asyncio.run(_renewed(agent))
    if token == earlier:
        typer.echo("note: the cached token lasts longer than the new one, and was kept", err=True)
    _print_token(token, as_json)


async def _renewed(agent: LicenseAgent) -> LicenseToken:
    try:
        token = await agent.renew()
        if agent.cache_error is not None:
            raise agent.cache_error
        return token
    finally:
        await agent.close()


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
    replace: Replace = False,
    as_json: AsJson = False,
) -> None:
    """Check a token that was made by hand, and put it into the cache of the gateway, which may be running.

    Example: cryptoproto license install token.bin --keys keys.json --manager-key manager.pub.json
    --package my-gateway --config gateway.toml --cache-dir /var/lib/my-gateway
    """
    pair, binding = _identity(keys, package, chosen_logins(logins, config), uat=uat)
    cache = _cache(cache_dir, binding, pair, manager_key)
    try:
        box = token_file.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{token_file}: the token cannot be read: {error.strerror}") from error
    token = cache.open(box, token_file)
    token.check_usable(binding, time.time_ns())
    if replace:
        cache.write(box)
    elif (kept := cache.store(box, token, time.time_ns())) != token:
        raise TokenCacheError(
            f"{cache.path}: the cached token is valid until {kept.expires_at:%Y-%m-%d %H:%M:%S} UTC, longer than this "
            f"one (until {token.expires_at:%Y-%m-%d %H:%M:%S} UTC), and was kept; use --replace to install it anyway"
        )
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
    """Open the cached token and print it. Fails if it is not valid now.

    Example: cryptoproto license show-token --keys keys.json --manager-key manager.pub.json
    --package my-gateway --config gateway.toml --cache-dir /var/lib/my-gateway
    """
    pair, binding = _identity(keys, package, chosen_logins(logins, config), uat=uat)
    cache = _cache(cache_dir, binding, pair, manager_key)
    token = cache.read()
    if token is None:
        raise TokenCacheError(f"{cache.path}: there is no token for this key, package and set of logins")
    token.check_usable(binding, time.time_ns())
    _print_token(token, as_json)


def _identity(keys: Path, package: str, logins: tuple[str, ...], *, uat: bool) -> tuple[KeyPair, TokenBinding]:
    from ..licensing import KeyPair, TokenBinding

    pair = KeyPair.load(keys)
    return pair, TokenBinding.of(pair.public_key, package, logins, is_uat=uat)


def _cache(folder: Path, binding: TokenBinding, pair: KeyPair, manager_key: str) -> TokenCache:
    from ..licensing import ManagerKey
    from ..licensing.agent.token_cache import TokenCache

    return TokenCache(folder, binding, pair, ManagerKey.all_from(manager_key))


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
