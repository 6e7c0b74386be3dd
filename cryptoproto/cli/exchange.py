"""``exchange``: the embedded exchange as a program."""

from __future__ import annotations

import asyncio
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated

import typer

from ..exceptions import ConfigurationError
from ..exchange import DEFAULT_PAIRS, Exchange
from ..keys import PrivateKey, PublicKey
from .options import Json, TransportName, run
from .output import console, note, print_json

__all__ = ["exchange"]


def exchange(
    client: Annotated[
        list[str], typer.Option("--client", help="Who may connect: name=public-key-file. Repeat for more.")
    ] = [],  # noqa: B006 - typer reads defaults and never changes them
    balance: Annotated[
        list[str], typer.Option("--balance", help="Opening balance: name:currency=amount. Repeat for more.")
    ] = [],  # noqa: B006
    key: Annotated[
        Path | None,
        typer.Option(
            help="The exchange's private key; made if it does not exist, with a .pub beside it.",
            show_default="exchange.pem",
        ),
    ] = None,
    journal: Annotated[
        Path | None,
        typer.Option(help="File that keeps everything, the exchange's key too; its .pub is written beside it."),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port for clients, 0 = any.")] = 8400,
    market_data_port: Annotated[int, typer.Option(help="Port of the market-data socket, 0 = any.")] = 8401,
    pair: Annotated[list[str], typer.Option("--pair", help="Pair to trade. Repeat for more.")] = list(DEFAULT_PAIRS),  # noqa: B006
    rate_limit: Annotated[
        float | None, typer.Option(help="Messages a second for each client; beyond come throttling and then 4009.")
    ] = None,
    maker_fee: Annotated[str | None, typer.Option(help="Fraction of what a resting order receives.")] = None,
    taker_fee: Annotated[
        str | None, typer.Option(help="Fraction of what an order that is filled at once receives.")
    ] = None,
    transport: TransportName = "auto",
    json: Json = False,
) -> None:
    """Run an exchange of your own, until Ctrl-C.

    Example: [bold]cryptoproto exchange --client alice=alice.pub --balance alice:USD=1000000 --balance alice:BTC=10[/]
    """
    clients = dict(_split(entry, "=", "--client", "alice=alice.pub") for entry in client)
    balances: dict[str, dict[str, str]] = {}
    for entry in balance:
        account, amount = _split(entry, "=", "--balance", "alice:USD=1000000")
        name, currency = _split(account, ":", "--balance", "alice:USD=1000000")
        if name not in clients:
            raise ConfigurationError(f"--balance {entry}: there is no --client {name}=…")
        balances.setdefault(name, {})[currency] = amount
    public_keys = {name: PublicKey.load(path) for name, path in clients.items()}
    if key is None and journal is None:
        key = Path("exchange.pem")
    made = Exchange(
        path=journal,
        host=host,
        port=port,
        market_data_port=market_data_port,
        rate_limit=rate_limit,
        private_key=None if key is None else _own_key(key),
        trade_pairs=pair,
        maker_fee=_fraction(maker_fee, "--maker-fee"),
        taker_fee=_fraction(taker_fee, "--taker-fee"),
        transport=transport,
    )

    async def main() -> int:
        async with made:
            public_file = _public_file(made.public_key, key or journal)
            for name, public_key in public_keys.items():
                made.register(name, public_key, balances.get(name))
            if json:
                print_json({"url": made.url, "market_data_url": made.market_data_url, "public_key": str(public_file)})
            else:
                console.print(f"[bold]exchange[/]     {made.url}")
                console.print(f"[bold]market data[/]  {made.market_data_url}")
                console.print(f"[bold]public key[/]   {public_file}  (what clients need as --server-key)")
                console.print(f"[bold]clients[/]      {', '.join(public_keys) or 'none: nobody can connect'}")
                kept = "kept in memory and gone at the end" if journal is None else f"kept in {journal}"
                note(f"Everything is {kept}. Ctrl-C ends it.")
            await asyncio.Event().wait()
        return 0

    run(main())


def _split(text: str, separator: str, option: str, example: str) -> tuple[str, str]:
    left, found, right = text.partition(separator)
    if not found or not left or not right:
        raise ConfigurationError(f"{option} {text}: write it like {option} {example}")
    return left, right


def _fraction(text: str | None, option: str) -> Decimal | None:
    try:
        return None if text is None else Decimal(text)
    except InvalidOperation:
        raise ConfigurationError(f"{option} {text}: is no number; write it like {option} 0.001") from None


def _own_key(path: Path) -> PrivateKey:
    if path.exists():
        return PrivateKey.load(path)
    made = PrivateKey.generate()
    made.save(path)
    note(f"made a key for this exchange: {path}")
    return made


def _public_file(key: PublicKey, beside: Path | None) -> Path:
    """Where clients find the exchange's public key; a file of the same name with another key is not theirs."""
    path = (beside or Path("exchange.pem")).with_suffix(".pub")
    if not path.exists() or PublicKey.load(path) != key:
        key.save(path, overwrite=True)
    return path
