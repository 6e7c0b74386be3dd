"""``exchange``: the embedded exchange as a program."""

from __future__ import annotations

import asyncio
import logging
import shlex
import signal
import ssl
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, TypeAlias

import typer
from rich.markup import escape

from ..exceptions import ConfigurationError
from ..exchange import DEFAULT_PAIRS, Engine, Exchange
from ..exchange.commands import Refused, Register
from ..exchange.endpoints import LOOPBACK_OF_WILDCARD
from ..instruments import Instrument
from ..keys import PrivateKey, PublicKey
from ..wire import CloseCode
from .options import Json, TransportName
from .output import console, note, print_json
from .running import run

__all__ = ["exchange"]

logger: logging.Logger = logging.getLogger("cryptoproto")

_TERMINATED = 128 + signal.SIGTERM
_Clients: TypeAlias = Annotated[
    list[str] | None, typer.Option("--client", help="A client that may connect: name=public-key-file. Repeat for more.")
]
_Balances: TypeAlias = Annotated[
    list[str] | None, typer.Option("--balance", help="Opening balance: name:currency=amount. Repeat for more.")
]
_Key: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        help="The exchange's private key; created if it does not exist, with a .pub beside it.",
        show_default="exchange.pem",
    ),
]
_Journal: TypeAlias = Annotated[
    Path | None,
    typer.Option(help="File that stores everything, including the exchange's key; a .pub is written beside it."),
]
_Host: TypeAlias = Annotated[str, typer.Option(help="Address to listen on.")]
_Port: TypeAlias = Annotated[int, typer.Option(metavar="<port>", help="Port for clients, 0 = any.")]
_MarketDataPort: TypeAlias = Annotated[
    int, typer.Option(metavar="<port>", help="Port of the market-data socket, 0 = any.")
]
_TlsCert: TypeAlias = Annotated[
    Path | None, typer.Option(help="Certificate chain (PEM): listen with TLS. Clients on other machines need it.")
]
_TlsKey: TypeAlias = Annotated[
    Path | None, typer.Option(help="Private key of the certificate, if it is not in the same file.")
]
_Pairs: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--pair", help="Pair to trade. Repeat for more.", show_default=", ".join(DEFAULT_PAIRS)),
]
_Instruments: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--instrument",
        help="Rules of a pair, such as BTC_USD:tick_size=0.01 or BTC_USD:tick_size=1,lot_size=0.1. Repeat for more.",
        show_default="those of the journal",
    ),
]
_RateLimit: TypeAlias = Annotated[
    float | None,
    typer.Option(
        metavar="<rate>",
        help="Messages and requests per second for each client; above it throttling, then code 4009.",
        show_default="no limit",
    ),
]
_MaxOpenOrders: TypeAlias = Annotated[
    int | None, typer.Option(metavar="<count>", help="Open orders that a client may have.", show_default="1000")
]
_MakerFee: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="<fraction>",
        help="Fee of a resting order, as a fraction of what it receives: 0.001 is 0.1 %.",
        show_default="0",
    ),
]
_TakerFee: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="<fraction>", help="Fee of an incoming order, as a fraction of what it receives.", show_default="0"
    ),
]
_Verbose: TypeAlias = Annotated[bool, typer.Option("--verbose", "-v", help="Also log every message of clients.")]


