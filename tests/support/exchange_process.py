"""An exchange in its own process, to be killed.

``python -m tests.support.exchange_process JOURNAL ALICE.PUB BOB.PUB``.

Each line on the standard input, ``port seed [silence [tls]]``, starts one; see ``tests/support/lives.py``, and
``tests/support/pairs.py`` for the last two. It tells its address once it listens. With a seed, bob trades within it, so
that alice has events at any moment; 0 is without.
"""

from __future__ import annotations

import asyncio
import random
import ssl
import sys

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from cryptoproto.exchange.journal import open_journal
from cryptoproto.messages import PlaceSellIoCOrder, PlaceSellLimitOrder, encode
from cryptoproto.transport import opener
from tests.support.lives import fork_for_each_line, tell

FUNDS = {"alice": {"USD": "100000", "BTC": "50"}, "bob": {"USD": "50000", "BTC": "100"}}
SNAPSHOT_EVERY = 150
PAIR = "BTC_USD"


async def trade(exchange: Exchange, choice: random.Random) -> None:
    """Bob offers much at 100, once and for all, and sells a little to who bids less every now and then."""
    record = exchange.venue.client("bob")
    assert record is not None
    while True:
        message: cp.PlaceOrder = PlaceSellIoCOrder(PAIR, "0.0007", choice.randint(92, 99))
        if not record.last_sequence:
            message = PlaceSellLimitOrder(PAIR, 50, 100)
        exchange.venue.submit("bob", record.last_sequence + 1, encode(message))
        await asyncio.sleep(choice.uniform(0.0, 0.02))


def main() -> None:
    path, alice, bob = sys.argv[1:]
    keys = {"alice": cp.PublicKey.load(alice), "bob": cp.PublicKey.load(bob)}
    if open_journal.__kwdefaults__ is not None:
        open_journal.__kwdefaults__["snapshot_every"] = SNAPSHOT_EVERY
    opener("auto")  # imports what it needs

    async def serve(port: str, seed: str, silence: str = "20", tls: str | None = None) -> None:
        context = None
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(f"{tls}/exchange.pem")
        timeout = float(silence)
        async with Exchange(
            path=path, port=int(port), ssl=context, ping_interval=timeout / 4, ping_timeout=timeout
        ) as exchange:
            for client_id, key in keys.items():
                exchange.register(client_id, key, balances=FUNDS[client_id])
            tell(url=exchange.url, public_key=exchange.public_key.to_pem().decode())
            trading = asyncio.ensure_future(trade(exchange, random.Random(int(seed)))) if int(seed) else None
            try:
                await exchange.wait_closed()
            finally:
                if trading is not None:
                    trading.cancel()
                    await asyncio.gather(trading, return_exceptions=True)

    fork_for_each_line(serve)


if __name__ == "__main__":
    main()
