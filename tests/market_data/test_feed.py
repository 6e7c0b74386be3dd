"""The feed that stays connected, against a scripted server, in virtual time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cryptoproto as cp
from cryptoproto.market_data import MarketUpdate
from cryptoproto.wire import market_frame
from tests.support.scripted_feed import FeedPeer, FeedServer, StubbornServer, book, disabled, enabled, settle, trade
from tests.support.virtual_time import VirtualLoop, virtual

LIVE, WAITING = cp.FeedState.LIVE, cp.FeedState.WAITING
CONNECTING, CLOSED = cp.FeedState.CONNECTING, cp.FeedState.CLOSED


def now() -> float:
    return asyncio.get_running_loop().time()


async def take(feed: cp.MarketData) -> list[MarketUpdate]:
    """All that waits."""
    await settle()
    return [await anext(feed) for _ in range(feed.queued)]


def entered(states: list[cp.FeedStateChange]) -> list[cp.FeedState]:
    return [state.state for state in states]


async def follow(feed: cp.MarketData, seen: list[cp.FeedStateChange]) -> None:
    async for state in feed.states():
        seen.append(state)  # noqa: PERF401 - whoever called looks at it meanwhile


# Following the feed


@virtual
async def test_updates_come_in_order_and_the_books_follow() -> None:
    server = FeedServer()
    async with server.feed() as feed:
        await feed.wait_connected(timeout=1)
        messages = [book(1), trade(2), trade(3), disabled("BTC_USD"), enabled("BTC_USD"), book(3, {"99": "5"}, {})]
        server.peer.say(*messages[:1])
        assert await take(feed) == messages[:1]
        server.peer.say(*messages[1:])
        assert await take(feed) == messages[1:]
        assert feed.book("BTC_USD").best_bid == (Decimal(99), Decimal(5))
        assert feed.book("BTC_USD").current_order_id == 3
        assert feed.last_trade("BTC_USD") == trade(3)
        assert feed.last_trade("ETH_USD") is None


@virtual
async def test_books_are_kept_though_nobody_iterates() -> None:
    server = FeedServer()
    async with server.feed() as feed:
        made = feed.book("BTC_USD")
        assert made.is_stale
        await settle()
        server.peer.say(book(1), book(7, {"42": "1"}, {}))
        assert await feed.wait_book("BTC_USD", timeout=1) is made
        await settle()
        assert made.best_bid == (Decimal(42), Decimal(1))
        assert list(feed.books) == ["BTC_USD"]
        await asyncio.sleep(3)
        assert made.age == 3


@virtual
async def test_a_book_that_is_there_is_not_waited_for() -> None:
    server = FeedServer()
    async with server.feed() as feed:
        await settle()
        server.peer.say(book())
        await settle()
        await feed.wait_book("BTC_USD", timeout=0)


@virtual
async def test_the_timeout_of_a_wait_for_a_book_says_why_there_is_none() -> None:
    server = FeedServer()
    server.refusal = ConnectionRefusedError(111, "Connection refused")
    async with server.feed() as feed:
        with pytest.raises(cp.RequestTimeout, match=r"no book of BTC_USD .* 5 s; .* waiting: .*Connection refused"):
            await feed.wait_book("BTC_USD", timeout=5)
        with pytest.raises(TimeoutError, match="no connection was made"):
            await feed.wait_connected(timeout=5)
    with pytest.raises(cp.ConnectionClosed, match="closed by this end"):
        await feed.wait_book("BTC_USD", timeout=5)


@virtual
async def test_what_this_version_does_not_know_is_no_error() -> None:
    server = FeedServer()
    async with server.feed() as feed:
        await settle()
        server.peer.say(
            {"@type": "Weather", "sky": "blue"},
            {"@type": "OrderNotFound", "order_id": 3},
            {"@type": "TradesEnabledOnPairs", "trade_pairs": ["A_B"], "more": 1},
        )
        assert await take(feed) == [
            cp.Unknown("Weather", {"@type": "Weather", "sky": "blue"}),
            cp.Unknown("OrderNotFound", {"@type": "OrderNotFound", "order_id": 3}),
            enabled("A_B"),
        ]
        assert feed.is_connected


@virtual
async def test_only_the_pairs_that_were_asked_for_are_kept() -> None:
    server = FeedServer()
    async with server.feed(pairs=["ETH_USD"]) as feed:
        await settle()
        server.peer.say(book(), trade(), disabled("BTC_USD"), disabled("ETH_USD", "BTC_USD"), disabled())
        server.peer.say(book(pair="ETH_USD"), trade(pair="ETH_USD"))
        assert await take(feed) == [
            disabled("ETH_USD", "BTC_USD"), disabled(), book(pair="ETH_USD"), trade(pair="ETH_USD"),
        ]  # fmt: skip
        assert list(feed.books) == ["ETH_USD"]
        assert feed.disabled_pairs == {"ETH_USD"}
        for ask in (feed.book, feed.last_trade):
            with pytest.raises(cp.ConfigurationError, match="BTC_USD"):
                ask("BTC_USD")


@virtual
async def test_which_pairs_are_traded_is_known_until_the_link_is_lost() -> None:
    server = FeedServer()
    async with server.feed() as feed:
        await settle()
        assert feed.enabled_pairs == feed.disabled_pairs == frozenset()
        server.peer.say(disabled("A_B", "C_D"), enabled("C_D", "E_F"))
        await settle()
        assert sorted(feed.enabled_pairs) == ["C_D", "E_F"]
        assert sorted(feed.disabled_pairs) == ["A_B"]
        server.peer.close(1012)
        await settle()
        assert feed.enabled_pairs == feed.disabled_pairs == frozenset()


@virtual
async def test_a_crossed_book_is_reported_once_each_time(caplog: pytest.LogCaptureFixture) -> None:
    server = FeedServer()
    async with server.feed() as feed:
        await settle()
        crossed = book(2, {"102": "1"}, {"101": "1"})
        server.peer.say(book(1), crossed, crossed)
        await settle()
        assert feed.book("BTC_USD").is_crossed
        assert feed.crossed_books == 1
        assert [record.levelno for record in caplog.records if "crossed book" in record.message] == [logging.WARNING]
        server.peer.say(book(3), crossed, book(4, {"103": "1"}, {"101": "1"}))
        await settle()
        assert feed.book("BTC_USD").current_order_id == 4
        assert feed.crossed_books == 2


@virtual
async def test_a_late_snapshot_is_neither_applied_nor_delivered(caplog: pytest.LogCaptureFixture) -> None:
    server = FeedServer()
    async with server.feed() as feed:
        await settle()
        server.peer.say(book(9), book(8, {"1": "1"}))
        assert await take(feed) == [book(9)]
        assert feed.book("BTC_USD").current_order_id == 9
        assert feed.book("BTC_USD").late_snapshots == 1
        assert "ignored a late snapshot of BTC_USD: order id 8 after 9" in caplog.text


# The slow iteration


@virtual
async def test_a_slow_iteration_gets_the_newest_book_of_each_pair() -> None:
    server = FeedServer()
    async with server.feed() as feed:
        await settle()
        for order_id in range(1, 101):
            server.peer.say(book(order_id), book(order_id, pair="ETH_USD"))
        assert await take(feed) == [book(100), book(100, pair="ETH_USD")]
        assert feed.dropped == 0
        server.peer.say(book(101))
        assert await take(feed) == [book(101)]


@virtual
async def test_a_newer_book_takes_the_place_of_the_one_that_waits() -> None:
    server = FeedServer()
    async with server.feed() as feed:
        await settle()
        server.peer.say(trade(1), book(1), trade(2), book(1, pair="ETH_USD"), book(2), trade(3))
        assert await take(feed) == [trade(1), book(2), trade(2), book(1, pair="ETH_USD"), trade(3)]


@virtual
async def test_trades_are_bounded_and_the_lost_ones_counted() -> None:
    server = FeedServer()
    async with server.feed(max_queue=3) as feed:
        await settle()
        server.peer.say(book(1), *(trade(order_id) for order_id in range(1, 11)), book(10))
        assert await take(feed) == [book(10), trade(8), trade(9), trade(10)]
        assert feed.dropped == 7
        assert feed.last_trade("BTC_USD") == trade(10)


@virtual
async def test_a_waiting_book_goes_with_its_link_and_a_waiting_trade_does_not() -> None:
    server = FeedServer()
    async with server.feed() as feed:
        await settle()
        server.peer.say(book(1), trade(1))
        server.peer.close(1001)
        assert await take(feed) == [trade(1)]
        assert feed.last_trade("BTC_USD") == trade(1)


@virtual
async def test_one_task_iterates() -> None:
    server = FeedServer()
    async with server.feed() as feed:
        first = asyncio.ensure_future(anext(feed))
        await settle()
        with pytest.raises(cp.ConfigurationError, match="another task"):
            await anext(feed)
        server.peer.say(trade())
        assert await first == trade()


# Staying connected


@virtual
async def test_a_lost_link_is_replaced_and_the_book_is_stale_in_between() -> None:
    server = FeedServer()
    seen: list[cp.FeedStateChange] = []
    async with server.feed() as feed, asyncio.TaskGroup() as group:
        group.create_task(follow(feed, seen))
        await settle()
        server.peer.say(book(50))
        made = await feed.wait_book("BTC_USD", timeout=1)
        await asyncio.sleep(100)
        server.peer.close(1012, "server restart")
        await settle()
        assert made.is_stale
        assert made.bids == made.asks == ()
        assert not feed.is_connected
        assert feed.state == cp.FeedStateChange(WAITING, feed.state.reason, 1, 1.0, feed.state.error)
        assert isinstance(feed.state.error, cp.ServerRestart)
        assert feed.state.reason == "connection closed with code 1012: server restart"
        await feed.wait_connected(timeout=10)
        assert now() == 101
        assert made.is_stale
        server.peer.say(book(1))
        assert await feed.wait_book("BTC_USD", timeout=1) is made
        assert made.current_order_id == 1
        assert feed.connections == 2
        await feed.close()
    assert entered(seen) == [CONNECTING, LIVE, WAITING, CONNECTING, LIVE, CLOSED]
    assert [state.attempt for state in seen] == [0, 0, 1, 1, 0, 1]
    assert seen[3].error is seen[2].error
    assert seen[4].error is seen[5].error is None
    assert seen[5].reason == "closed by this end"


@virtual
async def test_it_keeps_trying_at_growing_intervals() -> None:
    server = FeedServer()
    server.refusal = ConnectionRefusedError(111, "Connection refused")
    async with server.feed() as feed:
        await asyncio.sleep(40)
        assert server.opened_at == [0, 1, 3, 7, 15, 23, 31, 39]
        assert feed.state.attempt == 8
        assert "cannot connect to ws://localhost: Connection refused" in feed.state.reason
        assert isinstance(feed.state.error, cp.ConnectionClosed)
        server.refusal = cp.HandshakeError("the server does not speak WebSocket here: HTTP status 502")
        await asyncio.sleep(1000)
        assert "502" in feed.state.reason
        server.refusal = None
        await feed.wait_connected(timeout=10)


@virtual
async def test_the_backoff_begins_anew_only_after_a_link_that_lived() -> None:
    server = FeedServer()
    backoff = cp.Backoff(1.0, 8.0, random=lambda: 1.0)
    async with server.feed(backoff=backoff) as feed:
        for expected in (1.0, 2.0, 4.0, 8.0, 8.0):
            await feed.wait_connected(timeout=10)
            await asyncio.sleep(9.5)
            server.peer.close(1011)
            await settle()
            assert feed.state.delay_s == expected
        await feed.wait_connected(timeout=10)
        await asyncio.sleep(10)
        server.peer.close(1011)
        await settle()
        assert feed.state.delay_s == 1.0
        assert backoff.attempts == 1


@virtual
async def test_a_quiet_but_healthy_link_is_never_cut() -> None:
    server = FeedServer()
    async with server.feed() as feed:
        await settle()
        server.peer.say(book())
        await asyncio.sleep(1_000)
        assert feed.connections == 1
        assert not feed.book("BTC_USD").is_stale
        assert feed.book("BTC_USD").age == 1_000


@virtual
async def test_a_dead_link_is_noticed() -> None:
    server = FeedServer()
    async with server.feed() as feed:
        await settle()
        server.peer.say(book())
        await asyncio.sleep(20)
        server.peer.link.pause_reading()  # neither pongs nor anything else from here on
        states = feed.states()
        assert (await anext(states)).state is LIVE
        state = await anext(states)
        assert state.state is WAITING
        assert isinstance(state.error, cp.HeartbeatTimeout)
        assert 30 <= now() <= 34
        assert feed.book("BTC_USD").is_stale
        await feed.wait_connected(timeout=10)


@virtual
async def test_a_server_that_sends_is_alive_even_without_pongs() -> None:
    server = FeedServer()
    async with server.feed() as feed:
        await settle()
        server.peer.link.pause_reading()
        for _ in range(20):
            await asyncio.sleep(5)
            server.peer.say(trade())
        assert feed.connections == 1
        server.peer.link.resume_reading()


@virtual
async def test_no_ping_is_sent_over_a_link_that_is_gone() -> None:
    server = FeedServer()
    async with server.feed() as feed:
        await asyncio.sleep(9)
        assert server.links[0].pings == 2
        server.peer.close(1012)
        await asyncio.sleep(50)
        assert feed.connections == 2
        assert server.links[0].pings == 2


@virtual
async def test_without_pings_a_silent_link_stays() -> None:
    server = FeedServer()
    async with server.feed(ping_interval=None) as feed:
        await settle()
        server.peer.link.pause_reading()
        await asyncio.sleep(1000)
        assert feed.is_connected
        server.peer.link.resume_reading()


@virtual
async def test_a_server_that_does_not_say_hello_is_given_up() -> None:
    server = FeedServer(script=lambda peer: None)
    async with server.feed() as feed:
        await asyncio.sleep(10.5)
        assert isinstance(feed.state.error, cp.OpenTimeout)
        assert feed.state.state is WAITING
        assert server.peer.closed is not None
        server.script = FeedPeer.hello
        await feed.wait_connected(timeout=1)


@virtual
async def test_an_address_that_does_not_answer_is_given_up() -> None:
    server = FeedServer()
    server.blocked = True
    async with server.feed(open_timeout=3.0) as feed:
        await asyncio.sleep(3.5)
        assert isinstance(feed.state.error, cp.OpenTimeout)
        server.blocked = False
        await feed.wait_connected(timeout=1)


# What a broken server does


def json_frame(text: str) -> bytes:
    return market_frame(text.encode())


BROKEN: dict[str, bytes | str] = {
    "empty": b"",
    "truncated": market_frame(b'{"@type":"X"}')[:-5],
    "fill": market_frame(b'{"@type":"X"}')[:-1] + b"\x01",
    "type": b"\x00\x00\x00\x05" + market_frame(b"{}")[4:],
    "length": b"\x00\x00\x00\x04\xff\xff\xff\xff{}",
    "no JSON": json_frame("{"),
    "no object": json_frame("[1]"),
    "no UTF-8": market_frame(b'{"@type":"\xff"}'),
    "a field is missing": json_frame('{"@type":"OrderBookAgg","trade_pair":"BTC_USD"}'),
    "a level is negative": json_frame(
        '{"@type":"OrderBookAgg","trade_pair":"BTC_USD","current_order_id":9,"buy_levels":{"1":"-1"},"sell_levels":{}}'
    ),
    "a price is no number": json_frame(
        '{"@type":"OrderBookAgg","trade_pair":"BTC_USD","current_order_id":9,"buy_levels":{"NaN":"1"},"sell_levels":{}}'
    ),
    "a trade is no number": json_frame(
        '{"@type":"AnonymousTrade","trade_pair":"BTC_USD","current_order_id":9,"amount":"sNaN","price":"1",'
        '"maker_buy":true,"time":[1,1]}'
    ),
    "text": "hello",
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
@virtual
async def test_a_malformed_frame_is_the_reason_of_a_reconnect(broken: bytes | str) -> None:
    server = FeedServer()
    async with server.feed() as feed:
        await settle()
        peer = server.peer
        peer.say(book())
        if isinstance(broken, str):
            peer.link.send_text(broken)
        else:
            peer.link.send(broken)
        peer.say(book(10), trade(10))
        await settle()
        assert feed.state.state is WAITING
        assert isinstance(feed.state.error, cp.DecodeError)
        assert feed.book("BTC_USD").is_stale
        assert feed.last_trade("BTC_USD") is None, "nothing after it is believed"
        assert peer.closed is not None
        assert peer.closed.code == 1002
        await feed.wait_connected(timeout=10)
        server.peer.say(book(2))
        await feed.wait_book("BTC_USD", timeout=1)


@virtual
async def test_a_server_that_always_breaks_is_not_asked_again_and_again() -> None:
    def broken(peer: FeedPeer) -> None:
        peer.hello()
        peer.link.send(b"nonsense")

    server = FeedServer(broken)
    async with server.feed():
        await asyncio.sleep(40)
        assert server.opened_at == [0, 1, 3, 7, 15, 23, 31, 39]


@pytest.mark.parametrize("hello", [b"", b"\x00\x00\x01", b"\x00\x00\x00\x01\x00", market_frame(b"{}")])
@virtual
async def test_a_malformed_hello_is_the_reason_of_a_reconnect(hello: bytes) -> None:
    server = FeedServer(lambda peer: peer.link.send(hello))
    async with server.feed() as feed:
        await settle()
        assert feed.state.state is WAITING
        assert isinstance(feed.state.error, cp.DecodeError)
        assert feed.connections == 0


@pytest.mark.parametrize("version", [0, 2, 2**32 - 1])
@virtual
async def test_a_version_that_is_not_spoken_ends_the_feed(version: int) -> None:
    server = FeedServer(lambda peer: peer.hello(version))
    async with server.feed() as feed:
        with pytest.raises(cp.UnsupportedVersion, match=rf"version {version} of market data; this client supports 1"):
            await anext(feed)
        await asyncio.sleep(1000)
        assert len(server.peers) == 1
        assert server.peer.closed is not None
        assert server.peer.closed.code == 1002
        assert feed.state.state is CLOSED
        assert isinstance(feed.state.error, cp.UnsupportedVersion)
        assert [state.state async for state in feed.states()] == [CLOSED]
        with pytest.raises(cp.UnsupportedVersion) as first:
            await feed.wait_book("BTC_USD")
        with pytest.raises(cp.UnsupportedVersion) as second:
            await feed.wait_connected()
        assert first.value is not second.value, "tracebacks would pile up on a shared one"
    assert isinstance(feed.state.error, cp.UnsupportedVersion), "close() does not hide it"


@virtual
async def test_a_version_that_changes_over_a_restart_ends_the_feed() -> None:
    server = FeedServer()
    async with server.feed() as feed:
        await settle()
        server.peer.say(trade())
        server.script = lambda peer: peer.hello(2)
        server.peer.close(1012)
        assert await anext(feed) == trade()
        with pytest.raises(cp.UnsupportedVersion):
            await anext(feed)


@pytest.mark.parametrize("error", [cp.ConfigurationError("no such address"), ValueError("a bug in the opener")])
@virtual
async def test_an_error_that_no_attempt_would_change_ends_the_feed(error: Exception) -> None:
    server = FeedServer()
    server.refusal = error
    async with server.feed() as feed:
        with pytest.raises(type(error), match=str(error)):
            await anext(feed)
        await asyncio.sleep(1000)
        assert len(server.opened_at) == 1
        assert feed.state.state is CLOSED
        assert feed.state.reason == str(error)


@virtual
async def test_a_link_whose_opener_fails_late_is_cut() -> None:
    server = FeedServer()

    async def failing(url: str, listener: Any, options: Any) -> Any:
        await server(url, listener, options)
        raise ValueError("a bug in the opener")

    async with cp.MarketData("ws://localhost", transport=failing) as feed:
        with pytest.raises(ValueError, match="a bug in the opener"):
            await anext(feed)
        await settle()
        assert server.peer.closed is not None


# The end


@virtual
async def test_after_close_what_waits_can_still_be_taken() -> None:
    server = FeedServer()
    async with server.feed() as feed:
        await settle()
        server.peer.say(book(), trade(1), trade(2))
        await settle()
        assert feed.queued == 3
    assert feed.book("BTC_USD").is_stale
    assert [update async for update in feed] == [trade(1), trade(2)]
    assert server.peer.closed is not None
    assert server.peer.closed.code == 1000
    assert feed.state == cp.FeedStateChange(CLOSED, "closed by this end")
    await feed.close()
    assert [state.state async for state in feed.states()] == [CLOSED]


@virtual
async def test_close_ends_everybody_who_waits() -> None:
    server = FeedServer()
    async with server.feed() as feed:
        await settle()
        taking = asyncio.ensure_future(anext(feed, None))
        waiting = asyncio.ensure_future(feed.wait_book("BTC_USD"))
        await settle()
        await feed.close()
        assert await taking is None
        with pytest.raises(cp.ConnectionClosed, match="closed by this end"):
            await waiting


@virtual
async def test_a_silent_peer_cannot_hold_a_close() -> None:
    server = StubbornServer()
    async with server.feed() as feed:
        await settle()
        before = now()
        await feed.close(timeout=3)
        assert now() - before == 3
        assert server.peer.closed is not None


@virtual
async def test_a_close_is_no_slower_for_another_that_was_begun_before() -> None:
    server = StubbornServer()
    async with server.feed() as feed:
        await settle()
        server.peer.link.send(b"nonsense")
        await settle()
        before = now()
        await feed.close(timeout=0.25)
        assert now() - before == 0.25


@virtual
async def test_an_opener_that_does_not_let_go_cannot_hold_a_close() -> None:
    server = FeedServer()
    release = asyncio.Event()

    async def clinging(url: str, listener: Any, options: Any) -> Any:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(1000)
        await release.wait()
        return await server(url, listener, options)

    feed = cp.MarketData("ws://localhost", transport=clinging)
    feed.start()
    await settle()
    before = now()
    await feed.close(timeout=3)
    assert now() - before == 3
    release.set()
    await settle()
    assert server.peer.closed is not None, "a link that comes too late is cut"


SITUATIONS: dict[str, Callable[[FeedServer], None]] = {
    "live": lambda server: None,
    "opening": lambda server: setattr(server, "blocked", True),
    "before the hello": lambda server: setattr(server, "script", lambda peer: None),
    "between attempts": lambda server: setattr(server, "refusal", OSError("refused")),
    "over": lambda server: setattr(server, "script", lambda peer: peer.hello(2)),
}


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 20])
@pytest.mark.parametrize("situation", SITUATIONS.values(), ids=SITUATIONS)
@virtual
async def test_close_leaves_nothing_at_any_moment(situation: Callable[[FeedServer], None], turns: int) -> None:
    server = FeedServer()
    situation(server)
    feed = server.feed()
    feed.start()
    for _ in range(turns):
        await asyncio.sleep(0)
    await feed.close()
    assert feed.state.state is CLOSED
    await settle()
    assert all(peer.closed is not None for peer in server.peers)
    attempts = len(server.opened_at)
    await asyncio.sleep(100)
    assert len(server.opened_at) == attempts


@pytest.mark.parametrize("turns", range(4))
@virtual
async def test_a_cancelled_close_still_closes(turns: int) -> None:
    server = StubbornServer()
    feed = server.feed()
    feed.start()
    await settle()
    closing = asyncio.ensure_future(feed.close())
    for _ in range(turns):
        await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    if turns:
        assert feed.state.state is CLOSED
        await asyncio.sleep(6)
        assert server.peer.closed is not None
    await feed.close()


@virtual
async def test_cancelling_loses_nothing() -> None:
    server = FeedServer()
    async with server.feed() as feed:
        await settle()
        states = feed.states()
        assert (await anext(states)).state is LIVE
        calls: list[Callable[[], Any]] = [
            lambda: anext(feed),
            lambda: anext(states),
            lambda: feed.wait_book("BTC_USD"),
        ]
        for turns in range(4):
            for call in calls:
                task = asyncio.ensure_future(call())
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
        taking = asyncio.ensure_future(anext(feed))
        await settle()
        server.peer.say(trade())
        server.peer.close(1001)
        while feed.queued == 0:  # noqa: ASYNC110 - turn by turn
            await asyncio.sleep(0)
        taking.cancel()  # in the very turn in which there is something
        with pytest.raises(asyncio.CancelledError):
            await taking
        assert await anext(feed) == trade()
        assert (await anext(states)).state is WAITING


@virtual
async def test_a_cancelled_body_closes_the_feed() -> None:
    server = FeedServer()

    async def body() -> None:
        async with server.feed() as feed:
            async for _ in feed:
                pass

    task = asyncio.ensure_future(body())
    await settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert server.peer.closed is not None


# States


@virtual
async def test_many_can_follow_the_states_and_a_late_one_begins_with_the_present() -> None:
    server = FeedServer()
    early: list[cp.FeedStateChange] = []
    late: list[cp.FeedStateChange] = []
    async with server.feed() as feed, asyncio.TaskGroup() as group:
        group.create_task(follow(feed, early))
        await settle()
        server.peer.close(1012)
        await settle()
        group.create_task(follow(feed, late))
        await feed.wait_connected(timeout=5)
        await feed.close()
    assert entered(early) == [CONNECTING, LIVE, WAITING, CONNECTING, LIVE, CLOSED]
    assert entered(late) == [WAITING, CONNECTING, LIVE, CLOSED]


@virtual
async def test_one_who_is_far_behind_misses_the_oldest_states_only() -> None:
    server = FeedServer()
    server.refusal = OSError("refused")
    async with server.feed(backoff=cp.Backoff(1, 1, random=lambda: 1.0)) as feed:
        states = feed.states()
        assert (await anext(states)).state is CONNECTING
        await asyncio.sleep(100.5)
    rest = [state async for state in states]
    assert len(rest) == 64
    assert rest[-1].state is CLOSED
    attempts = [state.attempt for state in rest if state.state is WAITING]
    assert attempts == list(range(attempts[0], 102))


# Its options


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"url": "ws://example.com"}, "insecure=True"),
        ({"url": "https://example.com"}, "not a WebSocket address"),
        ({"transport": "carrier pigeon"}, "choose"),
        ({"open_timeout": 0}, "open_timeout=0"),
        ({"open_timeout": None}, "open_timeout=None"),
        ({"ping_interval": -1}, "ping_interval=-1"),
        ({"ping_timeout": 0}, "ping_timeout=0"),
        ({"max_queue": 0}, "max_queue=0"),
        ({"max_queue": True}, "max_queue=True"),
        ({"max_message_size": "1"}, "max_message_size='1'"),
        ({"pairs": "BTC_USD"}, r"write \['BTC_USD'\]"),
    ],
)
def test_options_that_cannot_be_are_refused_at_once(options: dict[str, Any], words: str) -> None:
    with pytest.raises(cp.ConfigurationError, match=words):
        cp.MarketData(**{"url": "wss://example.com"} | options)


def test_plain_ws_to_another_machine_on_request() -> None:
    feed = cp.MarketData("ws://example.com", insecure=True)
    assert feed.state == cp.FeedStateChange(cp.FeedState.IDLE, "not started")


@virtual
async def test_the_repr_says_address_state_and_best_prices() -> None:
    server = FeedServer()
    feed = server.feed()
    assert repr(feed) == "<MarketData ws://localhost, idle>"
    async with feed:
        await feed.wait_connected(timeout=1)
        assert repr(feed) == "<MarketData ws://localhost, live>"
        server.peer.say(book(1, {"99": "2"}, {}), book(2, {}, {"7": "1"}, pair="ETH_USD"))
        await settle()
        assert (
            repr(feed) == "<MarketData ws://localhost, live, BTC_USD bid 99 × 2, ask none, ETH_USD bid none, ask 7 × 1>"
        )
        server.peer.say(*(book(3, pair=pair) for pair in ("A_B", "C_D")))
        await settle()
        assert repr(feed).endswith(", and 1 more pairs>")
    assert repr(feed).startswith("<MarketData ws://localhost, closed, A_B stale, BTC_USD stale, ")


@virtual
async def test_the_repr_names_the_pairs_that_were_asked_for() -> None:
    feed = FeedServer().feed(pairs=["ETH_USD", "BTC_USD"])
    assert repr(feed) == "<MarketData ws://localhost, idle, BTC_USD stale, ETH_USD stale>"


def test_a_password_in_the_address_is_not_shown() -> None:
    feed = cp.MarketData("wss://user:hunter2@example.com")
    assert repr(feed) == "<MarketData wss://***@example.com, idle>"


@virtual
async def test_a_pair_that_was_not_asked_for() -> None:
    feed = FeedServer().feed(pairs=["BTC_USD", "ETH_USD"])
    for call in (feed.book, feed.last_trade):
        with pytest.raises(cp.ConfigurationError, match="A_B is not among the pairs= of this feed: BTC_USD, ETH_USD"):
            call("A_B")


@virtual
async def test_a_feed_is_started_once_and_before_it_is_used() -> None:
    server = FeedServer()
    feed = server.feed()
    for call in (lambda: anext(feed), lambda: feed.wait_book("BTC_USD"), feed.wait_connected):
        with pytest.raises(cp.ConfigurationError, match="not been started"):
            await call()
    async with feed:
        with pytest.raises(cp.ConfigurationError, match="started only once"):
            feed.start()
    with pytest.raises(cp.ConfigurationError, match="started only once"):
        feed.start()
    unused = server.feed()
    await unused.close()
    with pytest.raises(cp.ConfigurationError, match="started only once"):
        unused.start()


# Whatever the server does

PAIRS = ["BTC_USD", "ETH_USD"]
ACTIONS = st.one_of(
    st.tuples(st.just("book"), st.sampled_from(PAIRS), st.integers(1, 99)),
    st.tuples(st.just("trade"), st.sampled_from(PAIRS), st.integers(1, 99)),
    st.sampled_from([("cut",), ("close",), ("nonsense",), ("take",), ("sleep",)]),
)


@settings(max_examples=60, deadline=None)
@given(actions=st.lists(ACTIONS, max_size=30))
def test_a_book_is_the_last_snapshot_of_this_link_or_stale(actions: list[tuple[Any, ...]]) -> None:
    async def play() -> None:
        server = FeedServer()
        async with server.feed(max_queue=5) as feed:
            said: dict[str, cp.OrderBookAgg] = {}
            order_id = trades = taken = 0
            await settle()
            for action, *arguments in actions:
                if not feed.is_connected:
                    await feed.wait_connected(timeout=60)
                if action == "book":
                    pair, price = arguments
                    order_id += 1
                    said[pair] = book(order_id, {str(price): "1"}, {}, pair=pair)
                    server.peer.say(said[pair])
                elif action == "trade":
                    trades += 1
                    server.peer.say(trade(trades, str(arguments[1]), pair=arguments[0]))
                elif action == "take":
                    taken += sum(isinstance(update, cp.AnonymousTrade) for update in await take(feed))
                elif action == "sleep":
                    await asyncio.sleep(15)
                else:
                    await settle()
                    said.clear()
                    order_id = 0
                    if action == "nonsense":
                        server.peer.link.send(b"nonsense")
                    elif action == "cut":
                        server.peer.link.abort()
                    else:
                        server.peer.close(1012)
                await settle()
                for pair in PAIRS:
                    expected = said.get(pair)
                    bids = () if expected is None else tuple(expected.buy_levels.items())
                    assert feed.book(pair).bids == bids
                    assert feed.book(pair).is_stale == (expected is None)
            taken += sum(isinstance(update, cp.AnonymousTrade) for update in await take(feed))
            assert taken + feed.dropped == trades

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(play())