def exchange(
    client: _Clients = None,
    balance: _Balances = None,
    key: _Key = None,
    journal: _Journal = None,
    host: _Host = "127.0.0.1",
    port: _Port = 8400,
    market_data_port: _MarketDataPort = 8401,
    tls_cert: _TlsCert = None,
    tls_key: _TlsKey = None,
    pair: _Pairs = None,
    instrument: _Instruments = None,
    rate_limit: _RateLimit = None,
    max_open_orders: _MaxOpenOrders = None,
    maker_fee: _MakerFee = None,
    taker_fee: _TakerFee = None,
    transport: TransportName = "auto",
    verbose: _Verbose = False,
    json: Json = False,
) -> None:
    """Run an exchange until Ctrl-C or SIGTERM.

    Logs to standard error who connects, who is refused and why, and who leaves.

    Example: [bold]cryptoproto exchange --client alice=alice.pub --balance alice:USD=1000000 --balance alice:BTC=10[/]
    """
    if rate_limit is not None and not rate_limit > 0:
        raise ConfigurationError(f"--rate-limit {rate_limit:g}: must be greater than zero; leave it out for no limit")
    clients = _clients(client or [])
    public_keys = {name: PublicKey.load(path) for name, path in clients.items()}
    fees = _fraction(maker_fee, "--maker-fee"), _fraction(taker_fee, "--taker-fee")
    balances = _balances(balance or [], clients, pair or DEFAULT_PAIRS, fees)
    if key is None and journal is None:
        key = Path("exchange.pem")
    new_key = None if key is None or key.exists() else PrivateKey.generate()
    made = Exchange(
        path=journal,
        host=host,
        port=port,
        market_data_port=market_data_port,
        rate_limit=rate_limit,
        private_key=new_key or (None if key is None else PrivateKey.load(key)),
        trade_pairs=pair,
        instruments=_instruments(instrument),
        maker_fee=fees[0],
        taker_fee=fees[1],
        transport=transport,
        ssl=_tls(tls_cert, tls_key),
        max_open_orders=max_open_orders,
    )
    public_file = (key or journal or Path("exchange.pem")).with_suffix(".pub")

    async def begin() -> None:
        if new_key is not None and key is not None:
            new_key.save(key)
            note(f"created a key for this exchange: {key}")
        _write_public_key(made.public_key, public_file)
        for name, public_key in public_keys.items():
            made.register(name, public_key, balances.get(name))
        await made.flush()  # what is printed can be relied upon
        order = _order(made, clients, (pair or DEFAULT_PAIRS)[0], public_file)
        _show(made, public_file, journal, order, everywhere=host in LOOPBACK_OF_WILDCARD, json=json)

    with _log_to_standard_error(verbose=verbose):
        run(_serve(made, begin))


async def _serve(made: Exchange, begin: Callable[[], Awaitable[None]]) -> int:
    """Run the exchange until SIGTERM; *begin* is called when it listens.

    Raises:
        JournalError: the journal cannot be written.
    """
    terminated = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminated.set)
    async with made:
        await begin()
        failed = asyncio.create_task(made.wait_closed())
        stopped = asyncio.create_task(terminated.wait())
        try:
            await asyncio.wait((failed, stopped), return_when=asyncio.FIRST_COMPLETED)
            if failed.done():
                failed.result()
        finally:
            failed.cancel()
            stopped.cancel()
        await made.close(CloseCode.SERVER_RESTART, "the exchange was stopped; it may be back soon")
    return _TERMINATED


def _order(made: Exchange, clients: Mapping[str, str], pair: str, public_file: Path) -> str | None:
    """A command that places an order, if there is a client; its private key should be beside the public one."""
    if not made.client_ids:
        return None
    name = next(iter(clients), made.client_ids[0])
    options = {
        "--url": made.url,
        "--client-id": name,
        "--key": str(Path(clients.get(name, name)).with_suffix(".pem")),
        "--server-key": str(public_file),
    }
    written = " ".join(f"{option} {shlex.quote(value)}" for option, value in options.items())
    return f"cryptoproto order buy {pair} 1 15000 {written}"


def _show(
    made: Exchange, public_file: Path, journal: Path | None, order: str | None, *, everywhere: bool, json: bool
) -> None:
    if json:
        print_json({"url": made.url, "market_data_url": made.market_data_url, "public_key": str(public_file)})
        return
    console.print(f"[bold]exchange[/]     {made.url}{'  (and on all other addresses)' if everywhere else ''}")
    console.print(f"[bold]market data[/]  {made.market_data_url}")
    console.print(f"[bold]public key[/]   {public_file}  (clients need it as --server-key)")
    console.print(f"[bold]clients[/]      {', '.join(made.client_ids) or 'none: nobody can connect'}")
    if order is not None:
        console.print(f"[bold]to trade[/]     {escape(order)}", soft_wrap=True, highlight=False)
    kept = "in memory and is gone at the end" if journal is None else f"in {journal}"
    note(f"Everything is kept {kept}. Press Ctrl-C to stop.")


