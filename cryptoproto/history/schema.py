"""The tables of a history in the file of a store: what they are, their version, and how they are created and checked.

Events are kept as the exchange sent them, one row for each group that was committed. A row for each event would more
than double the cost of an event. The views show what is in the groups as tables, for other SQLite tools.
"""

from __future__ import annotations

import sqlite3
from os import PathLike
from typing import Final

from ..exceptions import ConfigurationError

__all__ = ["NOT_KEPT", "VERSION", "check_history", "open_history"]

VERSION: Final = 1
NOT_KEPT: Final = "to keep one, pass store=SqliteStore(path, history=True), or write history = true in the profile"
_TABLES: Final = (
    "cryptoproto_history",
    "cryptoproto_history_group",
    "cryptoproto_history_balance",
    "cryptoproto_history_order",
)
_EACH: Final = "FROM cryptoproto_history_group, json_each(events)"
_TIME: Final = "json_extract(value, '$[1].time[0]') * 1000000 + json_extract(value, '$[1].time[1]')"
_TYPE: Final = "json_extract(value, '$[1].\"@type\"')"


def _fields(*names: str) -> str:
    return ", ".join(f"json_extract(value, '$[1].{name}') AS {name}" for name in names)


_SCHEMA: Final = (
    """CREATE TABLE cryptoproto_history (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        version INTEGER NOT NULL,
        began_after INTEGER NOT NULL,
        began_us INTEGER NOT NULL,
        recorded_through INTEGER NOT NULL
    )""",
    """CREATE TABLE cryptoproto_history_group (
        first INTEGER PRIMARY KEY,
        last INTEGER NOT NULL,
        earliest_us INTEGER NOT NULL,
        latest_us INTEGER NOT NULL,
        events TEXT NOT NULL
    )""",
    "CREATE INDEX cryptoproto_history_group_time ON cryptoproto_history_group (latest_us)",
    """CREATE TABLE cryptoproto_history_balance (
        transaction_id INTEGER NOT NULL,
        stated_us INTEGER NOT NULL,
        currency TEXT NOT NULL,
        available TEXT NOT NULL,
        on_hold TEXT NOT NULL,
        PRIMARY KEY (transaction_id, currency)
    )""",
    """CREATE TABLE cryptoproto_history_order (
        key INTEGER PRIMARY KEY,
        sent_us INTEGER NOT NULL,
        settled_by INTEGER NOT NULL,
        message TEXT NOT NULL
    )""",
    "CREATE INDEX cryptoproto_history_order_settled ON cryptoproto_history_order (settled_by)",
    f"""CREATE VIEW cryptoproto_history_trades AS
        SELECT json_extract(value, '$[0]') AS transaction_id, {_TIME} AS time_us,
            {_fields("trade_pair", "amount", "price", "maker", "maker_buy", "order_id", "client_order_id")}
        {_EACH} WHERE {_TYPE} = 'OwnTrade'""",
    f"""CREATE VIEW cryptoproto_history_balances AS
        SELECT json_extract(value, '$[0]') AS transaction_id, {_TIME} AS time_us,
            {_fields("currency", "balance", "change", "reason")}
        {_EACH} WHERE {_TYPE} = 'SetBalance'""",
    f"""CREATE VIEW cryptoproto_history_order_events AS
        SELECT json_extract(value, '$[0]') AS transaction_id, {_TIME} AS time_us, {_TYPE} AS event,
            {_fields("order_id", "client_order_id", "trade_pair", "price", "initial_amount", "amount", "fee")}
        {_EACH} WHERE {_TYPE} LIKE '%Order%'""",
)


def open_history(
    connection: sqlite3.Connection, path: PathLike[str], position: int | None, *, create: bool, now_us: int
) -> int | None:
    """The transaction id through which the history is recorded; ``None`` if the file has no history.

    Args:
        connection: to the file, for writing, in autocommit mode.
        path: the file, for errors.
        position: the position of the store.
        create: create the tables if they do not exist.
        now_us: the time, in unix microseconds.

    Raises:
        ConfigurationError: the history is damaged, or was written by another version. It was not changed.
    """
    if not check_history(connection, path):
        if not create:
            return None
        begin = -1 if position is None else position
        connection.execute("BEGIN IMMEDIATE")
        for statement in _SCHEMA:
            connection.execute(statement)
        connection.execute("INSERT INTO cryptoproto_history VALUES (1, ?, ?, ?, ?)", (VERSION, begin, now_us, begin))
        connection.execute("COMMIT")
    through: int = connection.execute("SELECT recorded_through FROM cryptoproto_history").fetchone()[0]
    return through


def check_history(connection: sqlite3.Connection, path: PathLike[str]) -> bool:
    """Whether the file has a history, which this version can read.

    Raises:
        ConfigurationError: the history is damaged, or was written by another version.
    """
    names = connection.execute("SELECT name FROM sqlite_master WHERE name LIKE 'cryptoproto_history%'")
    found = {name for (name,) in names}
    if not found:
        return False
    row = None
    if "cryptoproto_history" in found:
        row = connection.execute("SELECT version FROM cryptoproto_history").fetchone()
    if row is None:
        raise ConfigurationError(f"the history in {path} is damaged: its version is missing; restore a backup")
    if row[0] != VERSION:
        raise ConfigurationError(
            f"the history in {path} has schema version {row[0]!r}, and this package reads version {VERSION}; "
            f"use the version of the package that wrote it, or a newer one"
        )
    missing = [table for table in _TABLES if table not in found]
    if missing:
        raise ConfigurationError(f"the history in {path} is damaged: it has no table {missing[0]}; restore a backup")
    return True
