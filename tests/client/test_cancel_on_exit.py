"""A client that cancels what is open before it closes, and says what it could not cancel."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.client.cancel_on_exit import CancelOnExit
from cryptoproto.exchange import Exchange
from tests.support.lines import Line, client_of, patient, trader, until, until_state
from tests.support.peer import Script, placed
from tests.support.virtual_time import virtual

PAIR = "BTC_USD"


class Desk:
    """An exchange, and a client that cancels on exit."""

    def __init__(self, exchange_key: cp.PrivateKey, alice_key: cp.PrivateKey) -> None:
        self.exchange = Exchange(private_key=exchange_key)
        self.line = Line(self.exchange)
        self.key = alice_key

    def client(self, **options: Any) -> cp.Client:
        arguments: dict[str, Any] = {"cancel_on_exit": True, "backoff": cp.Backoff(0.1, 1.0, random=lambda: 0.5)}
        return trader(self.line, self.key, **(arguments | options))

    def open_orders(self, client_id: str = "alice") -> list[int]:
        books = self.exchange.open_orders(client_id).order_books.values()
        return sorted(row.order_id for book in books for row in (*book.buy, *book.sell))


@pytest.fixture
def desk(exchange_key: cp.PrivateKey, alice_key: cp.PrivateKey) -> Desk:
    return Desk(exchange_key, alice_key)


@virtual
async def test_open_orders_are_cancelled(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    async with trader(Line(desk.exchange), desk.key, "bob") as bob:
        await bob.place(PAIR, "buy", amount=1, price=90)
        async with desk.client() as client:
            orders = [await client.place(PAIR, "buy", amount=1, price=100) for _ in range(3)]
            assert client.left_open == []
        assert desk.open_orders() == []
        assert {order.status for order in orders} == {cp.OrderStatus.CANCELLED}
        assert client.left_open == []
        assert len(desk.open_orders("bob")) == 1
        await client.close()
        assert client.metrics().counters["cancel_alls_sent"] == 1
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@virtual
async def test_they_stay_open_otherwise(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    async with desk.client(cancel_on_exit=False) as client:
        order = await client.place(PAIR, "buy", amount=1, price=100)
    assert desk.open_orders() == [order.order_id]
    assert client.left_open == []
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@virtual
async def test_nothing_is_sent_if_nothing_is_open(desk: Desk) -> None:
    async with desk.client() as client:
        await client.cancel(await client.place(PAIR, "buy", amount=1, price=100))
    assert client.metrics().counters["cancel_alls_sent"] == 0


@virtual
async def test_orders_of_an_earlier_process(desk: Desk) -> None:
    async with desk.client(cancel_on_exit=False) as client:
        await client.place(PAIR, "buy", amount=1, price=100)
    async with desk.client():
        assert len(desk.open_orders()) == 1
    assert desk.open_orders() == []


@virtual
@pytest.mark.parametrize("is_down", [False, True])
async def test_an_exception_in_the_body(desk: Desk, is_down: bool) -> None:
    client = desk.client()
    error = ZeroDivisionError()

    async def bot() -> None:
        async with client:
            await client.place(PAIR, "buy", amount=1, price=100)
            if is_down:
                desk.line.is_down = True
                desk.line.cut()
            raise error

    with pytest.raises(ZeroDivisionError) as caught:
        await bot()
    assert caught.value is error
    assert error.__context__ is None
    assert len(desk.open_orders()) == len(client.left_open) == int(is_down)


@virtual
async def test_a_body_that_is_cancelled(desk: Desk) -> None:
    is_open = asyncio.Event()

    async def bot() -> None:
        async with desk.client() as client:
            await client.place(PAIR, "buy", amount=1, price=100)
            is_open.set()
            await asyncio.Event().wait()

    running = asyncio.create_task(bot())
    await is_open.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert desk.open_orders() == []


@virtual
async def test_a_link_that_comes_back_in_time(desk: Desk) -> None:
    client = desk.client(backoff=cp.Backoff(100, 100, random=lambda: 1.0))
    await client.start()
    await client.place(PAIR, "buy", amount=1, price=100)
    desk.line.cut()
    await until_state(client, cp.State.WAITING)  # for a hundred seconds
    started = asyncio.get_running_loop().time()
    await client.close()
    assert asyncio.get_running_loop().time() - started < 1
    assert desk.open_orders() == []
    assert client.left_open == []


@virtual
async def test_a_link_that_is_lost_with_the_cancel(exchange_key: cp.PrivateKey, alice_key: cp.PrivateKey) -> None:
    """At its first frame, and then at each later one."""
    most = 0
    for second in range(1, 20):
        desk = Desk(exchange_key, alice_key)
        async with desk.client() as client:
            await client.place(PAIR, "buy", amount=1, price=100)
            desk.line.cut_at = {desk.line.frames + 1, desk.line.frames + 1 + second}
        most = max(most, client.metrics().counters["cancel_alls_sent"])
        assert desk.open_orders() == []
        assert client.left_open == []
    assert most == 3


@virtual
async def test_a_link_that_stays_down(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    loop = asyncio.get_running_loop()
    async with desk.client() as client:
        orders = [await client.place(PAIR, "buy", amount=1, price=100) for _ in range(12)]
        desk.line.is_down = True
        desk.line.cut()
        await until_state(client, cp.State.WAITING)
        started = loop.time()
        await client.close(3)
        assert loop.time() - started <= 3
    assert client.left_open == orders
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert (
        "12 orders are or may be still open after closing, because it could not be sent within the deadline" in warning
    )
    assert repr(orders[9]) in warning
    assert repr(orders[10]) not in warning


@virtual
async def test_a_silent_exchange(script: Script, alice_key: cp.PrivateKey, caplog: pytest.LogCaptureFixture) -> None:
    loop = asyncio.get_running_loop()
    patient(script)
    client = client_of(script, alice_key, cancel_on_exit=True)
    await client.start()
    peer = script.peer
    placing = asyncio.create_task(client.place(PAIR, "buy", amount=1, price=1, client_order_id=7))
    await peer.until(lambda: len(peer.messages) == 1)
    peer.event(1, placed(7))
    order = await placing
    peer.auto_reply = False
    started = loop.time()
    await client.close(2)
    assert loop.time() - started <= 2
    assert peer.messages[-1][1] == {"@type": "CancelAllOrders"}
    assert client.left_open == [order]
    assert "the exchange did not answer within 2 s" in caplog.text


@virtual
async def test_no_time_at_all(desk: Desk) -> None:
    """What can leave at once leaves; nobody waits for the answer."""
    client = desk.client()
    await client.start()
    order = await client.place(PAIR, "buy", amount=1, price=100)
    await client.close(0)
    assert client.left_open == [order]
    assert client.metrics().counters["cancel_alls_sent"] == 1


@virtual
async def test_orders_that_wait_to_be_sent_are_not_sent_any_more(desk: Desk) -> None:
    async with desk.client(order_rate=1) as client:
        await client.place(PAIR, "buy", amount=1, price=100)
        placing = [asyncio.create_task(client.place(PAIR, "buy", amount=1, price=100)) for _ in range(3)]
        await asyncio.sleep(0)
    results = await asyncio.gather(*placing, return_exceptions=True)
    assert [type(result) for result in results] == [cp.ClientClosed] * 3
    assert client.metrics().counters["orders_sent"] == 1
    assert desk.open_orders() == []


@virtual
async def test_no_order_is_sent_behind_the_cancel(desk: Desk) -> None:
    """Neither one that has waited for the link with the cancel, nor one that could leave at once."""
    client = desk.client()
    await client.start()
    await client.place(PAIR, "buy", amount=1, price=100)
    desk.line.is_down = True
    desk.line.cut()
    await until_state(client, cp.State.WAITING)
    closing = asyncio.create_task(client.close())
    waiting = asyncio.create_task(client.place(PAIR, "buy", amount=1, price=100))
    await asyncio.sleep(1)
    desk.line.is_down = False
    await until_state(client, cp.State.LIVE)
    for placing in (client.place(PAIR, "buy", amount=1, price=100), waiting):
        with pytest.raises(cp.ClientClosed, match="is closing and sends no more orders"):
            await placing
    await closing
    assert client.metrics().counters["orders_sent"] == 1
    assert desk.open_orders() == []


@virtual
async def test_an_order_that_is_not_answered_yet_is_cancelled_too(desk: Desk) -> None:
    async with desk.client() as client:
        placing = asyncio.create_task(client.place(PAIR, "buy", amount=1, price=100))
        await until(lambda: client.metrics().counters["orders_sent"] == 1)
    assert (await placing).status is cp.OrderStatus.CANCELLED
    assert desk.open_orders() == []


@virtual
async def test_a_replace_that_is_under_way_places_nothing(desk: Desk) -> None:
    async with desk.client() as client:
        order = await client.place(PAIR, "buy", amount=1, price=100)
        replacing = asyncio.create_task(client.replace(order, price=99))
        await asyncio.sleep(0)
    with pytest.raises(cp.ReplaceIncomplete):
        await replacing
    assert desk.open_orders() == []


@virtual
async def test_a_client_that_was_closed_by_another_connection(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    async with desk.client(lock=False) as client:
        order = await client.place(PAIR, "buy", amount=1, price=100)
        desk.exchange.disconnect("alice", 4000)
        await until_state(client, cp.State.CLOSED)
    assert client.left_open == [order]
    assert "because the client is closed" in caplog.text


@virtual
async def test_orders_of_an_earlier_process_that_this_one_never_saw(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    async with desk.client(cancel_on_exit=False) as client:
        await client.place(PAIR, "buy", amount=1, price=100)
    desk.line.is_down = True
    client = desk.client()
    await client.start()
    await client.close(1.0)
    assert len(desk.open_orders()) == 1
    assert client.left_open == []
    assert "orders of earlier processes may be still open" in caplog.text

    client = desk.client()
    await client.start()
    closing = asyncio.create_task(client.close())
    await asyncio.sleep(0.1)
    desk.line.is_down = False
    await closing
    assert desk.open_orders() == []


@virtual
async def test_closing_that_is_cancelled(desk: Desk) -> None:
    client = desk.client()
    await client.start()
    await client.place(PAIR, "buy", amount=1, price=100)
    desk.line.is_down = True
    desk.line.cut()
    closing = asyncio.create_task(client.close())
    await asyncio.sleep(1)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert client.state.state is cp.State.CLOSED
    assert len(client.left_open) == 1


@virtual
async def test_a_timer_that_fires_a_little_early_does_not_repeat_the_cancel_for_ever() -> None:
    timeouts: list[float] = []

    class Early:
        """Calls that find no connection until just before their deadline."""

        async def cancel_all(self, timeout: float, *, wait: bool) -> None:
            timeouts.append(timeout)
            assert len(timeouts) == 1, "it is sent again with no time left"
            await asyncio.sleep(timeout - 1e-7)
            raise cp.RequestNotSent("there was no connection")

    early: Any = Early()
    nothing: Any = None
    cancelling = CancelOnExit(nothing, nothing, early, nothing, enabled=True)
    with pytest.raises(cp.RequestNotSent):
        await cancelling._cancel_until(asyncio.get_running_loop().time() + 5)
