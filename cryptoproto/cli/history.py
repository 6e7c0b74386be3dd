"""``cryptoproto history``: what a bot has done, from the file of its store. The bot may be running."""

from __future__ import annotations

import asyncio
import enum
import sys
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

import typer
from rich.markup import escape

from ..exceptions import ConfigurationError, RequestTimeout
from ..history import COLUMNS, History, HistoryTable, write_csv
from ..market_data import MarketData, feed_arguments
from ..messages import DECIMALS, EXACT
from ..profiles import Profile
from .options import Json, ProfileName, Timeout, address_of, resolved, store_of
from .output import note, print_json, short, show, table

__all__ = ["history_app"]

history_app: typer.Typer = typer.Typer(
    help="Trades, orders, balances and profit and loss, from the store of a bot with history.", no_args_is_help=True
)

File: TypeAlias = Annotated[
    Path | None,
    typer.Argument(help="The file of the store; that of --store or --profile by default.", show_default=False),
]
Store: TypeAlias = Annotated[
    Path | None, typer.Option("--store", envvar="CRYPTOPROTO_STORE", help="The file of the store.")
]
Since: TypeAlias = Annotated[
    str | None, typer.Option("--since", help="Begin at this time: 2026-05-01, or 2026-05-01T12:30:00+02:00. In UTC.")
]
Until: TypeAlias = Annotated[str | None, typer.Option("--until", help="End before this time.")]
Pair: TypeAlias = Annotated[str | None, typer.Option("--pair", help="Only this pair, such as BTC_USD.")]
Csv: TypeAlias = Annotated[
    Path | None, typer.Option("--csv", help="Write a CSV file instead; - writes to standard output.")
]
Parquet: TypeAlias = Annotated[
    Path | None, typer.Option("--parquet", help="Write a Parquet file instead (extra `frames`).")
]
Last: TypeAlias = Annotated[
    int, typer.Option("--last", min=1, metavar="<count>", help="How many rows a table shows at most.")
]

_CELL: Final = Decimal(1).scaleb(-DECIMALS)
_LABELS: Final = {"trade_pair": "pair", "began_at": "began", "order_id": "order"}
_SHOWN: Final = {
    "trades": ("time", "trade_pair", "side", "amount", "price", "fee", "maker", "order_id"),
    "orders": ("began_at", "order_id", "trade_pair", "side", "amount", "price", "filled", "status"),
    "order_changes": ("time", "order_id", "trade_pair", "side", "what", "amount", "price", "remaining"),
    "balances": ("time", "currency", "available", "on_hold", "change", "reason"),
    "pnl": ("trade_pair", "trades", "position", "average_price", "realised", "fees", "unrealised", "total"),
}
_RESULT: Final = (
    "trade_pair", "trades", "bought", "sold", "position", "average_price", "realised", "fees", "price", "unrealised",
    "total",
)  # fmt: skip
_RIGHT: Final = frozenset(
    (
        "amount", "price", "fee", "order_id", "filled", "average_price", "remaining", "available", "on_hold", "change",
        "trades", "position", "realised", "fees", "unrealised", "total",
    )
)  # fmt: skip


@history_app.command("trades")
def trades(
    file: File = None,
    store: Store = None,
    profile: ProfileName = None,
    since: Since = None,
    until: Until = None,
    pair: Pair = None,
    csv: Csv = None,
    parquet: Parquet = None,
    last: Last = 100,
    json: Json = False,
) -> None:
    """Show your own trades.

    Example: [bold]cryptoproto history trades alice.db --since 2026-05-01 --csv trades.csv[/]
    """
    _export("trades", _opened(file, store, profile), pair, since, until, csv, parquet, last, json)


@history_app.command("orders")
def orders(
    file: File = None,
    store: Store = None,
    profile: ProfileName = None,
    since: Since = None,
    until: Until = None,
    pair: Pair = None,
    changes: Annotated[bool, typer.Option("--changes", help="A row for each change of each order.")] = False,
    csv: Csv = None,
    parquet: Parquet = None,
    last: Last = 100,
    json: Json = False,
) -> None:
    """Show your orders and what became of them.

    Example: [bold]cryptoproto history orders alice.db --pair BTC_USD --changes[/]
    """
    name: HistoryTable = "order_changes" if changes else "orders"
    _export(name, _opened(file, store, profile), pair, since, until, csv, parquet, last, json)


@history_app.command("balances")
def balances(
    file: File = None,
    store: Store = None,
    profile: ProfileName = None,
    since: Since = None,
    until: Until = None,
    currency: Annotated[str | None, typer.Option("--currency", help="Only this currency, such as BTC.")] = None,
    csv: Csv = None,
    parquet: Parquet = None,
    last: Last = 100,
    json: Json = False,
) -> None:
    """Show your balances over time, with those at the beginning.

    Example: [bold]cryptoproto history balances --profile paper --currency BTC[/]
    """
    _export("balances", _opened(file, store, profile), currency, since, until, csv, parquet, last, json)


