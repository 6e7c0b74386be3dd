"""A market maker: one bid and one ask around the middle of the book, replaced whenever the middle has moved.

python examples/market_maker.py

It starts an exchange on which another client trades.
"""

from __future__ import annotations

import asyncio
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import cryptoproto as cp
from cryptoproto.exchange import Exchange

PAIR = "BTC_USD"
HALF_SPREAD = Decimal(5)
TICK = Decimal("0.01")  # prices are multiples of this; an exchange accepts eight decimals at most


async def make_market(client: cp.Client, feed: cp.MarketData, *, requotes: int) -> None:
    """Quote around the middle of the other clients' prices; stop after so many *requotes*."""
    quotes: list[cp.Order] = []
    quoted_at: Decimal | None = None
    book = await feed.wait_book(PAIR, timeout=10)
    async for _ in feed:
        middle = middle_without(book, quotes)
        if middle is None or middle == quoted_at:
            continue
        await asyncio.gather(*(client.cancel(order) for order in quotes))  # False if it was filled
        if requotes == 0:
            return
        prices = quotes_around(middle)
        if prices is None:
            quotes = []
            continue
        bid, ask = prices
        quotes = [
            *await asyncio.gather(
                client.place(PAIR, cp.Side.BUY, amount="0.1", price=bid),
                client.place(PAIR, cp.Side.SELL, amount="0.1", price=ask),
            )
        ]
        quoted_at = middle
        requotes -= 1
        print(f"quoting {bid} / {ask}")


def quotes_around(middle: Decimal) -> tuple[Decimal, Decimal] | None:
    """Bid and ask in whole ticks: the bid rounded down, the ask up. ``None`` if the market is too cheap for a bid."""
    bid = ((middle - HALF_SPREAD) / TICK).to_integral_value(ROUND_FLOOR) * TICK
    ask = ((middle + HALF_SPREAD) / TICK).to_integral_value(ROUND_CEILING) * TICK
    return (bid, ask) if bid > 0 else None


def middle_without(book: cp.OrderBook, quotes: list[cp.Order]) -> Decimal | None:
    """The middle between the best prices of others; ``None`` if a side is empty, as in a stale book."""
    own = {order.price for order in quotes}
    bids = [price for price, _ in book.bids if price not in own]
    asks = [price for price, _ in book.asks if price not in own]
    return (bids[0] + asks[0]) / 2 if bids and asks else None


async def crowd(client: cp.Client) -> None:
    """Another client, whose prices move, and which sometimes takes what is offered."""
    for step in range(1000):
        middle = Decimal(15_000 + 10 * (step % 7))
        orders = [
            await client.place(PAIR, cp.Side.BUY, amount="1", price=middle - 50),
            await client.place(PAIR, cp.Side.SELL, amount="1", price=middle + 50),
        ]
        await asyncio.sleep(0.1)
        await client.place(PAIR, cp.Side.BUY, amount="0.05", price=middle + 20, time_in_force=cp.TimeInForce.IOC)
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
