"""``book``: the public order book, once or as it changes."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer
from rich.live import Live
from rich.table import Table

from ..exceptions import RequestTimeout
from ..market_data import MarketData, OrderBook
from ..messages import plain
from .options import Insecure, Json, Timeout, TransportName, run
from .output import console, print_json, table

__all__ = ["book"]


def book(
    pair: Annotated[str, typer.Argument(help="Trade pair, like BTC_USD.")],
    url: Annotated[
        str, typer.Option("--url", envvar="CRYPTOPROTO_MARKET_DATA_URL", help="The market-data socket.")
    ] = "ws://127.0.0.1:8401",
    levels: Annotated[int, typer.Option(help="How many price levels of each side.")] = 10,
    once: Annotated[bool, typer.Option("--once", help="Show the book as it is and stop.")] = False,
    transport: TransportName = "auto",
    insecure: Insecure = False,
    timeout: Timeout = 10.0,
    json: Json = False,
) -> None:
    """Show the order book of a pair, until Ctrl-C.

    Market data is public: no key is needed.

    Example: [bold]cryptoproto book BTC_USD --url ws://127.0.0.1:8401 --once[/]
    """

    async def main() -> int:
        async with MarketData(url, transport=transport, insecure=insecure, pairs=[pair]) as feed:
            try:
                shown = await feed.wait_book(pair, timeout=timeout)
            except RequestTimeout:
                raise RequestTimeout(
                    f"no book of {pair} came from {url} within {timeout:g} s: {feed.state.reason}"
                ) from None
            if once:
                _show(shown, levels, json)
                return 0
            if json:
                _show(shown, levels, json)
                async for _ in feed:
                    _show(shown, levels, json)
                return 0
            with Live(_table(shown, levels), console=console, auto_refresh=False) as live:
                while True:
                    # Ten times a second is as fast as one can read; a stale book shows without an update, too.
                    live.update(_table(shown, levels), refresh=True)
                    await asyncio.sleep(0.1)

    run(main())


def _show(book: OrderBook, levels: int, json: bool) -> None:
    if not json:
        console.print(_table(book, levels))
        return
    bids, asks = book.depth(levels)
    print_json(
        {
            "trade_pair": book.trade_pair,
            "current_order_id": book.current_order_id,
            "bids": [[plain(price), plain(volume)] for price, volume in bids],
            "asks": [[plain(price), plain(volume)] for price, volume in asks],
        }
    )


def _table(book: OrderBook, levels: int) -> Table:
    columns = ("bid volume", "price", "ask volume")
    state = "  [red]stale: not connected[/]" if book.is_stale else "  [red]crossed[/]" if book.is_crossed else ""
    shown = table(f"{book.trade_pair}{state}", *columns, right=columns)
    bids, asks = book.depth(levels)
    for price, volume in reversed(asks):
        shown.add_row("", f"[red]{plain(price)}[/]", plain(volume))
    for price, volume in bids:
        shown.add_row(plain(volume), f"[green]{plain(price)}[/]", "")
    return shown
