"""Reading, while somebody may write."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import cryptoproto as cp
from cryptoproto.client.store.sqlite import SqliteStore
from cryptoproto.history.reader import Reader
from tests.support.histories import Writer, balance
from tests.support.stores import ALICE


def test_groups_of_a_range(writer: Writer) -> None:
    for number in range(1, 6):
        writer.commit(balance("USD", "1", "1", at=number), balance("USD", "1", "1", at=number))
    reader = writer.reader

    def firsts(**limits: int) -> list[int]:
        return [group.first for group in reader.groups(**limits)]

    assert firsts() == [1, 3, 5, 7, 9]
    assert firsts(after=4) == [3, 5, 7, 9]  # that group has no later event, which its caller sees
    assert firsts(after=5, through=8) == [5, 7]
    assert firsts(since_us=2_000_000, until_us=4_000_000) == [3, 5]
    assert [entry.transaction_id for entry in reader.entries(7)] == [8, 9, 10]
    assert reader.first_since(3_000_000) == 5
    assert reader.first_since(9_000_000) is None


def test_a_reader_sees_what_is_committed_while_it_reads_and_holds_nothing_open(writer: Writer) -> None:
    writer.commit(balance("USD", "1", "1"))
    writer.commit(balance("USD", "2", "1"))
    groups = writer.reader.groups()
    assert next(groups).first == 1
    writer.commit(balance("USD", "3", "1"))
    with closing(sqlite3.connect(writer.store.path)) as db:
        busy, _, _ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    assert not busy
    assert [group.first for group in groups] == [2]  # as of its beginning
    assert [group.first for group in writer.reader.groups()] == [1, 2, 3]


def test_after_the_store_was_closed(path: Path) -> None:
    writer = Writer(path)
    writer.tell(balance("USD", "1", "1"))
    writer.close()
    assert [group.first for group in Reader(path).groups()] == [1]


def test_there_must_be_a_history(path: Path) -> None:
    with pytest.raises(cp.ConfigurationError, match=r"there is no file .*alice\.db; the first client with this store"):
        Reader(path).check()
    store = SqliteStore(path)
    store.open(*ALICE)
    store.close()
    with pytest.raises(
        cp.ConfigurationError, match=r"alice\.db has no history; to keep one, pass store=SqliteStore\(path, history=T"
    ):
        Reader(path).check()


def test_a_file_of_another_kind(path: Path) -> None:
    path.write_bytes(b"something else" * 100)
    with pytest.raises(cp.StoreError, match=r"cannot read the history in .*alice\.db: file is not a database"):
        Reader(path).check()


@pytest.mark.parametrize("events", ["[[1", '[[1,{"@type":"OrderNotFound","order_id":1}]]'])
def test_damaged_rows(writer: Writer, events: str) -> None:
    writer.commit(balance("USD", "1", "1"))
    with writer.store.transaction() as db:
        db.execute("UPDATE cryptoproto_history_group SET events = ?", (events,))
    with pytest.raises(cp.StoreError, match=r"the history in .*alice\.db is damaged: .*; restore a backup"):
        list(writer.reader.groups())


def test_a_row_without_a_time(writer: Writer) -> None:
    writer.commit(cp.InsufficientFunds(1, "USD"))
    with writer.store.transaction() as db:
        db.execute("""UPDATE cryptoproto_history_group SET events =
            '[[1,{"@type":"InsufficientFunds","order_id":1,"currency":"USD"}]]'""")
    with pytest.raises(cp.StoreError, match=r"is damaged: transaction 1 has no time; restore a backup"):
        list(writer.reader.groups())


@pytest.mark.parametrize("message", ['{"@type":"PlaceB', '{"@type":"CancelAllOrders"}', '{"@type":"Unheard"}'])
def test_a_sent_order_that_is_damaged(writer: Writer, message: str) -> None:
    writer.send(cp.PlaceBuyLimitOrder("BTC_USD", "1", "100"), settled_by=1)
    writer.store.flush()
    with writer.store.transaction() as db:
        db.execute("UPDATE cryptoproto_history_order SET message = ?", (message,))
    with pytest.raises(cp.StoreError, match=r"the history in .*alice\.db is damaged: .*; restore a backup"):
        writer.reader.settled_orders(0, 1)
