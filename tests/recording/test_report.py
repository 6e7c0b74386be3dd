"""The report of a backtest: one page that needs nothing else."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

import cryptoproto as cp
from cryptoproto.recording import report as report_module
from cryptoproto.recording.backtest import BacktestResult, backtest
from cryptoproto.recording.report import check_report, report
from tests.support.bots import idle, quoting
from tests.support.browser import browser, needs_chromium
from tests.support.html_page import HtmlPage
from tests.support.recordings import CONNECTED, Market, write_recording


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    updates = [(20 * number, update) for number, update in enumerate(Market(5).take(600))]
    return write_recording(tmp_path_factory.mktemp("recording") / "a.rec", [(0, CONNECTED), *updates])


@pytest.fixture(scope="module")
def result(path: Path) -> BacktestResult:
    return backtest(path, quoting, balances={"USD": "100000", "BTC": "10", "XYZ": "1"})


def test_the_page_needs_nothing_else(result: BacktestResult) -> None:
    page = HtmlPage(report(result))
    assert page.tags.count("svg") == 2
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert all(target.startswith("#") for target in page.targets)
    assert "@import" not in report(result)
    assert "url(h" not in report(result)


def test_the_page_shows_every_fill(result: BacktestResult) -> None:
    text = report(result, "a <bot>")
    assert "<title>a &lt;bot&gt;</title>" in text
    assert len(result.fills) > 5
    assert HtmlPage(text).tags.count("tr") == len(result.fills) + 1
    assert "Fills on BTC_USD" in text
    assert "not valued" in text
    assert "XYZ" in text
    for label in ("equity", "drawdown", "bought", "sold"):
        assert f">{label}</text>" in text


def test_the_same_result_gives_the_same_page(path: Path, result: BacktestResult) -> None:
    again = backtest(path, quoting, balances={"USD": "100000", "BTC": "10", "XYZ": "1"})
    assert report(again) == report(result)


def test_a_bot_that_did_nothing(path: Path) -> None:
    text = report(backtest(path, idle, balances={"USD": "1000"}))
    assert "No order was filled." in text
    assert HtmlPage(text).tags.count("svg") == 1


def test_the_table_is_bounded(result: BacktestResult, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_module, "_MOST_FILLS", 3)
    text = report(result)
    assert HtmlPage(text).tags.count("tr") == 4
    assert re.search(r"The first 3 of \d+\.", text)


def test_a_result_without_equity(result: BacktestResult) -> None:
    assert "<svg" in report(msgspec.structs.replace(result, points=[], fills=[], fees={}))


def test_without_matplotlib_the_error_names_the_extra(result: BacktestResult, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(cp.ConfigurationError, match=r"pip install 'cryptoproto\[backtest\]'"):
        check_report()
    with pytest.raises(cp.ConfigurationError, match="matplotlib"):
        report(result)


@needs_chromium
@pytest.mark.parametrize("width", [1200, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_in_a_browser(result: BacktestResult, tmp_path: Path, width: int, scheme: Any) -> None:
    """The charts fill the page, and on a phone only the table of fills scrolls sideways."""
    file = tmp_path / "report.html"
    file.write_text(report(result), encoding="utf-8")
    async with browser() as opener:
        page = await opener.open(file.as_uri(), color_scheme=scheme, viewport={"width": width, "height": 900})
        assert await page.title() == "Backtest"
        for chart in await page.locator("svg").all():
            box = await chart.bounding_box()
            assert box is not None
            assert 0.85 * width < box["width"] + 80 < width + 80
            assert box["height"] > 100
        assert await page.locator("table tr").count() == len(result.fills) + 1
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
        if folder := os.environ.get("UPDATE_SCREENSHOTS"):
            await page.screenshot(path=Path(folder) / f"backtest-{scheme}-{width}.png")
