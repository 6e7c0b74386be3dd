"""``demo``: two market makers and a taker trade on a local exchange that restarts; at the end everything is checked."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from typing import Annotated, Any, Literal

import typer
from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ..client import Client
from ..exceptions import ConfigurationError
from ..exchange import Exchange
from ..market_data import MarketData
from ..transport import TransportKind
from ..wire import Protocol
from .demo_bots import PAIR, Bot, MarketMaker, Taker
from .exit_codes import ExitCode
from .options import Json, TransportName, positive
from .output import console, print_json, table
from .running import run

__all__ = ["demo"]

_OPENING = {"USD": "10000000", "BTC": "1000"}
_FEES = (Decimal("0.0005"), Decimal("0.001"))
_PATIENCE_S = 10.0


def demo(
    seconds: Annotated[
        float, typer.Option(min=1, max=86_400, callback=positive, metavar="<seconds>", help="How long to trade.")
    ] = 10.0,
    seed: Annotated[int, typer.Option(help="Seed of the random decisions of the bots.")] = 1,
    protocol: Annotated[
        Literal["signed", "v5", "both"],
        typer.Option(help="Which form of the protocol the bots use; with both, one bot uses signed and two use v5."),
    ] = "both",
    transport: TransportName = "auto",
    status: Annotated[
        bool, typer.Option("--status/--no-status", help="Serve a status page of the first bot, and print its address.")
    ] = True,
    json: Json = False,
) -> None:
    """Trade for ten seconds on a local exchange, and check that nothing was lost.

    Starts an exchange on loopback. Two market makers and a taker trade on it over real sockets. Halfway through, the
    exchange restarts. At the end, the events that each bot received are compared with the history of the exchange.

    Example: [bold]cryptoproto demo --seconds 5[/]
    """
    run(_Demo(seconds, seed, protocol, transport, quiet=json, status=status and not json).main())


class _Demo:
    def __init__(
        self, seconds: float, seed: int, protocol: str, transport: TransportKind, *, quiet: bool, status: bool = False
    ) -> None:
        self._seconds = seconds
        self._transport: TransportKind = transport
        self._quiet = quiet
        signed, v5 = Protocol.SIGNED, Protocol.V5
        self._protocols = {"signed": (signed,) * 3, "v5": (v5,) * 3, "both": (signed, v5, v5)}[protocol]
        self._bots: list[Bot] = [
            MarketMaker("maker-1", seed, Decimal(4), self._serve_status if status else contextlib.nullcontext),
            MarketMaker("maker-2", seed + 1, Decimal(6)),
            Taker("taker", seed + 2),
        ]
        self._exchange = Exchange(maker_fee=_FEES[0], taker_fee=_FEES[1], transport=transport)
        self._feed: MarketData
        self._state = "trading"
        self._started = 0.0
        self._settled = False

    async def main(self) -> int:
        exchange = self._exchange
        async with exchange:
            for bot in self._bots:
                exchange.register(bot.name, bot.key.public_key, _OPENING)
            before = exchange.totals()
            self._feed = MarketData(exchange.market_data_url, transport=self._transport, pairs=[PAIR])
            self._feed.start()
            tasks = [
                asyncio.ensure_future(bot.run(exchange, self._transport, protocol))
                for bot, protocol in zip(self._bots, self._protocols, strict=True)
            ]
            self._started = time.monotonic()
            try:
                await self._show_while(self._play(tasks))
                checks = [*self._check_bots(), *self._check_balances(before)]
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)
                await self._feed.close()
        return self._report(checks)

    @contextlib.asynccontextmanager
    async def _serve_status(self, client: Client) -> AsyncIterator[None]:
        """Serve the status page of *client*, if what it needs is installed."""
        try:
            from ..status import serve_status
        except ConfigurationError as missing:
            console.print(f"no status page: {escape(str(missing))}", soft_wrap=True)
            yield
            return
        async with serve_status(client, feed=self._feed) as status:
            console.print(f"status of {client.client_id}: {status.url}", soft_wrap=True)
            yield

    async def _play(self, tasks: Sequence[asyncio.Future[None]]) -> None:
        await self._while_healthy(tasks, asyncio.sleep(self._seconds / 2))
        self._state = "restarting"
        await self._exchange.restart()
        self._state = "trading, after the restart"
        await self._while_healthy(tasks, asyncio.sleep(self._seconds / 2))
        self._state = "settling"
        await self._while_healthy(tasks, self._settle())

    async def _while_healthy(self, tasks: Sequence[asyncio.Future[None]], step: Any) -> None:
        """Wait for *step*. If a bot fails meanwhile, its error is raised."""
        waiting = asyncio.ensure_future(step)
        await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                waiting.cancel()
                task.result()
        await waiting

    async def _settle(self) -> None:
        """Wait until no bot sends any more and each has received its last transaction; not longer than a while."""
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await asyncio.gather(*(bot.stop_trading() for bot in self._bots))
                for bot in self._bots:
                    await bot.caught_up(self._history(bot)[-1].transaction_id)
        except TimeoutError:
            return
        self._settled = True

    def _history(self, bot: Bot) -> list[Any]:
        record = self._exchange.venue.client(bot.name)
        return record.history if record is not None else []

    # The check

    def _check_bots(self) -> list[tuple[str, bool, str]]:
        checks = [("the bots received everything in time", self._settled, f"within {_PATIENCE_S:g} s")]
        for bot in self._bots:
            history = self._history(bot)
            digest = hashlib.sha256()
            for transaction in history:
                digest.update(b"%d %b\n" % (transaction.transaction_id, transaction.payload))
            in_order = all(earlier < later for earlier, later in zip(bot.ids, bot.ids[1:], strict=False))
            same = bot.ids == [entry.transaction_id for entry in history]
            checks.append(
                (
                    f"{bot.name}: each transaction once, in order",
                    bool(bot.ids) and in_order and same and bot.digest.digest() == digest.digest(),
                    f"{len(bot.ids)} of {len(history)}",
                )
            )
            checks.append((f"{bot.name}: resumed after the restart", bot.connections == 2, f"{bot.connections} links"))
        trades = sum(bot.trades for bot in self._bots)
        checks.append(("the bots traded", trades > 0, f"{trades} fills"))
        return checks

    def _check_balances(self, before: dict[str, Decimal]) -> list[tuple[str, bool, str]]:
        checks = []
        for bot in self._bots:
            truth = self._exchange.balances(bot.name).balances
            same = all(truth[currency].available == amount for currency, amount in bot.available.items())
            checks.append(
                (
                    f"{bot.name}: balances as in the events",
                    bool(bot.available) and same,
                    f"{len(bot.available)} currencies",
                )
            )
        after = self._exchange.totals()
        fees = self._exchange.venue.engine.collected_fees
        for currency in sorted(before):
            held = sum(
                (
                    balance.available + balance.on_hold
                    for bot in self._bots
                    for name, balance in self._exchange.balances(bot.name).balances.items()
                    if name == currency
                ),
                fees.get(currency, Decimal(0)),
            )
            same = held == before[currency] == after[currency]
            checks.append((f"{currency}: conserved to the last unit", same, f"{held:f} in all"))
        return checks

    def _report(self, checks: list[tuple[str, bool, str]]) -> int:
        passed = all(good for _, good, _ in checks)
        if self._quiet:
            print_json(
                {
                    "passed": passed,
                    "checks": [{"check": name, "passed": good, "detail": detail} for name, good, detail in checks],
                    "bots": [
                        {
                            "name": bot.name,
                            "orders": bot.sent,
                            "fills": bot.trades,
                            "transactions": len(bot.ids),
                            "acknowledged_p50_ms": _milliseconds(bot.latencies),
                            "round_trip_p50_ms": _milliseconds(bot.round_trips),
                        }
                        for bot in self._bots
                    ],
                }
            )
            return ExitCode.SUCCESS if passed else ExitCode.FAILED
        console.print()
        shown = table("Check", "ok", "what", "result")
        for name, good, detail in checks:
            shown.add_row("[green]✓[/]" if good else "[red]✗[/]", name, detail)
        console.print(shown)
        console.print("[bold green]all checks passed[/]" if passed else "[bold red]a check failed[/]")
        return ExitCode.SUCCESS if passed else ExitCode.FAILED

    # The screen

    async def _show_while(self, step: Any) -> None:
        if self._quiet:
            await step
            return
        working = asyncio.ensure_future(step)
        try:
            with Live(self._screen(), console=console, auto_refresh=False) as live:
                while not working.done():
                    await asyncio.wait([working], timeout=0.1)
                    live.update(self._screen(), refresh=True)
        finally:
            working.cancel()
        await working

    def _screen(self) -> RenderableType:
        passed = min(time.monotonic() - self._started, self._seconds)
        head = Text.assemble(
            (f" {self._state} ", "reverse"),
            f"  {passed:4.1f} of {self._seconds:g} s   exchange {self._exchange.url}",
        )
        return Group(head, Columns([self._book(), self._trades()]), self._bots_table())

    def _book(self) -> Table:
        bids, asks = self._feed.book(PAIR).depth(5)
        shown = table(PAIR, "bid volume", "price", "ask volume", right=("bid volume", "price", "ask volume"))
        for price, volume in reversed(asks):
            shown.add_row("", f"[red]{price:.2f}[/]", f"{volume:.2f}")
        for price, volume in bids:
            shown.add_row(f"{volume:.2f}", f"[green]{price:.2f}[/]", "")
        return shown

    def _trades(self) -> Table:
        shown = table("Last trades of the taker", "time", "side", "amount", "price", right=("amount", "price"))
        for trade in list(self._bots[-1].last_trades)[::-1]:
            side = "[green]buy[/]" if trade.bought else "[red]sell[/]"
            shown.add_row(f"{trade.at:%H:%M:%S.%f}"[:-3], side, f"{trade.amount:.2f}", f"{trade.price:.2f}")
        return shown

    def _bots_table(self) -> Table:
        numbers = ("links", "orders", "fills", "events", "ack p50", "p99", "rpc p50", "p99 ")
        shown = table("Bots; latencies in milliseconds", "client", "protocol", *numbers, right=numbers)
        for bot, protocol in zip(self._bots, self._protocols, strict=True):
            shown.add_row(
                bot.name,
                protocol.value,
                str(bot.connections),
                str(bot.sent),
                str(bot.trades),
                str(len(bot.ids)),
                _shown(bot.latencies, 50),
                _shown(bot.latencies, 99),
                _shown(bot.round_trips, 50),
                _shown(bot.round_trips, 99),
            )
        return shown


def _percentile(values: Sequence[float], percent: int) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def _shown(values: Sequence[float], percent: int) -> str:
    """Milliseconds with three digits, so that the table fits a terminal of 80 columns."""
    if not values:
        return "–"
    milliseconds = _percentile(values, percent) * 1000
    return f"{milliseconds:.2f}" if milliseconds < 10 else f"{milliseconds:.1f}"


def _milliseconds(values: Sequence[float]) -> float | None:
    return round(statistics.median(values) * 1000, 3) if values else None
