"""Cancelling all orders has to be asked for twice."""

from __future__ import annotations

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from cryptoproto.status.cancel_all import CancelAll
from tests.support.lines import Line, trader
from tests.support.virtual_time import virtual


@virtual
async def test_asked_twice(exchange_key: cp.PrivateKey, alice_key: cp.PrivateKey) -> None:
    async with trader(Line(Exchange(private_key=exchange_key)), alice_key) as client:
        for price in ("100", "101"):
            await client.place("BTC_USD", "buy", amount="1", price=price)
        cancel_all = CancelAll(client, lambda: 0.0)
        asked = cancel_all.ask()
        assert (asked["open_orders"], asked["valid_s"]) == (2, 20)
        assert len(client.orders.open) == 2
        assert await cancel_all.confirm(asked["confirm"]) == (200, {"cancelled": True, "open_orders": 0})
        status, answer = await cancel_all.confirm(asked["confirm"])
        assert (status, answer["error"]) == (409, "not_asked"), "a confirmation is good once"


@virtual
async def test_confirmations_that_are_wrong_or_late(exchange_key: cp.PrivateKey, alice_key: cp.PrivateKey) -> None:
    now = 0.0
    async with trader(Line(Exchange(private_key=exchange_key)), alice_key) as client:
        await client.place("BTC_USD", "buy", amount="1", price="1")
        cancel_all = CancelAll(client, lambda: now)
        assert (await cancel_all.confirm("anything"))[1]["error"] == "not_asked"
        first, _ = cancel_all.ask()["confirm"], cancel_all.ask()
        assert (await cancel_all.confirm(first))[1]["error"] == "not_asked", "only the newest one counts"
        late = cancel_all.ask()["confirm"]
        now = 20.5
        assert (await cancel_all.confirm(late))[1]["error"] == "too_late"
        assert (await cancel_all.confirm("é"))[1]["error"] == "not_asked"
        assert len(client.orders.open) == 1


@virtual
async def test_an_error_is_told(exchange_key: cp.PrivateKey, alice_key: cp.PrivateKey) -> None:
    async with trader(Line(Exchange(private_key=exchange_key)), alice_key) as client:
        cancel_all = CancelAll(client, lambda: 0.0)
        asked = cancel_all.ask()
        await client.close()
        status, answer = await cancel_all.confirm(asked["confirm"])
        assert (status, answer["error"]) == (502, "ClientClosed")
        assert "closed" in answer["message"]
