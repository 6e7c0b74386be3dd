"""The panels of ``top``."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from cryptoproto.cli import top_panels as panels
from tests.support.status_samples import an_order_row, status_of


def text_of(renderable: Any, width: int = 60) -> str:
    console = Console(width=width)
    with console.capture() as captured:
        console.print(renderable)
    return captured.get()


@pytest.mark.parametrize(
    ("digits", "shown"),
    [
        (None, "–"), ("0", "0"), ("0.50000000", "0.5"), ("1234567.00000000", "1,234,567"), ("-12.30", "-12.3"),
        ("1000", "1,000"), ("1E+999999999", "1E+999999999"), ("not a number", "not a number"), ("NaN", "NaN"),
    ],
)  # fmt: skip
def test_numbers(digits: str | None, shown: str) -> None:
    assert panels.number(digits) == shown


def test_the_head_says_what_is_wrong() -> None:
    assert "● live  everything is known" in panels.head(status_of(), None).plain
    lost = panels.head(status_of(), "cannot reach it").plain
    assert "cannot reach it" in lost
    assert "live" not in lost


def test_empty_panels_say_so() -> None:
    empty = status_of(balances={}, positions=[])
    assert text_of(panels.balances(empty)).strip() == "no balances known"
    assert text_of(panels.positions(empty, narrow=True)).strip() == "no orders, fills or holdings"


def test_throttling() -> None:
    shown = panels.throttling(status_of()).plain
    assert "throttled 2 times, holding 0.3 s, 1 wait for the order rate" in shown
    assert "7 above the limit" in shown
    calm = {"throttled": 0, "hold_s": 0.0, "pacing_depth": 0, "pacing_hold_s": 0.0, "recent": []}
    assert panels.throttling(status_of(throttling=calm)).plain == "not throttled"


def test_states_newest_first() -> None:
    lines = text_of(panels.states(status_of())).splitlines()
    assert "live" in lines[0]
    assert "waiting nothing was received; retry in 0.4 s" in lines[1]


def test_latencies_have_fitting_units() -> None:
    shown = text_of(panels.latencies(status_of()))
    for value in ("1.12ms", "12.5ms", "1.25s", "104µs", "–"):
        assert value in shown


@pytest.mark.parametrize(
    ("created_ago", "age"), [(-5, "0 s"), (0, "0 s"), (59, "59 s"), (60, "1 m"), (7200, "2 h"), (200_000, "2 d")]
)
def test_the_age_of_an_order(created_ago: float, age: str) -> None:
    (cell,) = panels.order_cells(an_order_row(1, created_at=1000.0), ["age"], 1000.0 + created_ago)
    assert cell.plain == age


def test_the_cells_of_orders_and_fills() -> None:
    cells = panels.order_cells(an_order_row(5, "sell", time_in_force=None), panels.ORDER_COLUMNS["wide"], 1_700_000_000)
    assert [cell.plain for cell in cells] == ["5", "BTC_USD", "sell", "15,000", "0.25", "1", "–", "50 s"]
    fill = status_of()["fills"][0]
    cells = panels.fill_cells(fill, ("pair", "side", "price", "amount", "as", "order"))
    assert [cell.plain for cell in cells] == ["BTC_USD", "sell", "15,000.5", "0.1", "taker", "1"]
