"""Bots to try on recordings."""

from __future__ import annotations

import cryptoproto as cp

__all__ = ["PAIR", "idle", "quoting"]

PAIR = "BTC_USD"


async def idle(client: cp.Client, feed: cp.Feed) -> None:
    """Read, and do nothing."""
    async for _ in feed:
        pass


async def quoting(client: cp.Client, feed: cp.Feed) -> None:
    """Join the best bid and the best ask, and follow them when they move."""
    quotes: dict[str, cp.Order] = {}
    async for update in feed:
        book = feed.book(PAIR)
        if not isinstance(update, cp.OrderBookAgg) or book.best_bid is None or book.best_ask is None:
            continue
        for side, (price, _) in (("buy", book.best_bid), ("sell", book.best_ask)):
            quote = quotes.get(side)
            if quote is not None and not quote.is_closed:
                if quote.price == price:
                    continue
                await client.cancel(quote)
            quotes[side] = await client.place(PAIR, side, amount="0.1", price=price)
