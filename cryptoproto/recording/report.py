"""A backtest as one HTML page that needs nothing else: equity, drawdown, and the fills on the price."""

from __future__ import annotations

import html
import io
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from ..extras import needs
from ..messages import OwnTrade, plain
from .backtest import BacktestResult

__all__ = ["check_report", "report"]

_MOST_FILLS: Final = 1000  # in the table; the charts show all
_MOST_PAIRS: Final = 8
_STYLE: Final = """
:root { color-scheme: light dark; --line: #8885; --soft: #888; --paper: #fff; --ink: #1b1f24; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #14171b; --ink: #e6e8eb; }
  svg { filter: invert(.88) hue-rotate(180deg); }
}
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .75rem; }
dl div { border: 1px solid var(--line); border-radius: .4rem; padding: .5rem .75rem; }
dt { color: var(--soft); font-size: .85rem; }
dd { margin: 0; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
svg { width: 100%; height: auto; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .2rem .6rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } .buy { color: #16833a; } .sell { color: #c0392b; }
"""


def report(result: BacktestResult, title: str = "Backtest") -> str:
    """The page as text; write it to a file and open that in a browser.

    Raises:
        ConfigurationError: matplotlib is not installed.
    """
    pairs = list(dict.fromkeys(fill.trade_pair for fill in result.fills))[:_MOST_PAIRS]
    charts = [_equity(result), *(_price(result, pair) for pair in pairs)]
    headings = [f"Equity and drawdown, {result.quote}", *(f"Fills on {pair}" for pair in pairs)]
    sections = "".join(
        f"<h2>{html.escape(heading)}</h2>\n{chart}\n" for heading, chart in zip(headings, charts, strict=True)
    )
    name = html.escape(title)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{name}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{name}</h1>\n"
        f"{_summary(result)}\n{sections}{_fills(result.fills)}</body>\n</html>\n"
    )


def check_report() -> None:
    """Check that reports can be made.

    Raises:
        ConfigurationError: matplotlib is not installed.
    """
    _figure_class()


def _summary(result: BacktestResult) -> str:
    rows = {
        "recording": result.recording,
        "from": f"{result.start:%Y-%m-%d %H:%M:%S} UTC",
        "to": f"{result.end:%Y-%m-%d %H:%M:%S} UTC",
        "updates of the market": f"{result.updates:,}",
        "orders": f"{result.orders:,}",
        "fills": f"{len(result.fills):,}",
        "profit": f"{_number(result.profit)} {result.quote}",
        "largest drawdown": f"{_number(result.max_drawdown)} {result.quote}",
        "fees": _amounts(result.fees) or "none",
        "balances at the end": _amounts(result.balances),
    }
    if result.unvalued:
        rows["not valued"] = ", ".join(result.unvalued)
    items = "".join(f"<div><dt>{name}</dt><dd>{html.escape(text)}</dd></div>\n" for name, text in rows.items())
    return f"<dl>\n{items}</dl>"


def _fills(fills: Sequence[OwnTrade]) -> str:
    if not fills:
        return "<p>No order was filled.</p>\n"
    rows = "".join(
        f"<tr><td>{fill.at:%Y-%m-%d %H:%M:%S.%f}</td><td>{html.escape(fill.trade_pair)}</td>"
        f'<td class="{_side(fill)}">{_side(fill)}</td><td>{_number(fill.amount)}</td><td>{_number(fill.price)}</td>'
        f"<td>{'maker' if fill.maker else 'taker'}</td><td>{fill.order_id}</td></tr>\n"
        for fill in fills[:_MOST_FILLS]
    )
    more = f"<p>The first {_MOST_FILLS:,} of {len(fills):,}.</p>\n" if len(fills) > _MOST_FILLS else ""
    head = "".join(f"<th>{name}</th>" for name in ("time (UTC)", "pair", "side", "amount", "price", "as", "order"))
    return f'<h2>Fills</h2>\n{more}<div class="scroll"><table>\n<tr>{head}</tr>\n{rows}</table></div>\n'


def _equity(result: BacktestResult) -> str:
    points = [point for point in result.points if point.equity is not None]
    figure = _figure(height=4.6)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    times = [point.at for point in points]
    above.plot(times, [float(point.equity or 0) for point in points], color="#1f6feb", linewidth=1.2)
    below.fill_between(
        times, [-float(point.drawdown) for point in points], 0.0, color="#c0392b", alpha=0.5, linewidth=0
    )
    above.set_ylabel("equity")
    below.set_ylabel("drawdown")
    return _svg(figure)


def _price(result: BacktestResult, pair: str) -> str:
    figure = _figure(height=3.8)
    axes = figure.subplots()
    points = [(point.at, float(point.prices[pair])) for point in result.points if pair in point.prices]
    axes.plot(*_columns(points), color="#888888", linewidth=0.9, label="middle of the book")
    for bought, marker, color in ((True, "^", "#16833a"), (False, "v", "#c0392b")):
        fills = [
            (fill.at, float(fill.price)) for fill in result.fills if fill.trade_pair == pair and fill.bought is bought
        ]
        label = "bought" if bought else "sold"
        axes.scatter(*_columns(fills), marker=marker, color=color, s=18, linewidth=0, label=label, zorder=3)
    axes.set_ylabel("price")
    axes.legend(frameon=False, loc="upper left", ncols=3)
    return _svg(figure)


def _columns(points: Iterable[tuple[datetime, float]]) -> tuple[list[datetime], list[float]]:
    kept = list(points)
    return [at for at, _ in kept], [value for _, value in kept]


def _figure(height: float) -> Any:
    return _figure_class()(figsize=(10.0, height), layout="constrained")


def _figure_class() -> Any:
    with needs("the report", "backtest"):
        from matplotlib.figure import Figure
    return Figure


def _svg(figure: Any) -> str:
    """The figure as an element of a page; the same figure gives the same text."""
    import matplotlib as mpl

    for axes in figure.axes:
        axes.grid(visible=True, alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.ticklabel_format(axis="y", useOffset=False, style="plain")
    written = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "cryptoproto", "svg.fonttype": "none"}):
        figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    text = written.getvalue()
    return text[text.index("<svg") :]


def _side(fill: OwnTrade) -> str:
    return "buy" if fill.bought else "sell"


def _number(value: Decimal) -> str:
    text = plain(round(value, 8))
    return text.rstrip("0").rstrip(".") if "." in text else text


def _amounts(amounts: dict[str, Decimal]) -> str:
    return ", ".join(f"{_number(amount)} {currency}" for currency, amount in amounts.items())
