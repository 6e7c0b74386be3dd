"""``gateway``: one exchange session for many machines, over NATS. Runs it, and configures NATS for it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .exit_codes import ExitCode
from .gateway_operations import handover, kill, limits, revive, status
from .gateway_options import NATS, Lease, Nats, NatsCa, Nkey, Prefix, Replicas, SessionOf, room, trusted
from .options import (
    ClientId,
    Insecure,
    Json,
    KeyFile,
    ProfileName,
    ProtocolName,
    ServerKeyFile,
    TransportOverride,
    Url,
    address_of,
    private_key,
    resolved,
)
from .output import console, note, print_json
from .running import run

if TYPE_CHECKING:
    from ..gateway import Gateway, GatewayFeed

__all__ = ["app"]

app: typer.Typer = typer.Typer(help="Share one exchange session with strategies on many machines, over NATS.")
for _command in (status, handover, kill, revive, limits):
    app.command()(_command)


@app.command("run")
def serve(
    url: Url = None,
    client_id: ClientId = None,
    key: KeyFile = None,
    server_key: ServerKeyFile = None,
    profile: ProfileName = None,
    nats: Nats = NATS,
    nkey: Nkey = None,
    nats_ca: NatsCa = None,
    prefix: Prefix = "cryptoproto",
    lease: Lease = 2.0,
    replicas: Replicas = 1,
    keep_days: Annotated[
        float | None,
        typer.Option(
            metavar="<days>", help="For how many days events are kept for strategies.", show_default="for ever"
        ),
    ] = None,
    order_rate: Annotated[
        float | None,
        typer.Option(
            metavar="<rate>", help="Orders and cancels per second of all strategies.", show_default="no limit"
        ),
    ] = None,
    market_data: Annotated[
        str | None,
        typer.Option("--market-data", envvar="CRYPTOPROTO_MARKET_DATA_URL", help="Market data to publish, if any."),
    ] = None,
    no_publish: Annotated[
        bool, typer.Option("--no-publish", help="Leave publishing the market data to gateway feed.")
    ] = False,
    metrics_port: Annotated[
        int | None, typer.Option(metavar="<port>", help="Serve metrics for Prometheus on this port.")
    ] = None,
    protocol: ProtocolName = None,
    transport: TransportOverride = None,
    insecure: Insecure = False,
    json: Json = False,
) -> None:
    """Own the session, or stand by, until Ctrl-C or SIGTERM; a standby then follows at once.

    Start it on several machines with the same client id.

    Example: [bold]cryptoproto gateway run --nats nats://nats-1,nats://nats-2,nats://nats-3 --replicas 3[/]
    """
    settings = resolved(
        profile, url=url, client_id=client_id, key=key, server_key=server_key, protocol=protocol, transport=transport,
        insecure=insecure, market_data_url=market_data,
    )  # fmt: skip
    address = address_of(settings, "url", "client_id", "key", "server_key")
    # A gateway that was stopped still has the lock on the client id, and a standby here must be able to follow it.
    arguments = settings.connect_arguments(url=address, private_key=private_key(settings), exclusive=False)
    gateway = room().Gateway(
        nats,
        **arguments,
        lease_s=lease,
        replicas=replicas,
        keep_events_s=None if keep_days is None else keep_days * 86_400,
        order_rate=order_rate,
        market_data_url=settings.values.get("market_data_url"),
        publish_market_data=not no_publish,
        prefix=prefix,
        nkey_seed=nkey,
        nats_tls=trusted(nats_ca),
    )
    run(_serve(gateway, settings.values["client_id"], metrics_port, json=json))


async def _serve(gateway: Gateway, client_id: str, metrics_port: int | None, *, json: bool) -> int:
    async with gateway:
        with ExitStack() as stack:
            if metrics_port is not None:
                stack.enter_context(_metrics(gateway, client_id, metrics_port))
            return await _until_terminated(_show_roles(gateway, client_id, json=json), gateway.wait_closed())


async def _until_terminated(*work: Coroutine[Any, Any, None]) -> int:
    """Do *work* until one part has ended, or until SIGTERM; raises its error."""
    terminated = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminated.set)
    tasks: list[asyncio.Future[Any]] = [asyncio.ensure_future(each) for each in (*work, terminated.wait())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.result()
    return ExitCode.TERMINATED


@app.command()
def feed(
    client_id: SessionOf,
    market_data: Annotated[
        str, typer.Option("--market-data", envvar="CRYPTOPROTO_MARKET_DATA_URL", help="Market data to publish.")
    ],
    nats: Nats = NATS,
    nkey: Nkey = None,
    nats_ca: NatsCa = None,
    prefix: Prefix = "cryptoproto",
    lease: Lease = 2.0,
    replicas: Replicas = 1,
    insecure: Insecure = False,
    json: Json = False,
) -> None:
    """Publish market data for strategies instead of the owner, or stand by to do so, until Ctrl-C or SIGTERM.

    Start it on several machines, and gateways with --no-publish.

    Example: [bold]cryptoproto gateway feed --client-id alice --market-data wss://marketdata.example.com[/]
    """
    publisher = room().GatewayFeed(
        nats,
        market_data_url=market_data,
        client_id=client_id,
        lease_s=lease,
        replicas=replicas,
        insecure=bool(insecure),
        prefix=prefix,
        nkey_seed=nkey,
        nats_tls=trusted(nats_ca),
    )
    run(_serve_feed(publisher, client_id, json=json))


async def _serve_feed(publisher: GatewayFeed, client_id: str, *, json: bool) -> int:
    async with publisher:
        return await _until_terminated(_show_feed_roles(publisher, client_id, json=json), publisher.wait_closed())


async def _show_feed_roles(publisher: GatewayFeed, client_id: str, *, json: bool) -> None:
    """Print whenever this process begins to publish, or stops."""
    while True:
        _print_role("standby", f"standing by for the market data of {client_id}", json=json)
        await publisher.wait_publishing()
        words = f"[bold green]publishing[/] the market data of {client_id}"
        _print_role("publishing", words, publisher.fence, json=json)
        await publisher.wait_lost()


def _metrics(gateway: Gateway, client_id: str, port: int) -> Any:
    from ..client.prometheus import serve_metrics

    endpoint = serve_metrics(gateway, port=port, labels={"client_id": client_id}, namespace="cryptoproto_gateway")
    note(f"metrics: http://127.0.0.1:{endpoint.port}/metrics")
    return endpoint


async def _show_roles(gateway: Gateway, client_id: str, *, json: bool) -> None:
    """Print whenever this process becomes the owner, or is not the owner any more."""
    while True:
        _print_role("standby", f"standing by for the session of {client_id}", json=json)
        await gateway.wait_owner()
        _print_role("owner", f"[bold green]owner[/] of the session of {client_id}", gateway.fence, json=json)
        await gateway.wait_lost()


def _print_role(role: str, words: str, fence: int | None = None, *, json: bool) -> None:
    if json:
        print_json({"event": role} if fence is None else {"event": role, "fence": fence})
    else:
        console.print(words if fence is None else f"{words}, fence {fence}")


@app.command()
def config(
    folder: Annotated[Path, typer.Argument(help="Where to write the configuration and the keys.")],
    client_id: SessionOf,
    strategy: Annotated[list[str] | None, typer.Option(help="A strategy that may trade. Repeat for more.")] = None,
    server: Annotated[
        list[str] | None, typer.Option(help="Host name of a server of a cluster of three or five. Repeat for each.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="<port>", help="Port to listen on.")] = 4222,
    store: Annotated[str, typer.Option(help="Folder of the server for its streams.")] = "jetstream",
    tls_cert: Annotated[str | None, typer.Option(help="Certificate chain (PEM) of the server.")] = None,
    tls_key: Annotated[str | None, typer.Option(help="Private key of the certificate.")] = None,
    tls_ca: Annotated[
        str | None, typer.Option(help="Certificates (PEM) that servers of a cluster check each other by.")
    ] = None,
    prefix: Prefix = "cryptoproto",
    insecure: Annotated[bool, typer.Option("--insecure", help="Allow other machines to connect without TLS.")] = False,
    json: Json = False,
) -> None:
    """Write the configuration of NATS servers in which each strategy can use only its own commands and events.

    Makes a key for gateways, one for operators, and one for each strategy. Run it again to add strategies; keys that
    exist are kept.

    Example: [bold]cryptoproto gateway config nats --client-id alice --strategy mm1 --strategy mm2[/]
    """
    room()
    from ..gateway.names import Names
    from ..gateway.server_config import Listening, write_server_config

    listening = Listening(
        host=host, port=port, store=store, servers=tuple(server or ()),
        tls_cert=tls_cert, tls_key=tls_key, tls_ca=tls_ca, insecure=insecure,
    )  # fmt: skip
    files = write_server_config(folder, Names(client_id, prefix), strategy or [], listening)
    if json:
        print_json(
            {
                "configs": [str(path) for path in files.configs],
                "gateway": str(files.gateway_seed),
                "operator": str(files.operator_seed),
                "strategies": {name: str(path) for name, path in files.strategy_seeds.items()},
            }
        )
        return
    for path in files.configs:
        console.print(f"[bold]server[/]     {path}  (nats-server -c {path})", soft_wrap=True)
    for role, path in {"gateways": files.gateway_seed, "operators": files.operator_seed}.items():
        console.print(f"[bold]{role:<10}[/] {path}", soft_wrap=True)
    for name, path in files.strategy_seeds.items():
        console.print(f"[bold]strategy[/]   {path}  ({name})", soft_wrap=True)
