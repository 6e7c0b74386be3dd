"""The face of the client: what it accepts, what it rejects at once, and what it shows of itself."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from tests.support.lines import Line, client_of, patient, trader
from tests.support.peer import Script
from tests.support.virtual_time import virtual


@virtual
async def test_strings_stand_for_side_and_time_in_force(exchange_key: cp.PrivateKey, alice_key: cp.PrivateKey) -> None:
    exchange = Exchange(private_key=exchange_key)
    async with trader(Line(exchange), alice_key) as client:
        order = await client.place("BTC_USD", "buy", amount="1", price="100", time_in_force="gtc")
        assert (order.side, order.time_in_force) == (cp.Side.BUY, cp.TimeInForce.GTC)
        assert await client.cancel(order)


@virtual
async def test_what_can_never_be_valid_costs_nothing(script: Script, alice_key: cp.PrivateKey) -> None:
    patient(script)
    async with client_of(script, alice_key) as client:
        wrong: list[dict[str, Any]] = [
            {"side": "hold"}, {"time_in_force": "day"}, {"price": "0.000000001"}, {"price": "-1"}, {"amount": 0},
            {"client_order_id": "seven"}, {"client_order_id": b"1"}, {"client_order_id": 1.0},
            {"client_order_id": True}, {"client_order_id": 2**63}, {"client_order_id": -(2**63) - 1},
        ]  # fmt: skip
        for change in wrong:
            terms: dict[str, Any] = {"side": "buy", "amount": 1, "price": 1} | change
            with pytest.raises(cp.OrderInvalid) as caught:
                await client.place("BTC_USD", **terms)
            assert caught.value.sent is False
        for order_id in ("7", True, 1.5):
            with pytest.raises(cp.OrderInvalid):
                await client.cancel(order_id)  # type: ignore[arg-type]
        assert script.peer.messages == []
        assert list(client.orders) == []
        assert client.state.state is cp.State.LIVE


@virtual
async def test_an_order_that_was_never_accepted_cannot_be_cancelled(script: Script, alice_key: cp.PrivateKey) -> None:
    patient(script)
    order = cp.Order(client_order_id=1, trade_pair="BTC_USD", side=cp.Side.BUY, amount=1, price=1)
    async with client_of(script, alice_key) as client:
        with pytest.raises(cp.OrderRejected, match="no order id"):
            await client.cancel(order)


@virtual
async def test_what_it_shows_of_itself(exchange_key: cp.PrivateKey, alice_key: cp.PrivateKey) -> None:
    exchange = Exchange(private_key=exchange_key)
    client = trader(Line(exchange), alice_key)
    assert "alice" in repr(client)
    assert "connecting" in repr(client)
    async with client:
        await client.place("BTC_USD", "buy", amount="1", price="100")
        assert "live" in repr(client)
        assert "1 open order" in repr(client)
        await client.cancel_all()
    assert "closed" in repr(client)


@virtual
async def test_a_store_with_what_it_should_not_hold_is_closed_again(script: Script, alice_key: cp.PrivateKey) -> None:
    class Broken(cp.MemoryStore):
        def late_reports(self) -> list[tuple[int, bytes]]:
            raise cp.StoreError("cannot read it")

    store = Broken()
    with pytest.raises(cp.StoreError):
        await client_of(script, alice_key, store=store).start()
    store.open("alice", script.private_key.public_key.fingerprint)  # it is free again
    store.close()


@virtual
async def test_starting_can_be_cancelled(script: Script, alice_key: cp.PrivateKey) -> None:
    script.answer_hello = lambda _: None
    client = client_of(script, alice_key)
    starting = asyncio.create_task(client.start())
    await asyncio.sleep(1)
    starting.cancel()
    await asyncio.wait([starting])
    assert starting.cancelled()
    assert client.state.state is cp.State.CLOSED


@virtual
async def test_requests_by_type_need_the_right_response(script: Script, alice_key: cp.PrivateKey) -> None:
    patient(script)
    async with client_of(script, alice_key) as client:
        assert await client.balances() == {}
        assert await client.open_orders() == []
        assert client.known_balances == {}
        snapshot = client.metrics()
        assert snapshot.counters["requests"] == 2
        assert snapshot.gauges["connected"] == 1.0
    with pytest.raises(cp.ConfigurationError, match="on_event"):
        client_of(script, alice_key, on_event=lambda _: None).events()


@virtual
async def test_a_client_that_was_never_started_can_be_closed(script: Script, alice_key: cp.PrivateKey) -> None:
    client = client_of(script, alice_key)
    await client.close()
    assert client.state.state is cp.State.CLOSED


@virtual
async def test_a_client_without_a_lock_on_its_id(script: Script, alice_key: cp.PrivateKey) -> None:
    patient(script)
    async with client_of(script, alice_key, lock=False) as client:
        assert client.state.state is cp.State.LIVE


@virtual
async def test_custom_client_order_ids_are_used_as_they_are(
    exchange_key: cp.PrivateKey, alice_key: cp.PrivateKey
) -> None:
    async with trader(Line(Exchange(private_key=exchange_key)), alice_key) as client:
        for number in (0, -5, 7, 2**63 - 1):
            order = await client.place("BTC_USD", "buy", amount="1", price="100", client_order_id=number)
            assert order.client_order_id == number
            assert client.orders.by_client_order_id(number) is order
        generated = [await client.place("BTC_USD", "buy", amount="1", price="100") for _ in range(2)]
        first, second = [order.client_order_id for order in generated]
        assert first is not None
        assert second is not None
        assert first < second
