"""The screen of ``top``: how it looks, how it follows the bot, and that it asks twice."""

from __future__ import annotations

import copy
import importlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import DataTable

import cryptoproto as cp
from cryptoproto.cli import top_screen as module
from cryptoproto.cli.status_reader import StatusReader
from cryptoproto.cli.top_screen import TopScreen
from cryptoproto.status import serve_status
from tests.support.screens import check_screen, lines_of
from tests.support.status_samples import an_order_row, status_of

SCREENS = Path(__file__).parent / "screens"


class Sample:
    """Stands for a reader, and returns the status that a test sets."""

    def __init__(self, status: dict[str, Any]) -> None:
        self.status = status
        self.problem: Exception | None = None

    async def read(self) -> dict[str, Any]:
        if self.problem is not None:
            raise self.problem
        return copy.deepcopy(self.status)


def screen_of(sample: Sample) -> TopScreen:
    return TopScreen(sample, copy.deepcopy(sample.status), 3600)  # type: ignore[arg-type]


@pytest.fixture
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


async def settled(pilot: Pilot[None]) -> str:
    """What is on the screen once everything is drawn."""
    for _ in range(3):
        await pilot.pause()
    return "\n".join(lines_of(pilot.app))


async def seen(pilot: Pilot[None], text: str) -> str:
    """Wait until *text* is on the screen."""
    for _ in range(200):
        shown = await settled(pilot)
        if text in shown:
            return shown
    raise AssertionError(f"{text!r} did not appear:\n{shown}")


@pytest.mark.usefixtures("utc")
@pytest.mark.parametrize("size", [(80, 24), (120, 40), (40, 20)], ids=lambda size: f"{size[0]}x{size[1]}")
async def test_how_it_looks(size: tuple[int, int]) -> None:
    async with screen_of(Sample(status_of())).run_test(size=size) as pilot:
        await settled(pilot)
        check_screen(pilot.app, SCREENS / f"top-{size[0]}x{size[1]}.txt")


@pytest.mark.usefixtures("utc")
async def test_how_a_lost_connection_looks() -> None:
    sample = Sample(status_of())
    async with screen_of(sample).run_test(size=(80, 24)) as pilot:
        sample.problem = cp.ConnectError(None, "cannot reach http://127.0.0.1:8500")
        await pilot.press("r")
        await settled(pilot)
        check_screen(pilot.app, SCREENS / "top-lost-80x24.txt")
        sample.problem = None
        await pilot.press("r")
        assert "● live" in await settled(pilot)


async def test_an_empty_account_and_a_tiny_terminal() -> None:
    empty = status_of(0, balances={}, positions=[], fills=[], states=[], unsettled_orders=[an_order_row(0)])
    async with screen_of(Sample(empty)).run_test(size=(20, 8)) as pilot:
        assert "alice" in await settled(pilot)
        await pilot.resize_terminal(120, 40)
        shown = await settled(pilot)
        assert "Open orders: 0 + 1 unanswered" in shown
        assert "no balances known" in shown


async def test_only_rows_that_changed_are_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    sample = Sample(status_of(1000))
    async with screen_of(sample).run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        table = pilot.app.query_one("#orders", DataTable)
        added: list[object] = []
        add_row = DataTable.add_row

        def note(self: DataTable[object], *cells: object, key: str) -> object:
            added.append(key)
            return add_row(self, *cells, key=key)

        monkeypatch.setattr(DataTable, "add_row", note)
        sample.status["open_orders"][1]["remaining"] = "0.75000000"
        del sample.status["open_orders"][0]
        sample.status["open_orders"].append(an_order_row(1001))
        await pilot.press("r")
        shown = await settled(pilot)
        assert "Open orders: 1,000" in shown
        assert "0.75" in shown
        assert added == ["1001"]
        assert table.row_count == 1000
        sample.status["open_orders"][1]["remaining"] = "1234.56789000"
        await pilot.press("r")
        assert "1,234.56789" in await settled(pilot), "no digit of a number is cut off"


async def test_it_follows_the_bot(trading_client: cp.Client) -> None:
    async with serve_status(trading_client) as status, StatusReader(status.url) as reader:
        app = TopScreen(reader, await reader.read(), 0.01)
        async with app.run_test(size=(100, 30)) as pilot:
            await trading_client.place("BTC_USD", "buy", amount="1", price="123.5")
            shown = await seen(pilot, "123.5")
            assert "Cancel all" not in shown, "the server is read-only"
            await pilot.press("c")
            assert "Cancel all" not in await settled(pilot)


async def test_cancelling_is_asked_twice(trading_client: cp.Client) -> None:
    await trading_client.place("BTC_USD", "buy", amount="1", price="123.5")
    async with serve_status(trading_client, allow_cancel=True) as status, StatusReader(status.url) as reader:
        app = TopScreen(reader, await reader.read(), 3600)
        async with app.run_test(size=(80, 24), notifications=True) as pilot:
            for keys in (["n"], ["y", "escape"], ["y", "n"]):
                await pilot.press("c")
                await seen(pilot, "Cancel all open orders?")
                for key in keys:
                    await pilot.press(key)
                    if key == "y":
                        await seen(pilot, "The bot has 1 open order.")
                await settled(pilot)
            assert len(trading_client.orders.open) == 1
            await pilot.press("c")
            await seen(pilot, "Cancel all open orders?")
            await pilot.press("y")
            await seen(pilot, "The bot has 1 open order.")
            await pilot.press("y")
            await seen(pilot, "All orders are cancelled.")
            await seen(pilot, "Open orders: 0")
            assert trading_client.orders.open == []


async def test_a_cancel_that_fails_says_so(trading_client: cp.Client) -> None:
    async with serve_status(trading_client, allow_cancel=True) as status, StatusReader(status.url) as reader:
        app = TopScreen(reader, await reader.read(), 3600)
        async with app.run_test(size=(80, 24), notifications=True) as pilot:
            await trading_client.close()
            await pilot.press("c")
            await seen(pilot, "Cancel all open orders?")
            await pilot.press("y")
            await seen(pilot, "The bot has 0 open orders")
            await pilot.press("y")
            await seen(pilot, "Not cancelled: the client is closed")


async def test_it_can_be_left() -> None:
    app = screen_of(Sample(status_of()))
    async with app.run_test() as pilot:
        await pilot.press("q")
    assert app.return_code == 0


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "textual.app", None)
    with pytest.raises(cp.ConfigurationError, match=r"cryptoproto top needs textual: pip install 'cryptoproto\[top\]'"):
        importlib.reload(module)
    monkeypatch.undo()
    importlib.reload(module)
