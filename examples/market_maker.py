"""A market maker: one bid and one ask around the middle of the book, replaced whenever the middle has moved.

python examples/market_maker.py

It starts its own exchange, on which somebody else trades.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal

import cryptoproto as cp
from cryptoproto.exchange import Exchange

PAIR = "BTC_USD"
HALF_SPREAD = Decimal(5)
BITCOIN = cp.Instrument(PAIR, tick_size="0.01")


async def make_market(client: cp.Client, feed: cp.MarketData, *, requotes: int) -> None:
    """Quote around the middle of the other clients' prices; stop after so many *requotes*."""
    quoted_at: Decimal | None = None
    book = await feed.wait_book(PAIR, timeout=10)
    async with cp.Quotes(client, PAIR) as quotes:  # cancels them at the end
        async for _ in feed:
            middle = quotes.middle(book)
            if middle is None or middle == quoted_at or middle <= HALF_SPREAD:
                continue
            if requotes == 0:
                return
            bid = BITCOIN.round_price(middle - HALF_SPREAD, "buy")  # down to a tick
            ask = BITCOIN.round_price(middle + HALF_SPREAD, "sell")  # up
            await quotes.update(bids=[(bid, "0.1")], asks=[(ask, "0.1")])
            print(f"quoting {bid} / {ask}")
            quoted_at = middle
            requotes -= 1


async def crowd(client: cp.Client) -> None:
    """Somebody else, whose prices move, and who sometimes takes what is offered."""
    for step in range(1000):
        middle = Decimal(15_000 + 10 * (step % 7))
        orders = [
            await client.place(PAIR, "buy", amount="1", price=middle - 50),
            await client.place(PAIR, "sell", amount="1", price=middle + 50),
        ]
        await asyncio.sleep(0.1)
        await client.place(PAIR, "buy", amount="0.05", price=middle + 20, time_in_force="ioc")
        for order in orders:
            await client.cancel(order)


async def main(requotes: int = 5) -> None:
    key = cp.PrivateKey.generate()
    async with Exchange() as exchange:
        for name in ("maker", "crowd"):
            exchange.register(name, key.public_key, balances={"USD": "1000000", "BTC": "100"})
        async with (
            cp.Client(exchange.url, client_id="maker", private_key=key, server_key=exchange.public_key) as maker,
            cp.Client(exchange.url, client_id="crowd", private_key=key, server_key=exchange.public_key) as other,
            cp.MarketData(exchange.market_data_url, pairs=[PAIR]) as feed,
        ):
            trading = asyncio.create_task(crowd(other))
            await make_market(maker, feed, requotes=requotes)
            trading.cancel()
            sold = sum((trade.amount for order in maker.orders for trade in order.trades), Decimal(0))
            print(f"{sold} BTC were traded against our quotes; still open: {await maker.open_orders()}")


if __name__ == "__main__":
    asyncio.run(main())
