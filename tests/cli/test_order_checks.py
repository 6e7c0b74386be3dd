"""Orders by command with the instruments and limits of a profile: refused before anything is sent."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import cryptoproto as cp
from cryptoproto.cli.order_checks import OrderCheck
from cryptoproto.sync.exchange import Exchange
from tests.support.command_line import Result, Shell
from tests.support.config import write_config

RULES = """
    [[profiles.paper.instruments]]
    trade_pair = "BTC_USD"
    tick_size = 0.5
    [profiles.paper.limits]
    pairs = ["BTC_USD", "ETH_USD"]
    max_amount = 2
    max_open_value = { USD = 30000 }
    """

Place = Callable[..., Result]


@pytest.fixture
def config(shell: Shell, venue: Exchange) -> Path:
    """A profile without instruments and limits, and the variables that would make it unnecessary removed."""
    path = shell.folder / "config.toml"
    shell.environment = {"CRYPTOPROTO_CONFIG": str(path)}
    return write_config(
        path,
        f"""
        [profiles.paper]
        url = "{venue.url}"
        client_id = "alice"
        key = "alice.pem"
        server_key = "exchange.pub"
        """,
    )


def extend(path: Path, text: str) -> None:
    write_config(path, path.read_text() + "\n" + "\n".join(line.strip() for line in text.splitlines()))


@pytest.fixture
def place(shell: Shell, config: Path) -> Place:
    return lambda *arguments: shell("order", *arguments, "--profile", "paper")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("buy", "BTC_USD", "1", "100.25"), "not a multiple of the tick size 0.5 of BTC_USD"),
        (("sell", "BTC_USD", "2.5", "100"), "exceeds the limit max_amount=2"),
        (("buy", "DOGE_USD", "1", "1"), "is not one of the pairs= of the limits: BTC_USD, ETH_USD"),
        (("buy", "BTC_USD", "2", "15000.5"), "with this order of 30001 USD they exceed the limit max_open_value=30000"),
    ],
)
def test_what_the_order_alone_shows_is_refused_without_a_connection(
    shell: Shell, venue: Exchange, config: Path, place: Place, arguments: tuple[str, ...], words: str
) -> None:
    extend(config, RULES)
    venue.close()
    refused = place(*arguments)
    assert refused.code == 2
    assert words in " ".join(refused.err.split())


def test_open_orders_count(shell: Shell, config: Path, place: Place) -> None:
    extend(config, RULES)
    assert place("buy", "BTC_USD", "1", "20000").code == 0
    refused = place("buy", "ETH_USD", "1", "10001")
    assert refused.code == 2
    assert "the open orders of all pairs in USD are worth 20000 USD" in " ".join(refused.err.split())
    assert place("buy", "ETH_USD", "1", "10000").code == 0
    orders = json.loads(shell("request", "orders", "--profile", "paper", "--json").out)
    assert {pair: len(book["buy"]) for pair, book in orders["order_books"].items()} == {"BTC_USD": 1, "ETH_USD": 1}


def test_a_price_band_is_around_the_mid_of_the_book(shell: Shell, venue: Exchange, config: Path, place: Place) -> None:
    assert place("buy", "BTC_USD", "0.1", "99").code == 0
    assert place("sell", "BTC_USD", "0.1", "101").code == 0
    extend(config, "[profiles.paper.limits]\nprice_band = 0.05")
    refused = place("buy", "BTC_USD", "0.1", "90")
    assert refused.code == 2
    assert "no market_data_url in [profiles.paper]" in " ".join(refused.err.split())
    shell.environment["CRYPTOPROTO_MARKET_DATA_URL"] = venue.market_data_url
    refused = place("buy", "BTC_USD", "0.1", "90")
    assert refused.code == 2
    assert "90 of BTC_USD is 10 % below the mid of the book, 100" in " ".join(refused.err.split())
    assert place("buy", "BTC_USD", "0.1", "96").code == 0


def test_a_pair_without_a_book(shell: Shell, venue: Exchange, config: Path, place: Place) -> None:
    shell.environment["CRYPTOPROTO_MARKET_DATA_URL"] = venue.market_data_url
    extend(config, "[profiles.paper.limits]\nprice_band = 0.05")
    refused = place("buy", "BTC_USD", "0.1", "90", "--timeout", "0.2")
    assert refused.code == 2  # and not 4, after which an order may have been placed
    assert 'cannot be checked; wait for the book, or use when_stale="allow"' in " ".join(refused.err.split())
    extend(config, 'when_stale = "allow"')
    assert place("buy", "BTC_USD", "0.1", "90").code == 0


class Unanswered:
    """A connection on which a request is answered with *response*, or never."""

    def __init__(self, response: cp.Message | cp.Unknown | None = None) -> None:
        self._response = response

    async def request(self, _message: object, *, timeout: float) -> cp.Message | cp.Unknown:
        if self._response is None:
            raise cp.RequestTimeout(f"no answer within {timeout:g} s")
        return self._response


def test_a_band_of_another_pair_needs_no_book(config: Path, place: Place) -> None:
    extend(config, "[profiles.paper.limits]\nprice_band = { ETH_USD = 0.05 }")
    assert place("buy", "BTC_USD", "0.1", "90").code == 0


async def test_an_order_is_not_sent_if_the_open_orders_are_not_known(config: Path) -> None:
    extend(config, RULES)
    message = cp.PlaceBuyLimitOrder(trade_pair="BTC_USD", amount="1", price="20000")
    check = OrderCheck(cp.Profile.load("paper", path=config), message, 1.0)
    with pytest.raises(cp.RequestNotSent, match="the order was not sent, because its limits need the open orders"):
        await check.check(Unanswered(), None)  # type: ignore[arg-type]
    with pytest.raises(cp.RequestNotSent, match="UserOrdersResponse was expected"):
        await check.check(Unanswered(cp.Unknown("Later", {})), None)  # type: ignore[arg-type]
