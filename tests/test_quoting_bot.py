"""The quoting bot of the examples: short, within its limits, and at home again after it was killed."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from decimal import Decimal
from pathlib import Path

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from tests.support.command_line import process_environment

EXAMPLE = Path(__file__).parents[1] / "examples" / "quoting_bot.py"
START = """
import asyncio, runpy, sys
import cryptoproto as cp

async def main():
    example, url, feed_url, key, server_key, updates = sys.argv[1:]
    client = cp.Client(
        url, client_id="bot", private_key=cp.PrivateKey.load(key), server_key=cp.PublicKey.load(server_key)
    )
    await runpy.run_path(example)["bot"](client, cp.MarketData(feed_url, pairs=["BTC_USD"]), int(updates))

asyncio.run(main())
"""
FLAT = Decimal(10)


async def start(exchange: Exchange, folder: Path, updates: int) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-u", "-W", "error", "-c", START, str(EXAMPLE), exchange.url, exchange.market_data_url,
        str(folder / "bot.pem"), str(folder / "exchange.pub"), str(updates),
        env=process_environment(), stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def lines(process: asyncio.subprocess.Process, count: int) -> list[str]:
    assert process.stdout is not None
    async with asyncio.timeout(30):
        return [(await process.stdout.readline()).decode() for _ in range(count)]


def position(exchange: Exchange) -> Decimal:
    balance = exchange.balances("bot").balances["BTC"]
    return balance.available + balance.on_hold - FLAT


def open_amounts(exchange: Exchange) -> tuple[Decimal, Decimal]:
    """How much the bot bids and asks for."""
    book = exchange.open_orders("bot").order_books.get("BTC_USD")
    bids, asks = ([], []) if book is None else (book.buy, book.sell)
    return sum((row.amount for row in bids), Decimal(0)), sum((row.amount for row in asks), Decimal(0))


def test_it_is_short() -> None:
    assert len(EXAMPLE.read_text().splitlines()) < 60


async def test_it_survives_a_kill(alice_key: cp.PrivateKey, exchange_key: cp.PrivateKey, tmp_path: Path) -> None:
    alice_key.save(tmp_path / "bot.pem")
    (tmp_path / "exchange.pub").write_bytes(exchange_key.public_key.to_pem())
    async with Exchange(private_key=exchange_key, book_interval=0.01) as exchange:
        for name in ("bot", "other"):
            exchange.register(name, alice_key.public_key, {"USD": "1000000", "BTC": FLAT})
        async with cp.Client(
            exchange.url, client_id="other", private_key=alice_key, server_key=exchange.public_key
        ) as other:
            await other.place("BTC_USD", "buy", amount="1", price="14900")
            await other.place("BTC_USD", "sell", amount="1", price="15100")
            process = await start(exchange, tmp_path, 1_000_000)
            assert (await lines(process, 2))[0] == "0 quotes are open\n"
            process.send_signal(signal.SIGKILL)
            await process.wait()
            assert open_amounts(exchange) == (Decimal("0.4"), Decimal("0.4"))
            # More than one quote's worth is sold to the bot while it is away.
            await other.place("BTC_USD", "sell", amount="0.3", price="14980", time_in_force="ioc")
            assert position(exchange) == Decimal("0.3")

            process = await start(exchange, tmp_path, 1)
            first, second = await lines(process, 2)
            assert first == "3 quotes are open\n"
            assert re.match(
                r"\d placed, \d cancelled, \d kept; position \+0.3000 BTC, profit \+\d+\.\d\d USD\n", second
            )
            assert await process.wait() == 0
        assert open_amounts(exchange) == (Decimal(0), Decimal(0))
        assert position(exchange) == Decimal("0.3")
