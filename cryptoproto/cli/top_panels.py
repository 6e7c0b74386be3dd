"""The panels of ``top``: parts of a status as tables."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, TypeAlias

from rich.table import Table
from rich.text import Text

__all__ = [
    "FILL_COLUMNS",
    "NUMBERS",
    "ORDER_COLUMNS",
    "balances",
    "fill_cells",
    "head",
    "latencies",
    "order_cells",
    "positions",
    "states",
    "throttling",
]

Status: TypeAlias = dict[str, Any]

ORDER_COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "narrow": ("pair", "side", "price", "left"),
    "normal": ("pair", "side", "price", "left", "age"),
    "wide": ("order", "pair", "side", "price", "left", "amount", "in force", "age"),
}
"""The columns of the orders by the width of the screen; the age is the last one."""
FILL_COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "narrow": ("pair", "side", "price", "amount"),
    "normal": ("time", "pair", "side", "price", "amount"),
    "wide": ("time", "pair", "side", "price", "amount", "as", "order"),
}
NUMBERS: Final = frozenset(("order", "price", "left", "amount", "age"))
"""The columns that are aligned right."""

_COLOURS: Final = {"buy": "green", "sell": "red", "live": "green", "waiting": "red", "closed": "red"}
_PLAIN: Final = re.compile(r"-?\d{1,40}(\.\d{1,40})?")
_LATENCIES: Final = {
    "order_to_acknowledgement": "order",
    "request_round_trip": "request",
    "receive_to_dispatch": "event",
}


def head(status: Status, problem: str | None) -> Text:
    """The first line: whose status it is, and how fresh."""
    shown = Text.assemble((f" {status['client_id']} ", "bold"), " ")
    if problem is not None:
        shown.append(f" {problem} ", "bold white on red")
        shown.append(f"  as of {_clock(status['at'])}", "dim")
        return shown
    state = status["state"]
    shown.append(f"● {state}", _COLOURS.get(state, "yellow"))
    shown.append(f"  {status['reason']}", "dim")
    shown.append(f"  {_clock(status['at'])}", "dim")
    return shown


def balances(status: Status) -> Table:
    """Available and on hold, by currency."""
    table = _table("", "available", "on hold")
    for currency, balance in status["balances"].items():
        table.add_row(currency, number(balance["available"]), Text(number(balance["on_hold"]), "dim"))
    return _or_empty(table, "no balances known")


def positions(status: Status, *, narrow: bool) -> Table:
    """What is held and in the market, against the book."""
    columns = (
        ("position", "bid", "ask", "profit") if narrow else ("position", "bid", "ask", "buying", "selling", "profit")
    )
    table = _table("", *columns)
    for row in status["positions"]:
        bid, ask = (
            (Text("stale", "dim"),) * 2
            if row["is_stale"]
            else (Text(number(row["best_bid"]), "green"), Text(number(row["best_ask"]), "red"))
        )
        profit = row["profit"]
        shown_profit = Text(_rounded(profit), "" if not profit else "red" if profit.startswith("-") else "green")
        market = () if narrow else (number(row["buying"]), number(row["selling"]))
        table.add_row(row["trade_pair"], number(row["position"]), bid, ask, *market, shown_profit)
    return _or_empty(table, "no orders, fills or holdings")


def latencies(status: Status) -> Table:
    """Percentiles of each histogram."""
    table = _table("", "p50", "p99", "max")
    for name, row in status["latencies"].items():
        table.add_row(
            _LATENCIES.get(name, name), *(_milliseconds(row[each]) for each in ("p50_ms", "p99_ms", "max_ms"))
        )
    return table


def throttling(status: Status) -> Text:
    """Whether messages are held back."""
    row = status["throttling"]
    shown = Text(f"throttled {row['throttled']:,} times" if row["throttled"] else "not throttled", "dim")
    if row["hold_s"]:
        shown.append(f", holding {row['hold_s']:g} s", "red")
    if row["pacing_depth"]:
        shown.append(f", {row['pacing_depth']} wait for the order rate", "yellow")
    if row["recent"]:
        last = row["recent"][-1]
        shown.append(f"\nlast {_clock(last['at'])}: {last['level']} above the limit", "dim")
    return shown


def states(status: Status) -> Table:
    """The latest states, newest first."""
    table = Table.grid(padding=(0, 1))
    for row in reversed(status["states"][-10:]):
        reason = f"{row['reason']}; retry in {row['delay_s']:.1f} s" if row["delay_s"] else row["reason"]
        table.add_row(
            Text(_clock(row["at"]), "dim"),
            Text(row["state"], _COLOURS.get(row["state"], "yellow")),
            Text(reason, "dim"),
        )
    return table


def order_cells(order: dict[str, Any], columns: Iterable[str], now: float) -> list[Text]:
    """The cells of one order."""
    side = _COLOURS.get(order["side"], "")
    cells = {
        "order": Text(str(order["order_id"]), "dim", justify="right"),
        "pair": Text(order["trade_pair"]),
        "side": Text(order["side"], side),
        "price": Text(number(order["price"]), justify="right"),
        "left": Text(number(order["remaining"]), justify="right"),
        "amount": Text(number(order["amount"]), "dim", justify="right"),
        "in force": Text(order["time_in_force"] or "–", "dim"),
        "age": Text(_age(now - order["created_at"]), "dim", justify="right"),
    }
    return [cells[column] for column in columns]


def fill_cells(fill: dict[str, Any], columns: Iterable[str]) -> list[Text]:
    """The cells of one fill."""
    cells = {
        "time": Text(_clock(fill["at"]), "dim"),
        "pair": Text(fill["trade_pair"]),
        "side": Text(fill["side"], _COLOURS.get(fill["side"], "")),
        "price": Text(number(fill["price"]), justify="right"),
        "amount": Text(number(fill["amount"]), justify="right"),
        "as": Text("maker" if fill["maker"] else "taker", "dim"),
        "order": Text(str(fill["order_id"]), "dim", justify="right"),
    }
    return [cells[column] for column in columns]


def number(digits: str | None) -> str:
    """Digits with thousands separators and without zeros at the end of the decimals."""
    if digits is None:
        return "–"
    if not _PLAIN.fullmatch(digits):
        return digits
    shown = f"{Decimal(digits):,f}"
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


def _rounded(digits: str | None) -> str:
    return f"{Decimal(digits):,.2f}" if digits is not None and _PLAIN.fullmatch(digits) else number(digits)


def _milliseconds(value: float | None) -> Text:
    if value is None:
        return Text("–", "dim")
    return Text(f"{value * 1000:.0f}µs" if value < 1 else f"{value:.3g}ms" if value < 1000 else f"{value / 1000:.3g}s")


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).strftime("%H:%M:%S")


def _age(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def _table(first: str, *numbers: str) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim", expand=True, pad_edge=False)
    table.add_column(first, no_wrap=True)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _or_empty(table: Table, text: str) -> Table:
    if table.row_count:
        return table
    empty = Table.grid()
    empty.add_row(Text(text, "dim"))
    return empty
