"""``backtest``: run a bot on a recording."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from ..exceptions import ConfigurationError
from ..messages import plain
from ..recording.backtest import BacktestResult, Bot, backtest
from ..recording.report import check_report, report
from .options import Json
from .output import console, note, print_json, short

__all__ = ["backtest_command"]


def backtest_command(
    recording: Annotated[Path, typer.Argument(help="A file that `cryptoproto record` has written.")],
    bot: Annotated[str, typer.Argument(help="The bot: file.py:function, an `async def main(client, feed)`.")],
    balance: Annotated[
        list[str], typer.Option("--balance", help="What the bot starts with: USD=100000. Repeat for more.")
    ],
    html: Annotated[Path | None, typer.Option("--html", help="Write a report to this file.")] = None,
    quote: Annotated[
        str | None, typer.Option(help="The currency in which equity counts.", show_default="the first --balance")
    ] = None,
    pair: Annotated[list[str] | None, typer.Option("--pair", help="A pair to keep; without any, all.")] = None,
    maker_fee: Annotated[str, typer.Option(help="Fee of a resting order, as a fraction: 0.001 is 0.1 %.")] = "0",
    taker_fee: Annotated[str, typer.Option(help="Fee of an incoming order.")] = "0",
    latency: Annotated[
        float, typer.Option(min=0, metavar="<seconds>", help="Time to the exchange, and again back.")
    ] = 0.0,
    skip_damaged: Annotated[
        bool, typer.Option("--skip-damaged", help="Leave damaged parts of the recording out.")
    ] = False,
    json: Json = False,
) -> None:
    """Run a bot on a recording, in virtual time, as if it had traded then.

    The bot is the same code that trades live. Its orders are filled with the volume that was there.

    Example: [bold]cryptoproto backtest monday.rec bot.py:main --balance USD=100000 --html report.html[/]
    """
    if html is not None:
        check_report()  # first: a backtest may take an hour
        if not html.parent.is_dir():
            raise ConfigurationError(f"--html {html}: there is no folder {html.parent}")
        if html.is_dir():
            raise ConfigurationError(f"--html {html}: this is a folder; give the name of a file in it")
    result = backtest(
        recording, _load(bot), balances=dict(map(_amount, balance)), quote=quote, pairs=pair, maker_fee=maker_fee,
        taker_fee=taker_fee, latency=latency, skip_damaged=skip_damaged,
    )  # fmt: skip
    if json:
        print_json(result.as_dict())
    else:
        _show(result)
    if html is not None:  # last: if the file cannot be written, the result is not lost
        _write_report(html, report(result, f"{bot} on {recording.name}"))
        if not json:
            note(f"The report is in {html}.")


def _write_report(html: Path, page: str) -> None:
    try:
        html.write_text(page, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"--html {html}: the report cannot be written: {error.strerror}") from None


def _amount(text: str) -> tuple[str, str]:
    currency, found, amount = text.partition("=")
    if not found or not currency or not amount:
        raise ConfigurationError(f"--balance {text}: write it like --balance USD=100000")
    return currency, amount


def _load(name: str) -> Bot:
    """The function that *name* stands for, ``file.py:function``."""
    file, found, function = name.rpartition(":")
    if not found or not file or not function:
        raise ConfigurationError(f"{name}: write the bot like bot.py:main, the file and its function")
    path = Path(file).resolve()
    spec = importlib.util.spec_from_file_location(path.stem, path) if path.is_file() else None
    if spec is None or spec.loader is None:
        raise ConfigurationError(f"{file}: there is no such Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses and pickles look there
    sys.path.insert(0, str(path.parent))  # for what it imports from its folder
    spec.loader.exec_module(module)
    main = getattr(module, function, None)
    if not inspect.iscoroutinefunction(main):
        raise ConfigurationError(f"{name}: there is no `async def {function}(client, feed)` in this file")
    bot: Bot = main
    return bot


def _show(result: BacktestResult) -> None:
    balances = ", ".join(f"{short(amount)} {currency}" for currency, amount in result.balances.items())
    rows = {
        "recording": f"{result.recording}, {result.updates:,} updates",
        "time": f"{result.start:%Y-%m-%d %H:%M:%S} to {result.end:%Y-%m-%d %H:%M:%S} UTC",
        "took": f"{result.elapsed_s:.1f} s, {result.speed:,.0f} times as fast as it was",
        "orders": f"{result.orders:,}, {len(result.fills):,} fills",
        "profit": f"{plain(round(result.profit, 8))} {result.quote}",
        "drawdown": f"{plain(round(result.max_drawdown, 8))} {result.quote} at most",
        "balances": balances,
    }
    for label, text in rows.items():
        console.print(f"[bold]{label:<10}[/] {escape(text)}", soft_wrap=True)
    if result.unvalued:
        note(f"Not in the profit, because no pair has a price for it: {', '.join(result.unvalued)}.")
