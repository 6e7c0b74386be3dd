"""A taker: buys what is offered, and follows each order until it is closed.

python examples/taker.py
"""

from __future__ import annotations

import asyncio
from decimal import Decimal

import cryptoproto as cp
from cryptoproto.exchange import Exchange

PAIR = "BTC_USD"


async def buy(client: cp.Client, amount: Decimal, limit: Decimal) -> cp.Order | None:
    """Buy up to *amount* at *limit* or better; what cannot be filled at once is cancelled."""
    try:
        order = await client.place(
            PAIR, cp.Side.BUY, amount=amount, price=limit, time_in_force=cp.TimeInForce.IOC, timeout=5
        )
    except cp.OrderRejected as error:
        print(f"refused: {error}")
    except cp.RequestNotSent as error:
        print(f"the exchange has not received it and never will, so a retry is safe: {error}")
    except cp.OutcomeUnknown as error:
        print(f"not known yet; client.reports() will report it: {error}")
    else:
        await order.wait_closed(timeout=5)
        print(
            f"{order.status.value}: {order.filled:f} of {order.amount:f} at {order.average_price}, fees {order.fees:f}"
        )
        for trade in order.trades:
            print(f"    {trade.amount:f} at {trade.price:f}")
        return order
    return None


async def main() -> None:
    key = cp.PrivateKey.generate()
    async with Exchange() as exchange:
        exchange.register("taker", key.public_key, balances={"USD": "100000"})
        exchange.register("maker", key.public_key, balances={"BTC": "10"})
        async with (
            cp.Client(exchange.url, client_id="taker", private_key=key, server_key=exchange.public_key) as taker,
            cp.Client(exchange.url, client_id="maker", private_key=key, server_key=exchange.public_key) as maker,
        ):
            for price in (15_000, 15_010, 15_020):
                await maker.place(PAIR, cp.Side.SELL, amount="1", price=price)
            await buy(taker, Decimal("0.5"), Decimal(15_000))
            await buy(taker, Decimal(2), Decimal(15_010))  # 1.5 are on offer
            await buy(taker, Decimal(1_000_000), Decimal(15_020))  # too much for the account
            print("now held:", {name: f"{one.available:f}" for name, one in (await taker.balances()).items()})


if __name__ == "__main__":
    asyncio.run(main())