def _split(text: str, separator: str, option: str, example: str) -> tuple[str, str]:
    left, found, right = text.partition(separator)
    if not found or not left or not right:
        raise ConfigurationError(f"{option} {text}: write it like {option} {example}")
    return left, right


def _clients(entries: list[str]) -> dict[str, str]:
    """The public key file of each client."""
    clients: dict[str, str] = {}
    for entry in entries:
        name, file = _split(entry, "=", "--client", "alice=alice.pub")
        if name in clients:
            raise ConfigurationError(f"--client {entry}: there is already a client {name}; each name can be used once")
        clients[name] = file
    return clients


def _instruments(entries: list[str] | None) -> list[Instrument] | None:
    """The rules of pairs; ``None`` if no options say any."""
    example = "BTC_USD:tick_size=0.01,lot_size=0.001"
    instruments = []
    for entry in entries or ():
        pair, rules = _split(entry, ":", "--instrument", example)
        values = dict(_split(rule, "=", f"--instrument {pair}:", "tick_size=0.01") for rule in rules.split(","))
        instruments.append(Instrument.from_dict({"trade_pair": pair, **values}))
    return instruments if entries else None


def _fraction(text: str | None, option: str) -> Decimal | None:
    try:
        return None if text is None else Decimal(text)
    except InvalidOperation:
        raise ConfigurationError(f"{option} {text}: not a number; write it like {option} 0.001") from None


def _balances(
    entries: list[str], clients: dict[str, str], pairs: tuple[str, ...] | list[str], fees: tuple[Decimal | None, ...]
) -> dict[str, dict[str, str]]:
    """The opening balances by client; checked before any file is created."""
    balances: dict[str, dict[str, str]] = {}
    engine = Engine(trade_pairs=pairs, maker_fee=fees[0] or Decimal(0), taker_fee=fees[1] or Decimal(0))
    traded = list(dict.fromkeys(currency for pair in pairs for currency in pair.split("_")))
    for number, entry in enumerate(entries):
        account, amount = _split(entry, "=", "--balance", "alice:USD=1000000")
        name, colon, currency = account.partition(":")
        if not name or not colon or not currency:
            raise ConfigurationError(f"--balance {entry}: write it like --balance alice:USD=1000000")
        if name not in clients:
            raise ConfigurationError(f"--balance {entry}: there is no --client {name}=…")
        if currency in balances.get(name, ()):
            raise ConfigurationError(f"--balance {entry}: {name} already has an opening balance in {currency}")
        if currency not in traded:
            raise ConfigurationError(
                f"--balance {entry}: no pair trades {currency}; the currencies are {', '.join(traded)}"
            )
        try:
            outputs = engine.apply(Register(str(number), {currency: amount}, 0))
        except ConfigurationError as error:
            raise ConfigurationError(f"--balance {entry}: {error}") from None
        for output in outputs:
            if isinstance(output, Refused):
                raise ConfigurationError(f"--balance {entry}: {output.text}")
        balances.setdefault(name, {})[currency] = amount
    return balances


def _tls(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    if certificate is None:
        if key is not None:
            raise ConfigurationError(f"--tls-key {key} needs --tls-cert, the certificate that belongs to the key")
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key)
    except ssl.SSLError as error:
        reason = f" ({error.reason})" if error.reason else ""
        what = f"--tls-cert {certificate}" if key is None else f"--tls-cert {certificate} and --tls-key {key}"
        raise ConfigurationError(f"{what}: not a certificate and its private key in PEM{reason}") from None
    except OSError as error:
        names = " or ".join(str(path) for path in (certificate, key) if path is not None)
        raise ConfigurationError(f"{names}: cannot be read: {error.strerror}") from None
    return context


@contextmanager
def _log_to_standard_error(*, verbose: bool) -> Iterator[None]:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG if verbose else logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def _write_public_key(key: PublicKey, path: Path) -> None:
    """Write the key for clients; a file of that name with another key is replaced."""
    if not path.exists() or PublicKey.load(path) != key:
        key.save(path, overwrite=True)
