"""``book``: the public order book of a running exchange."""

from __future__ import annotations

import asyncio
import json
import signal
from decimal import Decimal

import pytest

import cryptoproto as cp
from cryptoproto import sync
from cryptoproto.cli.book import _first, _table
from cryptoproto.sync.exchange import Exchange
from tests.support.command_line import Shell, start
from tests.support.scripted_feed import FeedServer
from tests.support.virtual_time import virtual


@pytest.mark.usefixtures("venue")
def test_the_book(shell: Shell) -> None:
    assert shell("order", "buy", "BTC_USD", "0.5", "15000").code == 0
    book = shell("book", "BTC_USD", "--once", "--json")
    assert book.code == 0, book.err
    (shown,) = book.lines
    assert shown["trade_pair"] == "BTC_USD"
    assert shown["bids"] == [["15000.00000000", "0.50000000"]]
    assert shown["asks"] == []
    assert "15000" in shell("book", "BTC_USD", "--once").out


def test_an_exchange_that_cannot_be_reached(shell: Shell, unused_tcp_port: int) -> None:
    result = shell("book", "BTC_USD", "--url", f"ws://127.0.0.1:{unused_tcp_port}", "--timeout", "0.2")
    assert result.code == 3
    assert f"cannot connect to ws://127.0.0.1:{unused_tcp_port}" in " ".join(result.err.split())
    assert shell("book", "BTC_USD", "--url", "ws://example.com").code == 2


@pytest.mark.usefixtures("venue")
def test_a_pair_without_a_book(shell: Shell) -> None:
    missing = shell("book", "NO_SUCH", "--once", "--timeout", "1")
    assert missing.code == 4
    shown = " ".join(missing.err.split())
    assert "no book of NO_SUCH came" in shown
    assert "there are books of BTC_EUR, BTC_USD" in shown


def test_it_follows_the_book_until_sigterm(shell: Shell, venue: Exchange) -> None:
    environment = {"CRYPTOPROTO_MARKET_DATA_URL": venue.market_data_url}
    with start("book", "BTC_USD", "--json", cwd=shell.folder, env=environment) as program:
        assert json.loads(program.first_line)["trade_pair"] == "BTC_USD"
        assert shell("order", "buy", "BTC_USD", "0.5", "15000").code == 0
        assert program.process.stdout is not None
        while not json.loads(program.process.stdout.readline())["bids"]:
            pass
        assert program.kill(signal.SIGTERM) == 143


@pytest.mark.parametrize("terminal", [{}, {"FORCE_COLOR": "1", "TERM": "dumb"}], ids=["pipe", "dumb terminal"])
def test_it_prints_each_change_where_nothing_can_be_redrawn(
    shell: Shell, venue: Exchange, terminal: dict[str, str]
) -> None:
    environment = {"CRYPTOPROTO_MARKET_DATA_URL": venue.market_data_url, **terminal}
    with start("book", "BTC_USD", cwd=shell.folder, env=environment) as program:
        assert "BTC_USD" in program.first_line
        assert shell("order", "buy", "BTC_USD", "0.5", "15000").code == 0
        assert program.process.stdout is not None
        while "0.50000000  15000.00000000" not in program.process.stdout.readline():
            pass
        assert program.kill(signal.SIGTERM) == 143


def test_it_shows_the_book_until_sigterm(shell: Shell, venue: Exchange) -> None:
    with start(
        "book",
        "BTC_USD",
        cwd=shell.folder,
        env={"CRYPTOPROTO_MARKET_DATA_URL": venue.market_data_url, "FORCE_COLOR": "1"},
    ) as program:
        assert program.kill(signal.SIGTERM) == 143


def test_the_screen_is_refreshed_until_the_end(shell: Shell, venue: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    left = [0.1, 0.1]

    async def stop(seconds: float) -> None:
        left.remove(seconds)
        if not left:
            raise asyncio.CancelledError

    monkeypatch.setattr("cryptoproto.cli.book.asyncio.sleep", stop)
    shell.environment["FORCE_COLOR"] = "1"  # rich takes it for a terminal then
    shown = shell("book", "BTC_USD")
    assert shown.code == 143
    assert "BTC_USD" in shown.out


def test_json_follows_the_book(
    shell: Shell, venue: Exchange, alice_key: cp.PrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[dict[str, object]] = []
    with sync.Client(
        venue.url, client_id="alice", private_key=alice_key, server_key=venue.public_key, protocol=cp.Protocol.V5
    ) as client:

        def on_book(book: dict[str, object]) -> None:
            shown.append(book)
            if book["bids"]:
                raise asyncio.CancelledError
            if len(shown) == 1:
                client.place("BTC_USD", cp.Side.BUY, amount="1", price="10")

        monkeypatch.setattr("cryptoproto.cli.book.print_json", on_book)
        assert shell("book", "BTC_USD", "--json").code == 143
    assert shown[-1]["bids"] == [["10.00000000", "1.00000000"]]


@virtual
async def test_a_feed_without_any_book() -> None:
    async with FeedServer().feed() as feed:
        with pytest.raises(cp.RequestTimeout, match=r"no book of BTC_USD was received within 0\.1 s"):
            await _first(feed, "BTC_USD", "ws://localhost", 0.1)


@virtual
async def test_the_first_attempt_has_to_succeed() -> None:
    server = FeedServer()
    server.refusal = OSError(111, "Connection refused")
    async with server.feed() as feed:
        with pytest.raises(cp.ConnectError, match=r"Connection refused$"):
            await _first(feed, "BTC_USD", "ws://localhost", 10.0)
        assert asyncio.get_running_loop().time() == 0


@pytest.mark.parametrize(
    ("bid", "ask", "title"), [(None, None, "stale: not connected"), (2, 1, "crossed"), (1, 2, "BTC_USD")]
)
def test_the_title_warns_of_a_book_that_cannot_be_used(bid: int | None, ask: int | None, title: str) -> None:
    book = cp.OrderBook("BTC_USD")
    if bid is not None and ask is not None:
        levels = {Decimal(bid): Decimal(1)}, {Decimal(ask): Decimal(1)}
        book.apply(cp.OrderBookAgg("BTC_USD", 1, *levels))
    table = _table(book, 5)
    assert title in str(table.title)
    assert table.row_count == (0 if bid is None else 2)


def test_an_address_without_market_data_is_questioned(shell: Shell, venue: Exchange) -> None:
    result = shell("book", "BTC_USD", "--once", "--url", venue.url, "--timeout", "0.2")
    assert result.code == 3
    assert "market data address of the exchange?" in " ".join(result.err.split())
