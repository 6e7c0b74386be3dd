"""More than fits: a client that asks twice the rate limit for an hour, and one that handles events too slowly."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter

import pytest

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from tests.support.lines import Line, trader
from tests.support.run_summary import record_run
from tests.support.trading import RICH
from tests.support.virtual_time import virtual

pytestmark = pytest.mark.unmeasured

RATE_LIMIT = 10
CALLS = int(float(os.environ.get("MINUTES", "0.5")) * 60 * 2 * RATE_LIMIT)
TRADES = int(os.environ.get("TRADES", "300"))


@pytest.mark.parametrize("order_rate", [None, RATE_LIMIT], ids=["throttling alone", "order_rate"])
def test_asking_twice_the_rate_limit_is_answered_and_never_closed(
    order_rate: float | None, exchange_key: cp.PrivateKey, alice_key: cp.PrivateKey
) -> None:
    """On virtual time; the long run is an hour of it. Calls begin on time, whatever became of those before."""

    begun = time.monotonic()

    @virtual
    async def check() -> None:
        line = Line(Exchange(private_key=exchange_key, rate_limit=RATE_LIMIT))
        outcomes: Counter[str] = Counter()

        async def ask(client: cp.Client) -> None:
            try:
                await client.cancel(order_id=10**9, timeout=2.0)
                outcomes["answered"] += 1
            except cp.RequestNotSent:
                outcomes["not sent within its timeout"] += 1

        async with trader(line, alice_key, order_rate=order_rate) as client, asyncio.TaskGroup() as group:
            for _ in range(CALLS):
                group.create_task(ask(client))
                await asyncio.sleep(1 / (2 * RATE_LIMIT))
            assert client.state.state is cp.State.LIVE
        assert line.attempts == 1, "the connection was closed"
        assert outcomes.total() == CALLS
        record_run(f"twice the rate limit, {order_rate=}", seconds=time.monotonic() - begun, counts=outcomes)
        # Half of them get through: the limit is used, and kept. At the start the exchange bears with a second's worth,
        # and with up to twice the level of throttling at which an obedient client comes to rest.
        assert CALLS * 0.4 < outcomes["answered"] < CALLS / 2 + RATE_LIMIT + 2 * 1000 / RATE_LIMIT + 5

    check()


async def test_a_slow_client_under_full_load_loses_nothing_and_slows_nobody(
    keys: dict[str, cp.PrivateKey], kind: str, protocol: cp.Protocol
) -> None:
    """Alice takes no event until bob has traded with her as fast as he can; what waits is bounded at both ends."""
    async with Exchange(private_key=keys["exchange"]) as exchange:
        for client_id in ("alice", "bob"):
            exchange.register(client_id, keys[client_id].public_key, RICH)

        def client(client_id: str, **options: object) -> cp.Client:
            return cp.Client(
                exchange.url, client_id=client_id, private_key=keys[client_id], server_key=exchange.public_key,
                protocol=protocol, transport=kind, **options,  # type: ignore[arg-type]
            )  # fmt: skip

        async with client("alice", max_queue=64) as alice, client("bob") as bob:
            events = alice.events()
            await alice.place("BTC_USD", "buy", amount="90", price=100)
            taking = asyncio.create_task(anext(events))
            first = await taking
            for start in range(0, TRADES, 50):
                await asyncio.gather(
                    *(bob.place("BTC_USD", "sell", amount="0.01", price=100) for _ in range(min(50, TRADES - start)))
                )
            assert bob.state.state is cp.State.LIVE
            record = exchange.venue.client("alice")
            assert record is not None
            wanted = [each.transaction_id for each in record.history]
            assert len(wanted) > 3 * TRADES
            assert alice.metrics().gauges["queued_events"] < 1000, "what waits here is not bounded"
            taken = [first.transaction_id]
            async for event in events:
                if event.transaction_id is not None:
                    taken.append(event.transaction_id)
                if event.transaction_id == wanted[-1]:
                    break
            assert taken == wanted
