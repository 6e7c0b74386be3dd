"""A bot that quotes both sides within limits, carries on after a restart, and prints its profit and loss.

python examples/quoting_bot.py [PROFILE]; without a profile, on its own exchange, where somebody else trades
"""

import asyncio
import random
import sys
import tempfile
from functools import partial

import cryptoproto as cp
from cryptoproto.exchange import Exchange


async def bot(client: cp.Client, feed: cp.MarketData, updates: int = -1) -> None:
    async with client, feed:
        flat_at = client.history.opening_balance("BTC")  # so the position is the same after a restart
        async with cp.Quotes(client, "BTC_USD", max_long="0.5", max_short="0.5", flat_at=flat_at) as quotes:
            print(f"{len(quotes.orders)} quotes are open")
            async for _ in feed:
                if (middle := quotes.middle(feed.book("BTC_USD"))) is None:
                    continue
                bids, asks = [(middle - 5, "0.2"), (middle - 10, "0.2")], [(middle + 5, "0.2"), (middle + 10, "0.2")]
                print(await quotes.update(bids, asks), end="; ")
                print(*(await asyncio.to_thread(client.history.pnl, prices={"BTC_USD": middle})).values())
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


async def main(profile: str = "") -> None:
    if profile:
        await bot(cp.Client.from_profile(profile, on_event=lambda _: None), cp.MarketData.from_profile(profile))
        return
    key = cp.PrivateKey.generate()
    with tempfile.TemporaryDirectory() as folder:
        async with Exchange() as exchange, asyncio.TaskGroup() as tasks:
            for name in ("bot", "others"):
                exchange.register(name, key.public_key, {"USD": 1_000_000, "BTC": 10})
            client = partial(cp.Client, exchange.url, private_key=key, server_key=exchange.public_key)
            trading = tasks.create_task(others(client(client_id="others")))
            for _ in range(2):
                store = cp.SqliteStore(f"{folder}/bot.db", history=True)
                await bot(client(client_id="bot", store=store), cp.MarketData(exchange.market_data_url), updates=10)
            trading.cancel()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
