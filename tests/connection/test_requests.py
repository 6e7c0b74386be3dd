"""Many calls at once: each with a future and a deadline of its own, and none that never ends."""

from __future__ import annotations

import asyncio
import random

import pytest

import cryptoproto as cp
from cryptoproto.connection.requests import RequestTable
from tests.support.peer import Script, balance, settle
from tests.support.virtual_time import virtual

V5 = cp.Protocol.V5
BALANCE = cp.UserBalanceRequest()


def account(reply: object) -> int | str:
    assert isinstance(reply, cp.UserBalanceResponse)
    return reply.account_id


async def test_replies_out_of_order_find_their_calls(
    script: Script, alice_key: cp.PrivateKey, protocol: cp.Protocol
) -> None:
    async with script.connect(alice_key, protocol=protocol) as connection:
        calls = [asyncio.create_task(connection.request(BALANCE)) for _ in range(50)]
        await script.peer.until(lambda: len(script.peer.requests) == 50)
        assert [number for number, _ in script.peer.requests] == list(range(1, 51))
        assert connection.in_flight == 50
        order = list(range(1, 51))
        random.Random(7).shuffle(order)
        for number in order:
            script.peer.reply(number)
        assert [account(reply) for reply in await asyncio.gather(*calls)] == list(range(1, 51))
        assert connection.in_flight == 0


async def test_a_reply_ends_its_own_call_alone(script: Script, alice_key: cp.PrivateKey) -> None:
    async with script.connect(alice_key, protocol=V5) as connection:
        calls = [asyncio.create_task(connection.request(BALANCE)) for _ in range(3)]
        await settle()
        script.peer.reply(2)
        await settle()
        assert [call.done() for call in calls] == [False, True, False]
        script.peer.reply(3)
        script.peer.reply(1)
        await asyncio.gather(*calls)


@virtual
async def test_ten_thousand_in_flight(script: Script, alice_key: cp.PrivateKey) -> None:
    """And one timer for all of their deadlines."""
    loop = asyncio.get_running_loop()
    loop.set_debug(False)  # which writes a stack down for each of very many futures
    async with script.connect(alice_key, protocol=V5, request_timeout=10, ping_interval=None) as connection:
        calls = [asyncio.create_task(connection.request(BALANCE)) for _ in range(10_000)]
        await settle()
        assert connection.in_flight == 10_000
        assert sum(1 for timer in getattr(loop, "_scheduled", ()) if not timer.cancelled()) <= 2
        for number in range(10_000, 1, -2):
            script.peer.reply(number)
        before = loop.time()
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert loop.time() - before == pytest.approx(10.0)
        assert [account(reply) for reply in results[1::2]] == list(range(2, 10_001, 2))
        assert {type(error) for error in results[::2]} == {cp.RequestTimeout}
        assert len({id(error) for error in results[::2]}) == 5000
        assert connection.in_flight == 0


@virtual
async def test_every_call_has_its_own_deadline(script: Script, alice_key: cp.PrivateKey) -> None:
    loop = asyncio.get_running_loop()
    async with script.connect(alice_key, protocol=V5, request_timeout=7) as connection:
        before = loop.time()

        async def ends_after(timeout: float | None) -> float:
            with pytest.raises(cp.RequestTimeout, match="no response to the request before its deadline") as caught:
                await connection.request(BALANCE, timeout=timeout)
            assert isinstance(caught.value, TimeoutError)
            assert caught.value.sent is True
            return loop.time() - before

        ended = await asyncio.gather(*(ends_after(timeout) for timeout in (5, 1, 3, None, 2, 0)))
        assert ended == pytest.approx([5, 1, 3, 7, 2, 0])
        assert connection.is_open
        script.peer.auto_reply = True
        assert account(await connection.request(BALANCE)) == 7


@virtual
async def test_late_and_unknown_and_repeated_replies_are_dropped(script: Script, alice_key: cp.PrivateKey) -> None:
    async with script.connect(alice_key, protocol=V5) as connection:
        with pytest.raises(cp.RequestTimeout):
            await connection.request(BALANCE, timeout=1)
        script.peer.reply(1)
        script.peer.reply(12_345)
        script.peer.reply(-1)
        call = asyncio.create_task(connection.request(BALANCE))
        await settle()
        script.peer.reply(2)
        script.peer.reply(2, balance(999))
        assert account(await call) == 2
        await settle()
        assert connection.is_open


@virtual
async def test_a_cancelled_call_is_forgotten_and_its_reply_dropped(script: Script, alice_key: cp.PrivateKey) -> None:
    async with script.connect(alice_key, protocol=V5) as connection:
        calls = [asyncio.create_task(connection.request(BALANCE)) for _ in range(3)]
        await settle()
        calls[1].cancel()
        await settle()
        assert connection.in_flight == 2
        for number in (1, 2, 3):
            script.peer.reply(number)
        assert account(await calls[0]) == 1
        assert account(await calls[2]) == 3


@virtual
async def test_deadlines_of_answered_calls_do_not_pile_up(script: Script, alice_key: cp.PrivateKey) -> None:
    async with script.connect(alice_key, protocol=V5) as connection:
        slow = asyncio.create_task(connection.request(BALANCE, timeout=3600))
        await settle()
        script.peer.auto_reply = True
        for _ in range(1000):
            await connection.request(BALANCE)
        assert len(connection._pump.calls._deadlines) < 100
        script.peer.reply(1)
        await slow
        await asyncio.sleep(3601)  # virtual: the last deadline passes, and takes with it what was left
        assert connection._pump.calls._deadlines == []


