"""The quoting bot of the examples: short, within its limits, at home again after a kill, and right about its result."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from tests.support.command_line import process_environment
from tests.support.config import write_config
from tests.support.journals import recorded

pytestmark = pytest.mark.unmeasured

EXAMPLE = Path(__file__).parents[1] / "examples" / "quoting_bot.py"
MONEY = {"USD": Decimal(1_000_000), "BTC": Decimal(10)}
PROFILE = """
    [profiles.paper]
    url = "{exchange.url}"
    market_data_url = "{exchange.market_data_url}"
    client_id = "bot"
    key = "bot.pem"
    server_key = "exchange.pub"
    store = "bot.db"
    history = true
    """
RESULT = re.compile(
    r".*BTC_USD: position (?P<position>\S+) at (?P<price>\S+), realised (?P<realised>\S+), "
    r"unrealised (?P<unrealised>\S+), total (?P<total>\S+) USD\n"
)


async def start(folder: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-u", "-W", "error", str(EXAMPLE), "paper",
        env=process_environment() | {"CRYPTOPROTO_CONFIG": str(folder / "config.toml")},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(30):
        return (await process.stdout.readline()).decode()


def changes(exchange: Exchange) -> dict[str, Decimal]:
    """What the bot has gained of each currency, as its account says."""
    balances = exchange.balances("bot").balances
    return {name: balances[name].available + balances[name].on_hold - MONEY[name] for name in MONEY}


def open_amounts(exchange: Exchange) -> tuple[list[Decimal], list[Decimal]]:
    """How much each bid and each ask of the bot is for."""
    book = exchange.open_orders("bot").order_books.get("BTC_USD")
    return ([], []) if book is None else ([row.amount for row in book.buy], [row.amount for row in book.sell])


async def result_at(process: asyncio.subprocess.Process, other: cp.Client, position: Decimal) -> dict[str, Fraction]:
    """The result that the bot prints once it says that it has this position; *other* keeps the book moving."""
    while True:
        await other.cancel(await other.place("BTC_USD", "buy", amount="1", price="14000"))
        found = RESULT.fullmatch(await line(process))
        if found and Decimal(found["position"]) == position:
            return {name: Fraction(value) for name, value in found.groupdict().items()}


def result_of_journal(path: Path) -> tuple[int, Fraction, Fraction, Fraction]:
    """The number of the bot's trades, its position, what it cost and what was realised: at the mean, by fractions."""
    count, position, cost, realised = 0, Fraction(0), Fraction(0), Fraction(0)
    for _, _, payload in recorded(path, "bot"):
        event = json.loads(payload)
        if event["@type"] != "OwnTrade":
            continue
        count += 1
        amount, price = Fraction(str(event["amount"])), Fraction(str(event["price"]))
        if event["maker"] != event["maker_buy"]:
            amount = -amount
        if position * amount < 0:
            closed = min(abs(amount), abs(position)) * (1 if position > 0 else -1)
            mean = cost / position
            realised += closed * (price - mean)
            position, cost, amount = position - closed, cost - closed * mean, amount + closed
        position, cost = position + amount, cost + amount * price
    return count, position, cost, realised


def test_it_is_short() -> None:
    assert len(EXAMPLE.read_text().splitlines()) < 60


async def test_it_survives_a_kill_and_knows_its_result(
    alice_key: cp.PrivateKey, exchange_key: cp.PrivateKey, tmp_path: Path
) -> None:
    alice_key.save(tmp_path / "bot.pem")
    (tmp_path / "exchange.pub").write_bytes(exchange_key.public_key.to_pem())
    journal = tmp_path / "exchange.db"
    async with Exchange(path=journal, private_key=exchange_key, book_interval=0.01) as exchange:
        for name in ("bot", "other"):
            exchange.register(name, alice_key.public_key, MONEY)
        write_config(tmp_path / "config.toml", PROFILE.format(exchange=exchange))
        async with cp.Client(
            exchange.url, client_id="other", private_key=alice_key, server_key=exchange.public_key
        ) as other:

            async def take(side: str, amount: str, price: str) -> None:
                await other.place("BTC_USD", side, amount=amount, price=price, time_in_force="ioc")

            await other.place("BTC_USD", "buy", amount="1", price="14900")
            await other.place("BTC_USD", "sell", amount="1", price="15100")
            process = await start(tmp_path)
            assert await line(process) == "0 quotes are open\n"
            assert await line(process) == "4 placed, 0 cancelled, 0 kept; \n"
            await take("buy", "0.1", "15005")
            await result_at(process, other, Decimal("-0.1"))
            process.kill()
            await process.wait()
            # More than one quote's worth is sold to the bot while it is away.
            await take("sell", "0.3", "14980")
            assert changes(exchange)["BTC"] == Decimal("0.2")
            bids, asks = open_amounts(exchange)
            assert (bids, sum(asks)) in [([Decimal("0.1")], Decimal(left)) for left in ("0.3", "0.4")]

            process = await start(tmp_path)
            assert await line(process) == f"{len(bids) + len(asks)} quotes are open\n"
            await result_at(process, other, Decimal("0.2"))
            assert sum(open_amounts(exchange)[0]) <= Decimal("0.3")  # with 0.2 held: not more than 0.5
            await take("buy", "0.15", "15020")
            printed = await result_at(process, other, Decimal("0.05"))
            process.send_signal(signal.SIGINT)
            await process.wait()
        assert open_amounts(exchange) == ([], [])

        gained = {name: Fraction(change) for name, change in changes(exchange).items()}
        count, position, cost, realised = result_of_journal(journal)
        assert count >= 3
        assert printed["position"] == position == gained["BTC"]
        assert printed["price"] == 15000
        for name, expected in (
            ("realised", realised),
            ("unrealised", position * 15000 - cost),
            ("total", gained["USD"] + gained["BTC"] * 15000),
        ):
            assert abs(printed[name] - expected) < Fraction(1, 10**20), name
        assert printed["total"] == printed["realised"] + printed["unrealised"]
