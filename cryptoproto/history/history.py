"""What a client has done: its trades, orders and balances over time, and their result."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias

from .. import frames
from ..exceptions import ConfigurationError
from ..messages import EXACT, OrderAmountChanged, OwnTrade
from .columns import COLUMNS, typed_columns
from .export import new_file, write_csv
from .fills import trade_record, with_fees
from .funds import balance_records
from .orders import order_records
from .pnl import CostMethod, Prices, ProfitAndLoss, profit_and_loss
from .reader import Entry, Reader
from .records import BalanceRecord, OrderRecord, TradeRecord
from .time_range import FOREVER, When, from_microseconds, time_range

__all__ = ["History", "HistoryTable"]

HistoryTable: TypeAlias = Literal["trades", "orders", "order_changes", "balances"]
"""The tables of a history; ``"order_changes"`` has a row for each change of each order."""


class History:
    """Reads the history that a :class:`~cryptoproto.SqliteStore` keeps with ``history=True``.

    ::

        history = cp.History.open("alice.db")
        for trade in history.trades("BTC_USD", since="2026-05-01"):
            print(trade.time, trade.side, trade.amount, trade.price)

    All methods read lazily, a few hundred events at a time, and only read: they can be used while a bot runs. Times are
    datetimes with a time zone, dates, ISO 8601 strings (UTC unless they name a time zone), or unix seconds. *since* is
    included, *until* is not.

    Args:
        path: the file of the store.
        before_reading: called before each reading, so that what is not written yet can be written.
    """

    def __init__(self, path: str | os.PathLike[str], *, before_reading: Callable[[], None] | None = None) -> None:
        self.path: Path = Path(path)
        self._reader = Reader(self.path, before_reading)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """The history in a store's file, for reading; the bot that writes it may be running.

        Raises:
            ConfigurationError: there is no such file, or it has no history.
            StoreError: it cannot be read.
        """
        history = cls(path)
        history._reader.check()
        return history

    def trades(
        self, trade_pair: str | None = None, since: When | None = None, until: When | None = None
    ) -> Iterator[TradeRecord]:
        """The client's own trades, oldest first; of one pair, or of all.

        Raises:
            ConfigurationError: a limit is not a time, or there is no history.
            StoreError: the file cannot be read.
        """
        return self._trades(trade_pair, *time_range(since, until))

    def orders(
        self, trade_pair: str | None = None, since: When | None = None, until: When | None = None
    ) -> Iterator[OrderRecord]:
        """The orders that began in the range, with every change up to now.

        Those that have ended come first, in the order in which they ended; then those that are open, and those whose
        answer is not known. An order that was placed before the history began is included if *since* is not given.
        Raises as :meth:`trades`.
        """
        return order_records(self._reader, trade_pair, *time_range(since, until))

    def balances(
        self, currency: str | None = None, since: When | None = None, until: When | None = None
    ) -> Iterator[BalanceRecord]:
        """The balances over time: what there was when the range began (``"opening"``), then every change.

        Raises as :meth:`trades`.
        """
        return balance_records(self._reader, currency, *time_range(since, until))

    def opening_balance(self, currency: str) -> Decimal | None:
        """How much there was of *currency*, available and on hold, when the history began.

        ``None`` if that is not known, because the exchange has stated no balances yet. It is the ``flat_at`` of
        :class:`~cryptoproto.Quotes` that makes their position the same as that of :meth:`pnl`.

        Raises:
            ConfigurationError: there is no history.
            StoreError: the file cannot be read.
        """
        first = next(self.balances(currency), None)
        if first is not None and first.reason == "opening":
            return EXACT.add(first.available, first.on_hold)
        return Decimal(0) if self._reader.stated_balances() else None  # a statement leaves out what there is none of

    def pnl(
        self,
        method: CostMethod = "average",
        prices: Prices | None = None,
        *,
        trade_pair: str | None = None,
        since: When | None = None,
        until: When | None = None,
    ) -> dict[str, ProfitAndLoss]:
        """Profit and loss by pair.

        Positions begin at zero when the history begins: what an account had before is no position, and selling it makes
        a short one. With a range, only what was realised in it counts, but earlier trades make the position.

        Args:
            method: how the cost of what is sold is found: ``"average"``, the mean of the position, or ``"fifo"``, its
                oldest part first.
            prices: what a position is worth: a mapping of pairs, or a function of the pair, to prices or order books.
                Pairs without a price have no unrealised result.
            trade_pair: only this pair.
            since: the beginning of the range.
            until: the end of the range.

        Raises:
            ConfigurationError: there is no such method, a price is not a number greater than zero; or as
                :meth:`trades`.
            StoreError: the file cannot be read.
        """
        begin, end = time_range(since, until)
        begins = None if begin == -FOREVER else from_microseconds(begin)
        return profit_and_loss(self._trades(trade_pair, -FOREVER, end), method, prices, begins)

    def to_frame(
        self,
        table: HistoryTable,
        library: Literal["pandas", "polars"] = "pandas",
        *,
        exact: bool = True,
        trade_pair: str | None = None,
        since: When | None = None,
        until: When | None = None,
    ) -> Any:
        """A ``pandas.DataFrame`` or ``polars.DataFrame`` (extra ``frames``).

        Args:
            table: ``"trades"``, ``"orders"``, ``"order_changes"`` or ``"balances"``.
            library: which library.
            exact: amounts and prices are exact: ``decimal.Decimal`` objects in pandas, ``Decimal(38, 18)`` in polars.
                Otherwise they are 64-bit floats, which are faster.
            trade_pair: only this pair; for balances only this currency.
            since: the beginning of the range.
            until: the end of the range.

        Raises:
            ConfigurationError: there is no such table or library, or the library is not installed.
            StoreError: the file cannot be read.
        """
        records = self.records(table, trade_pair, since, until)
        return frames.to_frame(typed_columns(table), records, library, exact=exact)

    def to_parquet(
        self,
        table: HistoryTable,
        path: str | os.PathLike[str],
        *,
        trade_pair: str | None = None,
        since: When | None = None,
        until: When | None = None,
    ) -> int:
        """Write a table into a Parquet file, with exact decimals; returns the number of rows.

        The arguments are those of :meth:`to_frame`. The file appears when it is complete, and takes the place of an
        older one.

        Raises:
            ConfigurationError: as :meth:`to_frame`; or the file cannot be written, or is the store itself.
            StoreError: the history cannot be read.
        """
        records = self.records(table, trade_pair, since, until)
        with new_file(path, self.path) as part:
            return frames.write_parquet(typed_columns(table), records, part)

    def to_csv(
        self,
        table: HistoryTable,
        path: str | os.PathLike[str],
        *,
        trade_pair: str | None = None,
        since: When | None = None,
        until: When | None = None,
    ) -> int:
        """Write a table into a CSV file, as :meth:`to_parquet`. It needs no extra."""
        records = self.records(table, trade_pair, since, until)
        return self.write_csv(path, COLUMNS[table], records)

    def write_csv(self, path: str | os.PathLike[str], columns: Sequence[str], records: Iterable[Any]) -> int:
        """Write these columns of *records* into a CSV file, for example of the values of :meth:`pnl`."""
        with new_file(path, self.path) as part, part.open("w", encoding="utf-8", newline="") as file:
            return write_csv(file, columns, records)

    def records(
        self,
        table: HistoryTable,
        trade_pair: str | None = None,
        since: When | None = None,
        until: When | None = None,
    ) -> Iterator[Any]:
        """The records of the table with this name: what the other methods have.

        Raises:
            ConfigurationError: there is no such table; or as :meth:`trades`.
        """
        if table == "trades":
            return self.trades(trade_pair, since, until)
        if table == "balances":
            return self.balances(trade_pair, since, until)
        if table in ("orders", "order_changes"):
            orders = self.orders(trade_pair, since, until)
            return orders if table == "orders" else (change for order in orders for change in order.changes)
        raise ConfigurationError(f"there is no table {table!r:.40}; choose one of {', '.join(COLUMNS)}")

    def __repr__(self) -> str:
        return f"<History {self.path}>"

    def _trades(self, trade_pair: str | None, since_us: int, until_us: int) -> Iterator[TradeRecord]:
        self._reader.refresh()
        for fill in with_fees(self._fills(since_us, until_us)):
            entry = fill.entry
            if (
                isinstance(entry.message, OwnTrade)
                and since_us <= entry.time_us < until_us
                and trade_pair in (None, entry.message.trade_pair)
            ):
                yield trade_record(fill)

    def _fills(self, since_us: int, until_us: int) -> Iterator[Entry]:
        for group in self._reader.groups(since_us=since_us, until_us=until_us):
            for entry in group.entries:
                if isinstance(entry.message, OwnTrade | OrderAmountChanged):
                    yield entry
