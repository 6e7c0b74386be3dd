"""How long after an order is acknowledged a browser shows it, on a status page with a thousand open orders.

An exchange, a client and its status page run in this process; the page is open in a real browser. A script in the page
notes when the table row of the order has been painted. Both clocks are that of the machine.
"""

from __future__ import annotations

import asyncio
import shutil
import statistics
import time
from typing import Any, Final

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from cryptoproto.status import serve_status

from ..machinery.effort import Effort
from ..machinery.report import Row
from ..machinery.runtime import run

__all__ = ["ROUNDS", "rows"]

ROUNDS: Final = 40
_STANDING: Final = 1_000
_BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")
_PAUSES_S: Final = (0.31, 0.37, 0.43)  # not multiples of the page's interval, so orders come at any point of it

# Resolves with the time in ms since 1970 at which the frame after the one that has the new row began: then it is shown.
_SHOWN: Final = """() => new Promise((resolve) => {
    const body = document.querySelector("#orders tbody");
    new MutationObserver((changes, observer) => {
        observer.disconnect();
        requestAnimationFrame(() => requestAnimationFrame(() => resolve(Date.now())));
    }).observe(body, {childList: true});
})"""


def rows(effort: Effort) -> list[Row]:
    """The 90th percentile and, in the title, the longest."""
    ages_ms = sorted(run(_ages_ms(effort.rounds, effort.scaled(_STANDING))))
    title = (
        f"a browser shows an order at most this long after its acknowledgement, nine times of ten "
        f"({len(ages_ms)} orders; median {statistics.median(ages_ms):.0f} ms, longest {ages_ms[-1]:.0f} ms)"
    )
    return [Row.absolute("status-browser", title, ages_ms[len(ages_ms) * 9 // 10], unit="ms", below=250.0)]


async def _ages_ms(rounds: int, standing: int) -> list[float]:
    from playwright.async_api import async_playwright  # here: the other rows do not need a browser

    chromium = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if chromium is None:
        raise SystemExit("This needs a browser: apt-get install chromium")
    key = cp.PrivateKey.generate()
    async with Exchange(max_open_orders=2 * _STANDING) as exchange:
        exchange.register("alice", key.public_key, balances={"USD": "100000000", "BTC": "100000"})
        client = cp.Client(exchange.url, client_id="alice", private_key=key, server_key=exchange.public_key)
        async with client, serve_status(client) as status, async_playwright() as playwright:
            for number in range(standing):
                await client.place("BTC_USD", "buy", amount="0.01", price=str(10_000 + number))
            browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = await browser.new_page()
            await page.goto(status.url)
            await page.wait_for_function(f"document.querySelectorAll('#orders tbody tr').length >= {standing}")
            ages = [await _age_ms(client, page, _PAUSES_S[number % 3]) for number in range(rounds)]
            await browser.close()
    return ages


async def _age_ms(client: cp.Client, page: Any, pause_s: float) -> float:
    shown = asyncio.ensure_future(page.evaluate(_SHOWN))
    await asyncio.sleep(pause_s)  # until the script of the page waits, and then for no fixed time
    order = await client.place("BTC_USD", "buy", amount="0.01", price="9000")
    acknowledged_ms = time.time() * 1000
    age: float = await shown - acknowledged_ms
    gone = asyncio.ensure_future(page.evaluate(_SHOWN))
    await asyncio.sleep(pause_s)
    await client.cancel(order)
    await gone
    return age
