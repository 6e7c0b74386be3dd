"""``book``: the public order book of a running exchange."""

from __future__ import annotations

import pytest

from tests.support.command_line import Shell


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


@pytest.mark.usefixtures("venue")
def test_a_pair_without_a_book(shell: Shell) -> None:
    missing = shell("book", "NO_SUCH", "--once", "--timeout", "0.05")
    assert missing.code == 1
    assert "no book of NO_SUCH came" in " ".join(missing.err.split())
