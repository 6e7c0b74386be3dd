"""A bot that quotes both sides within limits, carries on after a restart, and prints its profit and loss.

python examples/quoting_bot.py
"""

import asyncio
import random
from decimal import Decimal
from functools import partial

import cryptoproto as cp
from cryptoproto.exchange import Exchange

BITCOIN = cp.Instrument("BTC_USD", tick_size="0.01", lot_size="0.0001", min_amount="0.001")
OPENING = {"USD": Decimal(1_000_000), "BTC": Decimal(10)}


async def bot(client: cp.Client, feed: cp.MarketData, updates: int) -> None:
    quotes = cp.Quotes(client, "BTC_USD", instrument=BITCOIN, max_long="0.5", max_short="0.5", flat_at=OPENING["BTC"])
    async with client, feed, quotes:
        print(f"{len(quotes.orders)} quotes are open")
        async for _ in feed:
            middle = quotes.middle(feed.book("BTC_USD"))
            if middle is None:
                continue
            bids, asks = [(middle - 5, "0.2"), (middle - 10, "0.2")], [(middle + 5, "0.2"), (middle + 10, "0.2")]
            update = await quotes.update(bids, asks)
            funds = await client.balances()
            usd, btc = (funds[name].available + funds[name].on_hold - OPENING[name] for name in ("USD", "BTC"))
            print(f"{update}; position {btc:+.4f} BTC, profit {usd + btc * middle:+.2f} USD")
            if (updates := updates - 1) == 0:
                return


async def others(client: cp.Client) -> None:
    async with client, cp.Quotes(client, "BTC_USD", tag=1) as quotes:
        while True:
            middle = 15000 + random.randint(-20, 20)
            await quotes.update(bids=[(middle - 30, "1")], asks=[(middle + 30, "1")])
            side, price = random.choice([("buy", middle + 15), ("sell", middle - 15)])
            await client.place("BTC_USD", side, amount="0.05", price=price, time_in_force="ioc")
            await asyncio.sleep(0.05)


async def main() -> None:
    key = cp.PrivateKey.generate()
    async with Exchange() as exchange:
        for name in ("bot", "others"):
            exchange.register(name, key.public_key, OPENING)
        client = partial(cp.Client, exchange.url, private_key=key, server_key=exchange.public_key)
        trading = asyncio.create_task(others(client(client_id="others")))
        for _ in range(2):
            await bot(client(client_id="bot"), cp.MarketData(exchange.market_data_url, pairs=["BTC_USD"]), updates=10)
        trading.cancel()
        await asyncio.wait([trading])


if __name__ == "__main__":
    asyncio.run(main())
