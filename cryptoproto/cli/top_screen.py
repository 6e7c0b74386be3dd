"""The screen of ``top``: keeps the panels up to date, and asks twice before it cancels."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from itertools import zip_longest
from typing import Any, ClassVar, Final

from rich.text import Text

from ..exceptions import CryptoprotoError
from ..extras import needs
from . import top_panels as panels
from .output import counted
from .status_reader import StatusReader

with needs("cryptoproto top", "top"):
    from textual.app import App, ComposeResult
    from textual.binding import Binding, BindingType
    from textual.containers import Vertical, VerticalScroll
    from textual.screen import ModalScreen
    from textual.widgets import DataTable, Footer, Label, Static

__all__ = ["TopScreen"]

_WIDTHS: Final = ((0, "narrow"), (64, "normal"), (100, "wide"))


class _Question(ModalScreen[bool]):
    """A question that y answers with yes, and everything else with no."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "dismiss(True)", "Yes"),
        Binding("n,escape,enter,q", "dismiss(False)", "No", key_display="n"),
    ]

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        """Lay out the question."""
        with Vertical():
            yield Label(self._question, id="question")
            yield Label("y  yes      n  no", id="answers")


class TopScreen(App[None]):
    """The terminal's counterpart of the status page.

    Args:
        reader: reads the status.
        first: the first status.
        interval_s: seconds between updates.
    """

    TITLE: str | None = "cryptoproto top"
    ENABLE_COMMAND_PALETTE: ClassVar[bool] = False
    # The base class does not declare it as a ClassVar, so it cannot be one here.
    HORIZONTAL_BREAKPOINTS: list[tuple[int, str]] | None = [(width, f"-{name}") for width, name in _WIDTHS]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q,ctrl+c", "quit", "Quit", key_display="q"),
        Binding("r", "read", "Refresh"),
        Binding("tab", "app.focus_next", "Next", show=False),
        Binding("c", "cancel_all", "Cancel all"),
    ]
    CSS: ClassVar[str] = """
    Screen { layout: grid; grid-size: 2; grid-columns: 1fr 34; grid-rows: 1 1fr 1; }
    Screen.-wide { grid-columns: 1fr 44; }
    Screen.-narrow { grid-size: 1; grid-columns: 1fr; grid-rows: 1 1fr auto 1; }
    #head { column-span: 2; height: 1; background: $panel; }
    Footer { column-span: 2; dock: none; }
    .-narrow #head, .-narrow Footer { column-span: 1; }
    .panel { border: round $panel-lighten-2; border-title-color: $text-muted; padding: 0 1; height: auto; }
    #positions { max-height: 7; }
    DataTable.panel { padding: 0; background: transparent; scrollbar-size: 1 1; }
    #orders { height: 2fr; }
    #fills { height: 1fr; min-height: 4; }
    #side { scrollbar-size-vertical: 1; }
    .-narrow #side { height: auto; max-height: 7; }
    .-narrow #positions, .-narrow #latencies, .-narrow #states, .-narrow #throttling { display: none; }
    .lost .panel { opacity: 60%; }
    _Question { layout: vertical; align: center middle; }
    _Question Vertical {
        width: 60; max-width: 90%; height: auto; border: thick $error; padding: 1 2; background: $surface;
    }
    #answers { margin-top: 1; color: $text-muted; }
    """

    def __init__(self, reader: StatusReader, first: panels.Status, interval_s: float) -> None:
        super().__init__()
        self._reader = reader
        self._status = first
        self._interval_s = interval_s
        self._problem: str | None = None
        self._width = ""
        self._widths: list[int] = []
        self._shown: dict[str, list[Text]] = {}
        self._fills: list[dict[str, Any]] = []

    def compose(self) -> ComposeResult:
        """Lay out the panels."""
        yield Static(id="head")
        with Vertical(id="main"):
            yield _titled(Static(id="positions", classes="panel"), "Position against the book")
            yield _titled(DataTable[Text](id="orders", classes="panel", cursor_type="none"), "Open orders")
            yield _titled(DataTable[Text](id="fills", classes="panel", cursor_type="none"), "Fills")
        with VerticalScroll(id="side"):
            yield _titled(Static(id="balances", classes="panel"), "Balances")
            yield _titled(Static(id="latencies", classes="panel"), "Latencies")
            yield _titled(Static(id="throttling", classes="panel"), "Throttling")
            yield _titled(Static(id="states", classes="panel"), "States")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Show the first status, and read on."""
        self._show()
        self._work(self._read_on)

    def on_resize(self) -> None:
        """Choose the columns for the new width."""
        self.call_after_refresh(self._show)

    # Reading

    async def _read_on(self) -> None:
        while True:
            await asyncio.sleep(self._interval_s)
            await self.action_read()

    async def action_read(self) -> None:
        """Read the status now."""
        try:
            self._status = await self._reader.read()
            self._problem = None
        except CryptoprotoError as error:
            self._problem = str(error)
        self._show()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Hide what the server does not allow."""
        return action != "cancel_all" or bool(self._status.get("allow_cancel"))

    # Showing

    def _show(self) -> None:
        if not self.screen_stack or not self.screen_stack[0].query("#head"):
            return  # the screen is being taken down
        status, width = self._status, [name for least, name in _WIDTHS if self.size.width >= least][-1]
        self.screen_stack[0].set_class(self._problem is not None, "lost")
        self._panel("head").update(panels.head(status, self._problem))
        self._panel("positions").update(panels.positions(status, narrow=width != "wide"))
        self._panel("balances").update(panels.balances(status))
        self._panel("latencies").update(panels.latencies(status))
        self._panel("throttling").update(panels.throttling(status))
        self._panel("states").update(panels.states(status))
        if width != self._width:
            self._width, self._shown, self._fills = width, {}, []
            self._set_columns("fills", panels.FILL_COLUMNS[width])
        self._show_orders(panels.ORDER_COLUMNS[width])
        self._show_fills(panels.FILL_COLUMNS[width])
        self.refresh_bindings()

    def _set_columns(self, name: str, columns: tuple[str, ...], least: Sequence[int] = ()) -> None:
        table = self._table(name)
        table.clear(columns=True)
        for column, width in zip_longest(columns, least):
            label = Text(column, justify="right" if column in panels.NUMBERS else "left")
            table.add_column(label, key=column, width=None if width is None else max(width, len(column)))

    def _show_orders(self, columns: tuple[str, ...]) -> None:
        """Change only the rows that differ, so that a thousand orders do not slow the terminal down."""
        table, now = self._table("orders"), self._status["at"]
        orders = {str(order["order_id"]): order for order in self._status["open_orders"]}
        cells = {key: panels.order_cells(order, columns, now) for key, order in orders.items()}
        # A table would look at all rows again for each cell that it has to make room for.
        widths = [max((len(row[index].plain) for row in cells.values()), default=0) for index in range(len(columns))]
        if any(needed > given for needed, given in zip_longest(widths, self._widths, fillvalue=0)) or not self._shown:
            self._widths, self._shown = widths, {}
            self._set_columns("orders", columns, widths)
        for key in self._shown.keys() - orders.keys():
            table.remove_row(key)
        for key, row in cells.items():
            if key not in self._shown:
                table.add_row(*row, key=key)
                continue
            for column, cell, before in zip(columns, row, self._shown[key], strict=True):
                if cell != before:
                    table.update_cell(key, column, cell)
        self._shown = cells
        unsettled = len(self._status.get("unsettled_orders", ()))
        table.border_title = f"Open orders: {len(orders):,}" + (f" + {unsettled} unanswered" if unsettled else "")

    def _show_fills(self, columns: tuple[str, ...]) -> None:
        fills = self._status["fills"]
        if fills != self._fills:
            self._fills = fills
            self._table("fills").clear()
            for fill in reversed(fills):
                self._table("fills").add_row(*panels.fill_cells(fill, columns))

    def _table(self, name: str) -> DataTable[Text]:
        return self.screen_stack[0].query_one(f"#{name}", DataTable)

    def _panel(self, name: str) -> Static:
        return self.screen_stack[0].query_one(f"#{name}", Static)

    # Cancelling

    def action_cancel_all(self) -> None:
        """Cancel all orders, after two questions."""
        self._work(self._cancel_all)

    async def _cancel_all(self) -> None:
        if not await self.push_screen_wait(_Question("Cancel all open orders?")):
            return
        try:
            asked = await self._reader.ask_to_cancel_all()
            orders = counted(asked["open_orders"], "open order")
            if await self.push_screen_wait(_Question(f"The bot has {orders}. Really cancel at the exchange?")):
                await self._reader.cancel_all(asked["confirm"])
                self.notify("All orders are cancelled.")
                await self.action_read()
        except CryptoprotoError as error:
            self.notify(f"Not cancelled: {error}", severity="error", timeout=15)

    def _work(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self.run_worker(work(), exclusive=False)


def _titled(widget: Any, title: str) -> Any:
    widget.border_title = title
    return widget
