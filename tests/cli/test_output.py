"""How events and numbers are shown."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from decimal import Decimal

import pytest
from rich.console import Console

import cryptoproto as cp
from cryptoproto.cli import output

ORDER = cp.BuyOrderPlaced(
    order_id=17,
    trade_pair="BTC_USD",
    time=(1_700_000_000, 5),
    client_order_id=3,
    price=Decimal("15000.00000000"),
    initial_amount=Decimal("0.50000000"),
    amount=Decimal("0.50000000"),
)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Has an event shown on a terminal of a given width, or in a pipe."""

    def show(event: cp.Event, *, width: int | None) -> list[str]:
        written = io.StringIO()
        console = Console(
            file=written, highlight=False, force_terminal=width is not None, width=width, color_system=None
        )
        monkeypatch.setattr(output, "console", console)
        output.print_event(event)
        return written.getvalue().splitlines()

    return show


def event_of(message: cp.Message | cp.Unknown, transaction_id: int | None = 8) -> cp.Event:
    timestamp = None if transaction_id is None else 1_700_000_000.123
    return cp.Event(transaction_id, timestamp, message, 0, b"{}")


def test_an_event_in_a_pipe_is_one_line(shown: Callable[..., list[str]]) -> None:
    (line,) = shown(event_of(ORDER), width=None)
    assert line.endswith(
        "8 BuyOrderPlaced         order_id=17 trade_pair=BTC_USD client_order_id=3 price=15000 initial_amount=0.5 "
        "amount=0.5 closed_inline=False"
    )
    assert ".123 " in line


def test_an_event_on_a_narrow_terminal_stays_in_its_columns(shown: Callable[..., list[str]]) -> None:
    lines = shown(event_of(ORDER), width=80)
    assert len(lines) > 1
    assert all(len(line) <= 80 for line in lines)
    start = lines[0].index("order_id=17")
    assert all(not line[:start].strip() and line[start:].strip() for line in lines[1:])


def test_a_broadcast_and_an_unknown_message(shown: Callable[..., list[str]]) -> None:
    (line,) = shown(event_of(cp.TradesDisabledOnPairs(trade_pairs=["BTC_USD"]), None), width=None)
    assert line == "broadcast             TradesDisabledOnPairs  trade_pairs=['BTC_USD']"
    (line,) = shown(event_of(cp.Unknown("Later", {"@type": "Later", "text": "[bold]"})), width=None)
    assert line.endswith("Later                  {'@type': 'Later', 'text': '[bold]'}")


@pytest.mark.parametrize(
    ("value", "text"),
    [("15000.00000000", "15000"), ("0.50", "0.5"), ("100", "100"), ("1E-8", "0.00000001"), ("0.00", "0")],
)
def test_short_numbers(value: str, text: str) -> None:
    assert output.short(Decimal(value)) == text


@pytest.mark.parametrize(("count", "text"), [(0, "0 orders"), (1, "1 order"), (1234, "1,234 orders")])
def test_counts(count: int, text: str) -> None:
    assert output.counted(count, "order") == text


def test_notes_go_to_standard_error_and_json_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    output.note("accepted")
    output.print_json({"a": 1})
    written = capsys.readouterr()
    assert written.err == "accepted\n"
    assert json.loads(written.out) == {"a": 1}


def test_a_table() -> None:
    table = output.table("Balances", "currency", "available", right=("available",))
    assert [column.justify for column in table.columns] == ["left", "right"]


def test_a_terminal_too_narrow_for_columns_loses_no_field(shown: Callable[..., list[str]]) -> None:
    text = "".join(shown(event_of(ORDER), width=40))
    assert "BuyOrderPlaced" in text
    assert "order_id=17" in text
    assert "initial_amount=0.5" in text


def test_a_narrow_table_cuts_no_number() -> None:
    written = io.StringIO()
    made = output.table("Open orders", "order", "price", right=("order", "price"))
    made.add_row("1234567890", "15000.00000000")
    Console(file=written, width=16, color_system=None).print(made)
    assert "…" not in written.getvalue()


def test_a_table_that_does_not_fit_is_printed_as_paragraphs(monkeypatch: pytest.MonkeyPatch) -> None:
    def printed(width: int, *rows: str) -> list[str]:
        written = io.StringIO()
        monkeypatch.setattr(output, "console", Console(file=written, width=width, color_system=None, highlight=False))
        made = output.table("Balances", "currency", "available", right=("available",))
        for row in rows:
            made.add_row(row, "1000000.00000000")
        output.show(made)
        return written.getvalue().splitlines()

    paragraphs = printed(20, "USD", "BTC")
    assert paragraphs[0] == "Balances"
    assert paragraphs[2:] == [
        "currency   USD", "available  1000000.00000000", "", "currency   BTC", "available  1000000.00000000",
    ]  # fmt: skip
    assert any(line.split() == ["USD", "1000000.00000000"] for line in printed(40, "USD"))
    assert any("currency" in line for line in printed(20)), "without rows, there is nothing to break"
