"""Two clients that trade with each other for as long as they are left alone."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from typing import Final

import cryptoproto as cp

__all__ = ["follow", "trade"]

PAIR: Final = "BTC_USD"
_AMOUNT: Final = "0.001"


async def trade(maker: cp.Client, taker: cp.Client, counts: Counter[str], pause_s: float) -> None:
    """Each sells to the other in turn, so that balances stay; now and then an order is replaced or cancelled."""
    for number in itertools.count():
        seller, buyer = (maker, taker) if number % 2 else (taker, maker)
        await _round(seller, buyer, number, counts)
        await asyncio.sleep(pause_s)


async def _round(seller: cp.Client, buyer: cp.Client, number: int, counts: Counter[str]) -> None:
    try:
        offer = await seller.place(PAIR, "sell", amount=_AMOUNT, price=101)
        counts["orders"] += 1
        if number % 7 == 0:
            offer = await seller.replace(offer, price=102)
            counts["orders"] += 1
        if number % 5 == 0:
            await seller.cancel(offer)
            return
        await buyer.place(PAIR, "buy", amount=_AMOUNT, price=102, time_in_force="ioc")
        counts["orders"] += 1
    except cp.OutcomeUnknown:
        counts["outcomes that were unknown at first"] += 1
    except cp.CryptoprotoError as error:
        counts[f"refused: {type(error).__name__}"] += 1
    if number % 100 == 0:  # what an outcome that was unknown has left open
        try:
            await seller.cancel_all()
        except cp.CryptoprotoError as error:
            counts[f"refused: {type(error).__name__}"] += 1


async def follow(client: cp.Client, counts: Counter[str], name: str) -> None:
    """Handle every event, each once and in order."""
    last = -1
    async for event in client.events():
        if event.transaction_id is not None:
            assert event.transaction_id > last, "an event came again, or late"
            last = event.transaction_id
            counts[f"transactions of {name}"] += 1