async def test_a_reply_as_a_dict_and_of_an_unknown_type(script: Script, alice_key: cp.PrivateKey) -> None:
    async with script.connect(alice_key, protocol=V5) as connection:
        raw = asyncio.create_task(connection.request({"@type": "UserBalanceRequest"}, raw=True))
        unknown = asyncio.create_task(connection.request({"@type": "PositionsRequest"}))
        await settle()
        script.peer.reply(1, b'{"@type":"UserBalanceResponse","account_id":5,"balances":{},"colour":"red"}')
        script.peer.reply(2, b'{"@type":"PositionsResponse","positions":[]}')
        assert (await raw)["colour"] == "red"
        reply = await unknown
        assert isinstance(reply, cp.Unknown)
        assert reply.payload == {"@type": "PositionsResponse", "positions": []}


@pytest.mark.parametrize("raw", [False, True])
async def test_a_reply_that_is_no_json_ends_the_connection(
    raw: bool, script: Script, alice_key: cp.PrivateKey, protocol: cp.Protocol
) -> None:
    async with script.connect(alice_key, protocol=protocol) as connection:
        other = asyncio.create_task(connection.request(BALANCE))
        call: asyncio.Task[object]
        if raw:
            call = asyncio.create_task(connection.request(BALANCE, raw=True))
        else:
            call = asyncio.create_task(connection.request(BALANCE))
        await script.peer.until(lambda: len(script.peer.requests) == 2)
        script.peer.reply(2, b"{")
        for waiting in (call, other):
            with pytest.raises(cp.DecodeError) as caught:
                await waiting
            assert caught.value.sent is True
        assert isinstance(connection.error, cp.DecodeError)
        await connection.wait_closed()


# The link dies


@pytest.mark.parametrize(
    ("code", "error"), [(None, cp.ConnectionClosed), (1012, cp.ServerRestart), (4000, cp.ConcurrentConnection)]
)
async def test_all_calls_end_the_moment_the_link_dies(
    code: int | None,
    error: type[cp.ConnectionClosed],
    script: Script,
    alice_key: cp.PrivateKey,
    protocol: cp.Protocol,
) -> None:
    async with script.connect(alice_key, protocol=protocol) as connection:
        script.peer.event(5)
        calls = [asyncio.create_task(connection.request(BALANCE)) for _ in range(100)]
        await script.peer.until(lambda: len(script.peer.requests) == 100)
        if code is None:
            script.peer.lose()
        else:
            script.peer.close(code)
        await settle()
        assert all(call.done() for call in calls)
        errors = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(each) for each in errors} == {error}
        assert len({id(each) for each in errors}) == 100
        for each in errors:
            assert isinstance(each, cp.ConnectionClosed)
            assert each.sent is True
            assert each.position == 5
        assert connection.in_flight == 0


async def test_a_call_that_is_answered_and_then_the_link_dies_has_its_reply(
    script: Script, alice_key: cp.PrivateKey, protocol: cp.Protocol
) -> None:
    async with script.connect(alice_key, protocol=protocol) as connection:
        calls = [asyncio.create_task(connection.request(BALANCE)) for _ in range(2)]
        await script.peer.until(lambda: len(script.peer.requests) == 2)
        script.peer.reply(1)
        script.peer.lose()
        assert account(await calls[0]) == 1
        with pytest.raises(cp.ConnectionClosed):
            await calls[1]


async def test_sends_that_wait_for_the_network_end_with_the_link(
    script: Script, alice_key: cp.PrivateKey, protocol: cp.Protocol
) -> None:
    async with script.connect(alice_key, protocol=protocol) as connection:
        script.peer.client_link.hold_writes = True
        sends = [asyncio.create_task(connection.send(cp.CancelAllOrders())) for _ in range(3)]
        request = asyncio.create_task(connection.request(BALANCE))
        await script.peer.until(lambda: len(script.peer.messages) == 3)
        await settle()
        script.peer.close(1012)
        for send in sends:
            with pytest.raises(cp.ServerRestart) as caught:
                await send
            assert caught.value.sent is True, "the frame had been handed to the network"
        with pytest.raises(cp.ServerRestart) as caught:
            await request
        assert caught.value.sent is False


@virtual
async def test_sends_wait_while_the_network_takes_no_more(script: Script, alice_key: cp.PrivateKey) -> None:
    async with script.connect(alice_key, protocol=V5) as connection:
        script.peer.client_link.hold_writes = True
        send = asyncio.create_task(connection.send(cp.CancelAllOrders()))
        await settle()
        assert not send.done()
        script.peer.client_link.hold_writes = False
        assert await send == 1


# The table alone


@virtual
async def test_the_end_leaves_calls_alone_that_have_ended_already() -> None:
    loop = asyncio.get_running_loop()
    table = RequestTable(loop)
    cancelled, open_ = table.open(1, loop.time() + 5), table.open(2, loop.time() + 5)
    cancelled.cancel()
    table.fail_all(lambda number: cp.RequestNotSent(f"{number}"))
    assert cancelled.cancelled()
    with pytest.raises(cp.RequestNotSent, match="2"):
        await open_


@virtual
async def test_a_deadline_passes_over_calls_that_were_cancelled() -> None:
    loop = asyncio.get_running_loop()
    table = RequestTable(loop)
    calls = [table.open(number, loop.time() + 5) for number in (1, 2)]
    calls[0].cancel()
    with pytest.raises(cp.RequestTimeout):
        await calls[1]
    assert len(table) == 2, "each call is removed by its caller"
    for number in (1, 2, 3):
        table.discard(number)
    assert len(table) == 0
