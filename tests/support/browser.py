"""Debian's chromium, driven by playwright. Tests that need it are skipped where it is not installed."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

__all__ = ["CHROMIUM", "Opener", "browser", "needs_chromium"]

CHROMIUM: Final = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_PATIENCE_MS: Final = 30_000  # far more than a page needs, for a busy machine
_ARGUMENTS: Final = (
    "--no-sandbox",  # the tests may run as root, and the pages are ours
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

expect.set_options(timeout=_PATIENCE_MS)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: apt-get install chromium")


class Opener:
    """Opens pages, and collects what goes wrong in them.

    Attributes:
        problems: script errors, and messages on the console that are errors or warnings.
    """

    def __init__(self, browser: Browser) -> None:
        self.problems: list[str] = []
        self._browser = browser

    async def context(self, **options: Any) -> BrowserContext:
        """A browser without cookies; *options* are those of playwright."""
        context = await self._browser.new_context(**options)
        context.set_default_timeout(_PATIENCE_MS)
        return context

    async def page(self, context: BrowserContext) -> Page:
        """A new tab."""
        page = await context.new_page()
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("console", lambda message: self._note(message.type, message.text))
        return page

    async def open(self, url: str, **options: Any) -> Page:
        """A page in a browser without cookies."""
        page = await self.page(await self.context(**options))
        await page.goto(url)
        return page

    def _note(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and "net::ERR_" not in text and "status of 401" not in text:
            self.problems.append(text)


@asynccontextmanager
async def browser() -> AsyncIterator[Opener]:
    """A browser that runs while the block runs. Fails if something went wrong in one of its pages."""
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=_ARGUMENTS)
        opener = Opener(chromium)
        yield opener
        await chromium.close()
    assert opener.problems == []
