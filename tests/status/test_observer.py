"""What a look at a client finds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from cryptoproto.status.observer import Observer
from tests.support.lines import Line, client_of, patient, trader, until_state
from tests.support.peer import Script
from tests.support.virtual_time import virtual

NOW = 1_700_000_000.0


@asynccontextmanager
async def market(keys: dict[str, cp.PrivateKey], **options: Any) -> AsyncIterator[tuple[cp.Client, cp.Client, Line]]:
    """Alice and Bob on one exchange, and Alice's line to it."""
    exchange = Exchange(private_key=keys["exchange"])
    line = Line(exchange)
    async with (
        trader(line, keys["alice"], **options) as alice,
        trader(Line(exchange), keys["bob"], "bob") as bob,
    ):
        yield alice, bob, line


def look(observer: Observer) -> dict[str, Any]:
    """The document of a look, as it arrives."""
    document: dict[str, Any] = orjson.loads(orjson.dumps(observer.look().document()))
    return document


@virtual
async def test_everything(keys: dict[str, cp.PrivateKey]) -> None:
    async with market(keys) as (alice, bob, _):
        observer = Observer(alice, allow_cancel=True, clock=lambda: NOW)
        observer.note_state(alice.state)
        order = await alice.place("BTC_USD", "buy", amount="2", price="100")
        await bob.place("BTC_USD", "sell", amount="0.5", price="100")
        await alice.balances()
        document = look(observer)
        assert (document["client_id"], document["state"], document["version"]) == ("alice", "live", cp.__version__)
        assert (document["at"], document["watched_since"], document["allow_cancel"]) == (NOW, NOW, True)
        (row,) = document["open_orders"]
        assert (row["order_id"], row["remaining"], row["status"]) == (order.order_id, "1.50000000", "open")
        (fill,) = document["fills"]
        assert (fill["side"], fill["price"], fill["amount"], fill["maker"]) == (
            "buy",
            "100.00000000",
            "0.50000000",
            True,
        )
        assert document["balances"]["USD"] == {"available": "999800.00000000", "on_hold": "150.00000000"}
        assert document["positions"][0]["bought"] == "0.50000000"
        assert document["latencies"]["order_to_acknowledgement"]["count"] == 1
        assert document["throttling"]["throttled"] == 0
        assert document["states"][0]["state"] == "live"
        assert document["counters"]["orders_sent"] == 1
        assert document["gauges"]["open_orders"] == 1.0
        assert document["unsettled_orders"] == []


@virtual
async def test_rows_of_orders_that_have_not_changed_are_kept(keys: dict[str, cp.PrivateKey]) -> None:
    async with market(keys) as (alice, bob, _):
        first, second = [await alice.place("BTC_USD", "buy", amount="2", price=price) for price in ("100", "101")]
        observer = Observer(alice)
        before = observer.look().orders
        await bob.place("BTC_USD", "sell", amount="1", price="101")
        third = await alice.place("BTC_USD", "buy", amount="2", price="99")
        after = observer.look().orders
        assert list(after) == [first.order_id, second.order_id, third.order_id]
        assert after[first.order_id or 0] is before[first.order_id or 0]
        assert after[second.order_id or 0]["remaining"] == "1.00000000"
        await alice.cancel(first)
        assert list(observer.look().orders) == [second.order_id, third.order_id]


@virtual
async def test_each_fill_is_found_once_in_order_and_the_newest_hundred_are_shown(
    keys: dict[str, cp.PrivateKey],
) -> None:
    async with market(keys) as (alice, bob, _):
        observer = Observer(alice)
        await alice.place("BTC_USD", "buy", amount="90", price="1")
        for _ in range(60):
            await bob.place("BTC_USD", "sell", amount="0.01", price="1")
        await alice.open_orders()
        first = look(observer)
        assert len(first["fills"]) == 60
        assert look(observer)["fills"] == first["fills"]
        for _ in range(60):
            await bob.place("BTC_USD", "sell", amount="0.02", price="1")
        await alice.open_orders()
        second = look(observer)
        assert len(second["fills"]) == 100
        assert [fill["amount"] for fill in second["fills"]] == ["0.01000000"] * 40 + ["0.02000000"] * 60
        assert [fill["at"] for fill in second["fills"]] == sorted(fill["at"] for fill in second["fills"])
        assert second["positions"][0]["fills"] == 120
        assert second["positions"][0]["bought"] == "1.80000000"


@virtual
async def test_states_are_kept_with_their_times(keys: dict[str, cp.PrivateKey]) -> None:
    async with market(keys) as (alice, _, line):
        observer = Observer(alice, clock=lambda: asyncio.get_running_loop().time())
        states = alice.states()
        observer.note_state(await anext(states))
        await asyncio.sleep(10)
        line.cut()
        observer.note_state(await anext(states))
        document = look(observer)
        assert [(each["state"], each["error"]) for each in document["states"]] == [
            ("live", None),
            ("waiting", "ConnectionClosed"),
        ]
        assert document["states"][1]["at"] == pytest.approx(10)
        assert document["state"] == "waiting"
        for _ in range(200):
            observer.note_state(alice.state)
        assert len(look(observer)["states"]) == 100
        await until_state(alice, cp.State.LIVE)


@virtual
async def test_an_order_without_an_answer_is_shown_apart(script: Script, alice_key: cp.PrivateKey) -> None:
    patient(script)
    async with client_of(script, alice_key) as client:
        observer = Observer(client)
        placing = asyncio.ensure_future(client.place("BTC_USD", "buy", amount="1", price="1", client_order_id=5))
        await asyncio.sleep(0.1)
        script.peer.throttle(2500, 7, 8)
        await asyncio.sleep(0.5)
        document = look(observer)
        assert document["open_orders"] == []
        (row,) = document["unsettled_orders"]
        assert (row["client_order_id"], row["order_id"]) == (5, None)
        assert row["status"] == "pending"
        assert document["throttling"]["throttled"] == 1
        assert document["throttling"]["hold_s"] == 2.0
        (throttled,) = document["throttling"]["recent"]
        assert (throttled["level"], throttled["request_id"], throttled["order_id"]) == (2500, 7, 8)
        assert throttled["hold_s"] == 2.5
        placing.cancel()


@virtual
async def test_a_closed_client_can_be_looked_at(keys: dict[str, cp.PrivateKey]) -> None:
    async with market(keys) as (alice, _, _):
        await alice.place("BTC_USD", "buy", amount="2", price="100")
        observer = Observer(alice)
        await alice.close()
        assert look(observer)["state"] == "closed"
