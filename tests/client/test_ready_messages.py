"""Cancels of open orders are kept signed, on each connection."""

from __future__ import annotations

from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.client.account import Account
from cryptoproto.client.ready_messages import ReadyMessages
from cryptoproto.exchange import Exchange
from cryptoproto.messages import decode, encode
from tests.support.lines import Line, trader, until_state
from tests.support.peer import cancelled, placed
from tests.support.told import feed

ALL = encode(cp.CancelAllOrders())


class Stub:
    """A connection that notes what is kept signed."""

    def __init__(self) -> None:
        self.is_open = True
        self.kept: list[bytes] = []
        self.spare: list[bytes] = []

    def keep_signed(self, payload: bytes, *, spare: bool = False) -> None:
        (self.spare if spare else self.kept).append(payload)

    def release(self, payload: bytes, *, spare: bool = False) -> None:
        (self.spare if spare else self.kept).remove(payload)

    def is_signed(self, payload: bytes) -> bool:
        return payload in self.kept

    async def wait_signed(self, payload: bytes) -> None:
        raise cp.ConnectionClosed(1006, "gone")


def cancel(order_id: int) -> bytes:
    return encode(cp.CancelOrder(order_id))


def signatures(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What is signed from here on."""
    signed: list[bytes] = []
    sign = cp.PrivateKey.sign

    def noted(key: cp.PrivateKey, data: bytes) -> bytes:
        signed.append(data)
        return sign(key, data)

    monkeypatch.setattr(cp.PrivateKey, "sign", noted)
    return signed


async def test_each_connection_signs_what_is_prepared() -> None:
    ready = ReadyMessages(cp.OrderTable(), keep_cancels=0)
    ready.add(b"a")
    ready.add(b"b")
    ready.add(b"b")
    assert not ready.is_signed(b"a")
    await ready.wait_signed(b"a")
    ready.remove(b"b")
    first: Any = Stub()
    ready.connected(first)
    assert (first.kept, first.spare) == ([b"a", b"b"], [])
    ready.add(b"c")
    ready.remove(b"b")
    second: Any = Stub()
    ready.connected(second)
    assert second.kept == [b"a", b"c"]
    assert ready.is_signed(b"a")
    await ready.wait_signed(b"a")  # that it has ended is no error: the next one signs it
    second.is_open = False
    assert not ready.is_signed(b"a")
    ready.follow_orders()
    assert second.spare == []


@pytest.mark.parametrize("count", [-1, 1.5, True, "5"])
async def test_the_number_of_cancels_is_checked(count: Any) -> None:
    with pytest.raises(cp.ConfigurationError, match="keep_cancels_ready="):
        ReadyMessages(cp.OrderTable(), keep_cancels=count)


async def test_the_newest_open_orders_have_a_cancel_that_is_kept_signed() -> None:
    account = Account()
    orders = account.orders
    ready = ReadyMessages(orders, keep_cancels=2)
    ready.follow_orders()  # there is no connection
    stub: Any = Stub()
    ready.connected(stub)
    assert stub.spare == [ALL]
    for number in range(1, 4):
        feed(account, decode(placed(number, number)))
    ready.follow_orders()
    assert stub.spare == [ALL, cancel(2), cancel(3)]
    feed(account, decode(cancelled(3, 3)))
    ready.follow_orders()
    ready.follow_orders()
    assert stub.spare == [ALL, cancel(2), cancel(1)]
    again: Any = Stub()
    ready.connected(again)
    ready.follow_orders()
    assert again.spare == [ALL, cancel(1), cancel(2)]


async def test_a_cancel_that_is_kept_signed_leaves_at_once(
    exchange_key: cp.PrivateKey, alice_key: cp.PrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = Line(Exchange(private_key=exchange_key))
    options: dict[str, Any] = {"protocol": cp.Protocol.SIGNED, "backoff": cp.Backoff(initial=0.001, cap=0.01)}
    async with trader(line, alice_key, keep_cancels_ready=1, **options) as client:
        await client.place("BTC_USD", "buy", amount=1, price=100)
        order = await client.place("BTC_USD", "buy", amount=1, price=100)
        assert order.order_id is not None
        payload = cancel(order.order_id)
        await client._ready.wait_signed(payload)
        signed = signatures(monkeypatch)
        assert await client.cancel(order)
        assert not [data for data in signed if payload in data and data.startswith((3).to_bytes(8))]
        line.is_down = True
        line.cut()
        await until_state(client, cp.State.WAITING)
        line.is_down = False
        await until_state(client, cp.State.LIVE)
        (left,) = client.orders.open
        assert left.order_id is not None
        await client._ready.wait_signed(cancel(left.order_id))
        await client._ready.wait_signed(ALL)
        assert client._ready.is_signed(cancel(left.order_id))
        assert client._ready.is_signed(ALL)
        assert not client._ready.is_signed(payload)
