"""``book``: the public order book, once or as it changes."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer
from rich.live import Live
from rich.table import Table

from ..arguments import redacted
from ..exceptions import RequestTimeout
from ..market_data import FeedState, MarketData, OrderBook, feed_arguments
from ..messages import OrderBookAgg, plain
from .exit_codes import ExitCode
from .options import (
    Insecure,
    Json,
    ProfileName,
    ProfileTimeout,
    TransportOverride,
    address_of,
    answer_timeout,
    resolved,
)
from .output import console, print_json, table
from .running import run

__all__ = ["book"]

_DEFAULT_URL = "ws://127.0.0.1:8401"


def book(
    pair: Annotated[str, typer.Argument(help="Trade pair, like BTC_USD.")],
    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            envvar="CRYPTOPROTO_MARKET_DATA_URL",
            help=f"Address of the market data; {_DEFAULT_URL} if no profile says otherwise.",
        ),
    ] = None,
    profile: ProfileName = None,
    levels: Annotated[
        int, typer.Option(min=1, metavar="<count>", help="How many price levels of each side to show.")
    ] = 10,
    once: Annotated[bool, typer.Option("--once", help="Show the book as it is now and exit.")] = False,
    transport: TransportOverride = None,
    insecure: Insecure = False,
    timeout: ProfileTimeout = None,
    json: Json = False,
) -> None:
    """Show the order book of a pair, until Ctrl-C.

    In a pipe or a file, it is printed each time it changes. Market data is public: no key is needed.

    Example: [bold]cryptoproto book BTC_USD --url ws://127.0.0.1:8401 --once[/]
    """
    options = {"transport": transport, "insecure": insecure, "open_timeout": timeout, "request_timeout": timeout}
    settings = resolved(profile, market_data_url=url, **options)
    if not profile and settings.missing("market_data_url"):
        settings = resolved(None, market_data_url=_DEFAULT_URL, **options)
    address = address_of(settings, "market_data_url")

    async def main() -> int:
        async with MarketData(**feed_arguments(settings)) as feed:
            shown = await _first(feed, pair, address, answer_timeout(settings))
            is_screen = console.is_terminal and not console.is_dumb_terminal and not json
            if once or not is_screen:
                _show(shown, levels, json)
            if not once:
                await (_refresh(shown, levels) if is_screen else _print_changes(feed, shown, levels, json))
        return ExitCode.SUCCESS

    run(main())


async def _first(feed: MarketData, pair: str, url: str, timeout: float) -> OrderBook:
    """The book of *pair* once it has arrived; an error names the pairs that there are.

    The first attempt to connect has to succeed, as for every other command.
    """
    async for change in feed.states():
        if change.error is not None:
            raise change.error
        if change.state is FeedState.LIVE:
            break
    try:
        return await feed.wait_book(pair, timeout=timeout)
    except RequestTimeout:
        others = sorted(name for name, book in feed.books.items() if not book.is_stale)
        if others:
            raise RequestTimeout(
                f"no book of {pair} came from {redacted(url)} within {timeout:g} s; "
                f"there are books of {', '.join(others)}"
            ) from None
        raise


async def _print_changes(feed: MarketData, book: OrderBook, levels: int, json: bool) -> None:
    async for update in feed:
        if isinstance(update, OrderBookAgg) and update.trade_pair == book.trade_pair:
            _show(book, levels, json)


async def _refresh(book: OrderBook, levels: int) -> None:
    with Live(_table(book, levels), console=console, auto_refresh=False) as live:
        while True:
            # Nobody reads faster than ten times a second. A timer also shows that the book became stale.
            live.update(_table(book, levels), refresh=True)
            await asyncio.sleep(0.1)


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
