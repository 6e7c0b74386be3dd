"""``book``: the public order book of a running exchange."""

from __future__ import annotations

import json
import signal

import pytest

from cryptoproto.sync.exchange import Exchange
from tests.support.command_line import Shell, start


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
    assert f"no connection to ws://127.0.0.1:{unused_tcp_port} within 0.2 s" in " ".join(result.err.split())
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


def test_it_shows_the_book_until_sigterm(shell: Shell, venue: Exchange) -> None:
    with start(
        "book",
        "BTC_USD",
        cwd=shell.folder,
        env={"CRYPTOPROTO_MARKET_DATA_URL": venue.market_data_url, "FORCE_COLOR": "1"},
    ) as program:
        assert program.kill(signal.SIGTERM) == 143
