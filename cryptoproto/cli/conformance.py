"""``conformance``: run the scripts of the protocol against a client or an exchange."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeAlias
from urllib.parse import urlsplit

import orjson
import typer
from rich.console import Console
from rich.markup import escape

from ..conformance import (
    SCRIPTS,
    Arrivals,
    ClientUnderTest,
    Control,
    ExchangeUnderTest,
    NoControl,
    Outcome,
    Result,
    Script,
    StreamControl,
    as_dict,
    drive,
    html_page,
    load_scripts,
    run_command,
    run_scripts,
    standard_input,
    totals,
)
from ..exceptions import ConfigurationError
from ..keys import PrivateKey, PublicKey
from ..transport import opener, serve
from ..wire import Protocol
from .exit_codes import ExitCode
from .options import Insecure, Json, TransportName, check_address, positive
from .output import console, note, print_json, table
from .running import run

__all__ = ["app"]

app: typer.Typer = typer.Typer(
    name="conformance",
    help="Check a client or an exchange of any language with the scripts of the protocol.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

Only: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--only", help="Run scripts whose name matches, like 'exchange/replay/*'. Repeat for more."),
]
Folder: TypeAlias = Annotated[
    Path | None, typer.Option("--scripts", help="Folder of your own scripts.", show_default="those of the package")
]
Forms: TypeAlias = Annotated[
    Literal["both", "signed", "v5"], typer.Option("--protocol", help="Which forms of the protocol to check.")
]
ServerKey: TypeAlias = Annotated[
    Path,
    typer.Option("--server-key", envvar="CRYPTOPROTO_SERVER_KEY", help="The public key of the exchange (PEM)."),
]
Page: TypeAlias = Annotated[Path | None, typer.Option("--html", help="Write the report as an HTML page to this file.")]
Patience: TypeAlias = Annotated[
    float,
    typer.Option(
        "--timeout",
        callback=positive,
        metavar="<seconds>",
        help="How long to wait for each thing that a script expects.",
    ),
]
Operator: TypeAlias = Annotated[
    str | None,
    typer.Option("--control", help="Program that takes the actions of scripts: JSON lines in and out."),
]
_COLORS = {
    Outcome.PASSED: "green",
    Outcome.NOT_STRICT: "yellow",
    Outcome.FAILED: "red",
    Outcome.SKIPPED: "dim",
}
_LAST_LINES = 12


@app.command("exchange")
def exchange(
    url: Annotated[str, typer.Argument(help="Address of the exchange: wss://host, or ws:// on loopback.")],
    server_key: ServerKey,
    client: Annotated[
        list[str],
        typer.Option(
            "--client", help="A client of the exchange: name=private-key-file. The scripts play alice and bob."
        ),
    ],
    market_data_url: Annotated[str, typer.Option("--market-data-url", help="Address of the market data.")] = "",
    control: Operator = None,
    protocol: Forms = "both",
    only: Only = None,
    scripts: Folder = None,
    html: Page = None,
    timeout: Patience = 5.0,
    transport: TransportName = "auto",
    insecure: Insecure = False,
    json: Json = False,
) -> None:
    """Check an exchange: the scripts play its clients, alice and bob.

    Both need money, and an empty book of BTC_USD. Open orders of both are cancelled. Never use a real account.

    Example: [bold]cryptoproto conformance exchange ws://127.0.0.1:8400 --server-key exchange.pub
    --client alice=alice.pem --client bob=bob.pem[/]
    """
    for address in (url, *([market_data_url] if market_data_url else [])):
        check_address(address, insecure=insecure)
    chosen = load_scripts(scripts or SCRIPTS, peer="exchange", only=only or ())
    public_key, clients = PublicKey.load(server_key), _clients(client)

    async def main() -> int:
        async with _operator(control) as taken:
            peer = ExchangeUnderTest(url, market_data_url, public_key, clients, opener(transport), taken)
            results = await _run(chosen, peer, _forms(protocol), timeout, console, json=json)
        return _finish(results, f"exchange {url}", html, console, json=json)

    run(main())


@app.command("client")
def client(
    url: Annotated[str, typer.Argument(help="Address to listen on, like ws://127.0.0.1:8500; port 0 = any.")],
    control: Annotated[
        str,
        typer.Option("--control", help="Program that drives your client: JSON lines in and out; - = this terminal."),
    ],
    client_id: Annotated[str, typer.Option("--client-id", help="Client id that your client is given.")] = "alice",
    keys: Annotated[
        Path | None,
        typer.Option("--keys", help="Folder for client.pem and exchange.pub.", show_default="a temporary one"),
    ] = None,
    protocol: Forms = "both",
    only: Only = None,
    scripts: Folder = None,
    html: Page = None,
    timeout: Patience = 5.0,
    json: Json = False,
) -> None:
    """Check a client: the scripts play the exchange that it connects to.

    A program that you write takes the actions (connect, send, request, close) and reports what your client receives.
    docs/conformance.md describes its lines.

    Example: [bold]cryptoproto conformance client ws://127.0.0.1:0 --control "cryptoproto conformance driver"[/]
    """
    chosen = load_scripts(scripts or SCRIPTS, peer="client", only=only or ())
    host, port = _listening_address(url)
    shown = Console(stderr=True, highlight=False) if control == "-" else console

    async def main() -> int:
        with contextlib.ExitStack() as stack:
            folder = keys or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cryptoproto-conformance-")))
            client_key, exchange_key = _make_keys(folder)
            arrivals = Arrivals()
            try:
                server = await serve(arrivals.make_listener, host, port, max_message_bytes=2**24)
            except OSError as error:
                raise ConfigurationError(f"cannot listen on {url}: {error.strerror or error}") from None
            name = f"[{host}]" if ":" in host else host
            address = f"ws://{name}:{server.sockets[0].getsockname()[1]}"
            connect = {
                "url": address,
                "private_key": str(folder / "client.pem"),
                "server_key": str(folder / "exchange.pub"),
            }
            note(f"listening on {address}; client id {client_id}, keys in {folder}")
            try:
                async with _stdio() if control == "-" else run_command(control) as driver:
                    peer = ClientUnderTest(client_id, client_key.public_key, exchange_key, arrivals, driver, connect)
                    results = await _run(chosen, peer, _forms(protocol), timeout, shown, json=json)
            finally:
                server.close()
        return _finish(results, "client", html, shown, json=json)

    run(main())


@app.command("driver")
def driver() -> None:
    """Drive the client of this package: the program for --control of conformance client.

    Reads actions from standard input and writes answers and reports to standard output, one JSON object on each line.

    Example: [bold]cryptoproto conformance client ws://127.0.0.1:0 --control "cryptoproto conformance driver"[/]
    """

    async def main() -> int:
        await drive(await standard_input(), _write)
        return ExitCode.SUCCESS

    run(main())


def _write(line: bytes) -> None:
    sys.stdout.buffer.write(line)
    sys.stdout.flush()


@contextlib.asynccontextmanager
async def _stdio() -> AsyncIterator[Control]:
    control = StreamControl(await standard_input(), _write)
    try:
        yield control
    finally:
        await control.close()


@contextlib.asynccontextmanager
async def _operator(command: str | None) -> AsyncIterator[Control]:
    if command is None:
        yield NoControl()
    else:
        async with run_command(command) as control:
            yield control


def _forms(protocol: str) -> tuple[Protocol, ...]:
    return tuple(Protocol) if protocol == "both" else (Protocol(protocol),)


def _clients(entries: list[str]) -> dict[str, PrivateKey]:
    clients = {}
    for entry in entries:
        name, found, path = entry.partition("=")
        if not found or not name or not path:
            raise ConfigurationError(f"--client {entry}: write it like --client alice=alice.pem")
        clients[name] = PrivateKey.load(path)
    return clients


def _listening_address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = None
    if parts.scheme != "ws" or not parts.hostname or port is None:
        raise ConfigurationError(f"{url}: the address to listen on looks like ws://127.0.0.1:8500")
    return parts.hostname, port


def _make_keys(folder: Path) -> tuple[PrivateKey, PrivateKey]:
    """The keys of the client and of the exchange; what the client needs of them is in *folder*."""
    folder.mkdir(parents=True, exist_ok=True)
    client_file = folder / "client.pem"
    if client_file.exists():
        client_key = PrivateKey.load(client_file)
    else:
        client_key = PrivateKey.generate()
        client_key.save(client_file)
    exchange_key = PrivateKey.generate()
    exchange_key.public_key.save(folder / "exchange.pub", overwrite=True)
    return client_key, exchange_key


async def _run(
    scripts: Sequence[Script],
    peer: ClientUnderTest | ExchangeUnderTest,
    protocols: tuple[Protocol, ...],
    timeout: float,
    shown: Console,
    *,
    json: bool,
) -> list[Result]:
    results = []
    first_fresh = time.time_ns() // 1000  # grows faster than a run uses numbers
    async for result in run_scripts(scripts, peer, protocols=protocols, timeout=timeout, first_fresh=first_fresh):
        results.append(result)
        if json:
            _show_json(result, shown)
        elif result.outcome in (Outcome.FAILED, Outcome.NOT_STRICT):
            _show_failure(result, shown)
        await asyncio.sleep(0)
    return results


def _show_json(result: Result, shown: Console) -> None:
    if shown is console:
        print_json(as_dict(result))
    else:  # actions go to standard output
        shown.print(orjson.dumps(as_dict(result)).decode(), markup=False, soft_wrap=True)


def _show_failure(result: Result, shown: Console) -> None:
    color = _COLORS[result.outcome]
    script = result.script
    shown.print(f"[{color}]{result.outcome.value}[/]  [bold]{script.name}[/] ({result.protocol.value})")
    shown.print(f"  {escape(script.title)} [dim]({script.section})[/]")
    for line in (*result.reason.splitlines(), "", *result.transcript[-_LAST_LINES:]):
        shown.print(f"    {escape(line)}", soft_wrap=True)


def _finish(results: Sequence[Result], peer: str, html: Path | None, shown: Console, *, json: bool) -> int:
    if html is not None:
        try:
            html.write_text(html_page(results, peer), encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(f"--html {html}: cannot be written: {error.strerror}") from None
    counted = totals(results)
    if not json:
        _show_table(results, peer, shown)
        if counted[Outcome.SKIPPED]:
            reasons = {result.reason for result in results if result.outcome is Outcome.SKIPPED}
            note(f"skipped: {'; '.join(sorted(reasons))}")
    return ExitCode.FAILED if counted[Outcome.FAILED] else ExitCode.SUCCESS


def _show_table(results: Sequence[Result], peer: str, shown: Console) -> None:
    columns = [outcome.value for outcome in Outcome]
    made = table(f"Conformance of {peer}", "topic", *columns, right=tuple(columns))
    topics: dict[str, list[Result]] = {}
    for result in results:
        topics.setdefault(result.script.topic, []).append(result)
    for topic, group in topics.items():
        made.add_row(topic, *_cells(group))
    made.add_section()
    made.add_row("all", *_cells(results))
    shown.print(made)


def _cells(results: Sequence[Result]) -> list[str]:
    return [f"[{_COLORS[outcome]}]{number}[/]" if number else "" for outcome, number in totals(results).items()]
