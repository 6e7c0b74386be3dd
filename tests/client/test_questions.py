"""Requests wait for a connection, and end by their deadline."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from tests.support.lines import Line, client_of, patient, trader
from tests.support.peer import Script, changed, placed
from tests.support.virtual_time import virtual


@virtual
async def test_answers(exchange_key: cp.PrivateKey, alice_key: cp.PrivateKey) -> None:
    async with trader(Line(Exchange(private_key=exchange_key)), alice_key) as client:
        order = await client.place("BTC_USD", "buy", amount=1, price=100)
        assert await client.open_orders() == [order]
        assert (await client.balances())["USD"] == cp.Balance(Decimal(999_900), Decimal(100))
        assert isinstance(await client.request(cp.UserOrdersRequest()), cp.UserOrdersResponse)
        assert client.metrics().counters["requests"] == 3
        assert client.metrics().histograms["request_round_trip"].count == 3


@virtual
async def test_a_request_waits_for_a_connection_until_its_deadline(
    exchange_key: cp.PrivateKey, alice_key: cp.PrivateKey
) -> None:
    line = Line(Exchange(private_key=exchange_key))
    line.is_down = True
    async with trader(line, alice_key, request_timeout=3) as client:
        for timeout in (None, 2):
            with pytest.raises(cp.RequestNotSent, match="within the deadline"):
                await client.balances(timeout=timeout)
        with pytest.raises(cp.RequestNotSent, match="not connected"):
            await client.open_orders(wait=False)


@virtual
async def test_a_response_of_another_type_has_no_balances(script: Script, alice_key: cp.PrivateKey) -> None:
    patient(script)
    async with client_of(script, alice_key) as client:
        script.peer.auto_reply = False

        async def reply() -> None:
            await script.peer.until(lambda: len(script.peer.requests) == 3)
            script.peer.reply(script.peer.requests[-1][0], changed(1))

        replying = asyncio.create_task(reply())
        assert await client.balances() == {}
        await replying


class SlowStore(cp.MemoryStore):
    """A reserving store that takes as long as the test wants."""

    def __init__(self) -> None:
        super().__init__()
        self.is_asked = asyncio.Event()
        self.may_write = asyncio.Event()

    async def reserve(self, entry: cp.OutboxEntry) -> None:
        self.is_asked.set()
        await self.may_write.wait()

    async def connected(self, last_sequence: int) -> None:
        pass


@virtual
async def test_a_request_waits_while_a_store_reserves_a_sequence(script: Script, alice_key: cp.PrivateKey) -> None:
    patient(script)
    store = SlowStore()
    async with client_of(script, alice_key, store=store) as client:
        placing = asyncio.create_task(client.place("BTC_USD", "buy", amount=1, price=100, client_order_id=5))
        await store.is_asked.wait()
        asking = asyncio.create_task(client.balances())
        await asyncio.sleep(1)
        assert len(script.peer.requests) == 2, "those of the resume"
        store.may_write.set()
        assert await asking == {}
        assert client.metrics().counters["requests"] == 1
        assert script.peer.sequences == [1]
        script.peer.event(1, placed(5))
        await placing
