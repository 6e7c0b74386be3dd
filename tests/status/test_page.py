"""The live page in a real browser: what it shows, and what happens to a page that is left open.

``UPDATE_SCREENSHOTS=1`` writes the screenshots of the documentation anew.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Page, expect

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from cryptoproto.status import serve_status
from tests.support.browser import browser, needs_chromium

pytestmark = needs_chromium
IMAGES = Path(__file__).parents[2] / "docs/images"
FUNDS = {"USD": "10000000", "BTC": "1000", "ETH": "500"}


class Desk:
    """A client that is looked at, one that trades with it, and the feed."""

    def __init__(self, client: cp.Client, other: cp.Client, feed: cp.MarketData) -> None:
        self.client = client
        self.other = other
        self.feed = feed

    async def ladder(self, count: int) -> None:
        """Open orders on both sides of the market."""
        await asyncio.gather(
            *(
                self.client.place(
                    "BTC_USD",
                    "buy" if number % 2 else "sell",
                    amount=f"0.{1 + number % 9}",
                    price=15000 + (-number if number % 2 else number + 10),
                )
                for number in range(count)
            )
        )

    async def fill(self) -> None:
        """A few fills."""
        for number in range(6):
            side, price = ("sell", "14990") if number % 2 else ("buy", "15015")
            await self.other.place("BTC_USD", side, amount="0.25", price=price, time_in_force="ioc")
        await self.other.place("ETH_USD", "buy", amount="4", price="1210.5")
        await self.client.place("ETH_USD", "sell", amount="2.5", price="1210.5")
        await self.client.open_orders()


@pytest.fixture
async def desk(keys: dict[str, cp.PrivateKey]) -> AsyncIterator[Desk]:
    def client_of(name: str, exchange: Exchange) -> cp.Client:
        exchange.register(name, keys[name].public_key, FUNDS)
        return cp.Client(
            exchange.url,
            client_id=name,
            private_key=keys[name],
            server_key=exchange.public_key,
            protocol=cp.Protocol.V5,
        )

    async with (
        Exchange(private_key=keys["exchange"], book_interval=0.001) as exchange,
        client_of("alice", exchange) as alice,
        client_of("bob", exchange) as bob,
        cp.MarketData(exchange.market_data_url) as feed,
    ):
        yield Desk(alice, bob, feed)


async def text_of(page: Page, selector: str) -> str:
    return await page.locator(selector).inner_text()


async def rows_of(page: Page, table: str) -> list[list[str]]:
    rows: list[list[str]] = await page.evaluate(
        "rows => [...document.querySelectorAll(rows)].map(row => [...row.cells].map(cell => cell.textContent))",
        f"#{table} tbody tr",
    )
    return rows


async def test_it_follows_the_client(desk: Desk) -> None:
    async with serve_status(desk.client, feed=desk.feed) as status, browser() as opener:
        page = await opener.open(status.url)
        await expect(page.locator("#state")).to_have_text("live")
        await expect(page.locator("#orders-card .empty")).to_have_text("No open orders.")
        assert urlsplit(page.url).query == "", "the token is not in the address, the history or a bookmark"
        assert await page.title() == "alice – status"

        order = await desk.client.place("BTC_USD", "buy", amount="2", price="15000", client_order_id=77)
        await expect(page.locator("#orders tbody tr")).to_have_count(1)
        await desk.other.place("BTC_USD", "sell", amount="0.5", price="15000")
        await expect(page.locator("#fills tbody tr")).to_have_count(1)
        (row,) = await rows_of(page, "orders")
        assert row[:8] == [str(order.order_id), "BTC_USD", "buy", "15,000", "1.5", "2", "gtc", "open"]
        (fill,) = await rows_of(page, "fills")
        assert fill[1:] == ["BTC_USD", "buy", "15,000", "0.5", "maker", str(order.order_id)]
        await expect(page.locator("#positions tbody tr td").first).to_have_text("BTC_USD")
        await expect(page.locator("#positions .buy")).to_have_text("15,000")
        assert ["BTC", "1,000.5", "0"] in await rows_of(page, "balances")

        await desk.client.cancel(order)
        await expect(page.locator("#orders tbody tr")).to_have_count(0)
        await desk.client.close()
        await expect(page.locator("#state")).to_have_text("closed")
        assert (await rows_of(page, "states"))[0][1:] == ["closed", "closed by this end"]


async def test_a_thousand_orders_of_which_only_changed_rows_are_touched(desk: Desk) -> None:
    await desk.ladder(1000)
    async with serve_status(desk.client) as status, browser() as opener:
        page = await opener.open(status.url)
        await expect(page.locator("#orders tbody tr")).to_have_count(1000)
        await expect(page.locator("#order-count")).to_have_text("1,000")
        await page.evaluate("for (const row of document.querySelectorAll('#orders tbody tr')) row.dataset.kept = 'yes'")
        newest = max(desk.client.orders.open, key=lambda order: order.order_id or 0)
        await desk.client.cancel(newest)
        await desk.client.place("BTC_USD", "buy", amount="1", price="1", client_order_id=5)
        await expect(page.locator("#orders tbody tr").first).to_contain_text("buy")
        await expect(page.locator("#orders tbody tr[data-kept]")).to_have_count(999)
        await expect(page.locator("#orders tbody tr:not([data-kept])")).to_have_count(1)

        await page.fill("#filter", "btc_usd SELL")
        await expect(page.locator("#orders tbody tr:visible")).to_have_count(500 - (newest.side is cp.Side.SELL))
        await page.fill("#filter", "nothing like it")
        await expect(page.locator("#orders tbody tr:visible")).to_have_count(0)


async def test_cancelling_all_orders_is_asked_twice(desk: Desk) -> None:
    await desk.ladder(4)
    async with serve_status(desk.client, allow_cancel=True) as status, browser() as opener:
        page = await opener.open(status.url)
        await page.click("#cancel-all")
        await expect(page.locator("#question")).to_have_text("Cancel all open orders?")
        await page.click("#no")
        await expect(page.locator("#confirm")).to_be_hidden()
        await page.click("#cancel-all")
        await page.click("#yes")
        await expect(page.locator("#question")).to_contain_text("The bot has 4 open orders. Really")
        assert len(desk.client.orders.open) == 4
        await page.click("#yes")
        await expect(page.locator("#question")).to_have_text("All orders are cancelled.")
        assert desk.client.orders.open == []
        await page.click("#no")
        await expect(page.locator("#orders tbody tr")).to_have_count(0)

        await page.click("#cancel-all")
        await page.click("#yes")
        await expect(page.locator("#question")).to_contain_text("The bot has 0 open orders")
        await desk.client.close()
        await page.click("#yes")
        await expect(page.locator("#question")).to_contain_text("Not cancelled: the client is closed")
        opener.problems.clear()  # the console reports the refusal


async def test_a_read_only_page_cannot_cancel(desk: Desk) -> None:
    async with serve_status(desk.client) as status, browser() as opener:
        page = await opener.open(status.url)
        await expect(page.locator("#state")).to_have_text("live")
        await expect(page.locator("#cancel-all")).to_be_hidden()
        assert await page.evaluate("fetch('/cancel-all', {method: 'POST'}).then(answer => answer.status)") == 405
        opener.problems.clear()  # the console reports the refusal


async def test_a_page_that_is_left_open_over_a_restart(desk: Desk) -> None:
    order = await desk.client.place("BTC_USD", "buy", amount="2", price="15000")
    async with browser() as opener:
        async with serve_status(desk.client, token="fixed") as status:
            port = urlsplit(status.url).port or 0
            page = await opener.open(status.url)
            await expect(page.locator("#orders tbody tr")).to_have_count(1)
        await expect(page.locator("#state")).to_have_text("not connected")
        await expect(page.locator("#banner")).to_contain_text("The bot has stopped")
        await expect(page.locator("#banner")).to_contain_text("No connection to the bot")
        await expect(page.locator("#orders tbody tr")).to_have_count(1)
        assert await page.evaluate("document.body.classList.contains('stale')")

        await desk.client.cancel(order)
        async with serve_status(desk.client, port=port, token="fixed"):
            await expect(page.locator("#state")).to_have_text("live")
            await expect(page.locator("#banner")).to_contain_text("The bot was restarted")
            await expect(page.locator("#orders tbody tr")).to_have_count(0)
            assert not await page.evaluate("document.body.classList.contains('stale')")

        async with serve_status(desk.client, port=port) as renewed:
            await expect(page.locator("#banner")).to_contain_text("The token is no longer valid")
            await page.reload()
            await expect(page.locator("h1")).to_have_text("This page needs its token")
            await page.goto(renewed.url)
            await expect(page.locator("#state")).to_have_text("live")


async def test_a_bot_that_says_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cryptoproto.status.event_stream._BEAT_AFTER_S", 1e9)
    async with serve_status(desk.client) as status, browser() as opener:
        page = await opener.page(await opener.context())
        await page.clock.install()
        await page.goto(status.url)
        await expect(page.locator("#state")).to_have_text("live")
        await page.clock.fast_forward(12_000)
        await expect(page.locator("#banner")).to_contain_text("Nothing received from the bot for 1")
        await expect(page.locator("#updated")).to_contain_text("s ago")
        await desk.client.place("BTC_USD", "buy", amount="2", price="15000")
        await page.clock.run_for(1000)
        await expect(page.locator("#orders tbody tr")).to_have_count(1)
        await expect(page.locator("#banner")).to_be_hidden()
        await expect(page.locator("#state")).to_have_text("live")


async def test_without_a_token_nothing_is_shown(desk: Desk) -> None:
    async with serve_status(desk.client) as status, browser() as opener:
        page = await opener.open(status.address)
        await expect(page.locator("h1")).to_have_text("This page needs its token")
        assert "alice" not in await page.content()


async def test_another_site_cannot_read_it(desk: Desk) -> None:
    """A page of another origin in the same browser, which has the cookie."""
    async with serve_status(desk.client) as status, serve_status(desk.other) as elsewhere, browser() as opener:
        context = await opener.context()
        for url in (status.url, elsewhere.url):
            page = await opener.page(context)
            await page.goto(url)
            await expect(page.locator("#state")).to_have_text("live")
        attempt = "url => fetch(url, {credentials: 'include'}).then(answer => answer.text(), error => 'refused')"
        assert await page.evaluate(attempt, f"{status.address}/status.json") == "refused"
        opener.problems.clear()  # the console reports the refusal


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("name", "width", "height"), [("wide", 1200, 800), ("phone", 360, 740)])
async def test_how_it_looks(desk: Desk, scheme: Any, name: str, width: int, height: int) -> None:
    await desk.ladder(14)
    await desk.fill()
    async with serve_status(desk.client, feed=desk.feed) as status, browser() as opener:
        page = await opener.open(
            status.url, viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
        )
        await expect(page.locator("#positions tbody tr")).to_have_count(2)
        await expect(page.locator("#fills tbody tr")).not_to_have_count(0)
        assert await page.evaluate("document.documentElement.scrollWidth") <= width, "nothing is cut off at the side"
        for table in ("balances", "positions", "orders", "fills", "latencies", "states"):
            overflow = await page.evaluate(
                "table => table.scrollWidth - table.closest('.card').clientWidth",
                await page.query_selector(f"#{table}"),
            )
            assert overflow <= 0, table
        background = await page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (background == "rgb(245, 246, 248)") is (scheme == "light")
        picture = await page.screenshot(full_page=name == "phone")
        if os.environ.get("UPDATE_SCREENSHOTS"):
            IMAGES.mkdir(exist_ok=True)
            (IMAGES / f"status-{name}-{scheme}.png").write_bytes(picture)


def test_the_documentation_has_the_screenshots() -> None:
    pictures = sorted(path.name for path in IMAGES.glob("status-*.png"))
    assert pictures == [f"status-{name}-{scheme}.png" for name in ("phone", "wide") for scheme in ("dark", "light")]
    page = (IMAGES.parent / "status.md").read_text()
    assert all(f"images/{picture}" in page for picture in pictures)