@history_app.command("pnl")
def pnl(
    file: File = None,
    store: Store = None,
    profile: ProfileName = None,
    since: Since = None,
    until: Until = None,
    pair: Pair = None,
    method: Annotated[
        Literal["average", "fifo"], typer.Option("--method", help="How the cost of what is sold is found.")
    ] = "average",
    price: Annotated[
        list[str] | None,
        typer.Option("--price", help="What a position is worth: BTC_USD=15000. For each pair.", show_default=False),
    ] = None,
    book: Annotated[
        bool, typer.Option("--book", help="A position is worth the mid of the book, from the profile's market data.")
    ] = False,
    timeout: Timeout = 10.0,
    csv: Csv = None,
    json: Json = False,
) -> None:
    """Show profit and loss by pair, in the quote currency of each.

    Example: [bold]cryptoproto history pnl alice.db --price BTC_USD=15000 --method fifo[/]
    """
    _check_one_form(csv=csv, json=json)
    history = _opened(file, store, profile)
    prices: dict[str, Any] = dict(_prices(price))
    if book:
        held = history.pnl(method, trade_pair=pair, since=since, until=until).values()
        pairs = [each.trade_pair for each in held if each.position and each.trade_pair not in prices]
        prices |= asyncio.run(_mids(resolved(profile), pairs, timeout))
    found = history.pnl(method, prices, trade_pair=pair, since=since, until=until).values()
    if csv is not None:
        _write_csv(csv, history, _RESULT, found)
    elif json:
        for result in found:
            print_json(result.as_dict())
    else:
        _show("pnl", f"profit and loss, {method} cost", _SHOWN["pnl"], found, len(found))


def _opened(file: Path | None, store: Path | None, profile: str | None) -> History:
    return History.open(file or store or store_of(resolved(profile)))


async def _mids(settings: Profile, pairs: list[str], timeout: float) -> dict[str, Decimal]:
    """The price halfway between the best bid and ask of each pair that has both."""
    address_of(settings, "market_data_url")
    mids: dict[str, Decimal] = {}
    async with MarketData(**feed_arguments(settings, pairs=pairs)) as feed:
        end = asyncio.get_running_loop().time() + timeout
        for pair in pairs:
            with suppress(RequestTimeout):
                await feed.wait_book(pair, timeout=max(end - asyncio.get_running_loop().time(), 0))
            mid = feed.book(pair).mid
            if mid is None:
                note(f"the book of {pair} has no mid, so its position has no price")
            else:
                mids[pair] = mid
    return mids


def _prices(given: list[str] | None) -> dict[str, str]:
    prices = {}
    for each in given or ():
        pair, found, price = each.partition("=")
        if not found:
            raise ConfigurationError(f"--price {each}: write it like BTC_USD=15000")
        prices[pair] = price
    return prices


def _export(
    name: HistoryTable,
    history: History,
    only: str | None,
    since: str | None,
    until: str | None,
    csv: Path | None,
    parquet: Path | None,
    last: int,
    json: bool,
) -> None:
    _check_one_form(csv=csv, parquet=parquet, json=json)
    if parquet is not None:
        count = history.to_parquet(name, parquet, trade_pair=only, since=since, until=until)
        note(f"{count:,} rows written to {escape(str(parquet))}")
        return
    records = history.records(name, only, since, until)
    if csv is not None:
        _write_csv(csv, history, COLUMNS[name], records)
    elif json:
        for record in records:
            print_json(record.as_dict())
    else:
        newest: deque[Any] = deque(maxlen=last)
        count = 0
        for record in records:
            newest.append(record)
            count += 1
        _show(name, f"{name.replace('_', ' ')} (times in UTC)", _SHOWN[name], newest, count)


def _check_one_form(**given: Path | bool | None) -> None:
    """Check that the output has one form at most, and do not ignore the others."""
    if sum(value not in (None, False) for value in given.values()) > 1:
        *names, last = (f"--{name}" for name in given)
        raise ConfigurationError(f"choose one of {', '.join(names)} and {last}")


def _write_csv(path: Path, history: History, columns: Sequence[str], records: Iterable[Any]) -> None:
    if str(path) == "-":
        write_csv(sys.stdout, columns, records)
        sys.stdout.flush()
        return
    count = history.write_csv(path, columns, records)
    note(f"{count:,} rows written to {escape(str(path))}")


def _show(name: str, title: str, columns: Sequence[str], records: Iterable[Any], count: int) -> None:
    labels = {column: _LABELS.get(column, column.replace("_", " ")) for column in columns}
    shown = table(title, *labels.values(), right=tuple(labels[each] for each in columns if each in _RIGHT))
    for record in records:
        shown.add_row(*(_cell(getattr(record, column)) for column in columns))
    if not count:
        note(f"there are no {'trades' if name == 'pnl' else name.replace('_', ' ')} in this range")
        return
    show(shown)
    if count > shown.row_count:
        note(f"the last {shown.row_count:,} of {count:,} rows; --last, --csv, --parquet and --json show more")


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        # A mean price may have 28 decimals, for which a table has no room; --json and --csv have them all.
        return short(EXACT.quantize(value, _CELL))
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, bool):
        return "yes" if value else "no"
    return escape(str(value.value if isinstance(value, enum.Enum) else value))
