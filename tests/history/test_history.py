"""What users call: trades, profit and loss, and opening a file beside a running client."""

from __future__ import annotations

import os
import random
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.history import History
from cryptoproto.history import recorder as recorder_module
from tests.support.histories import Writer, balance, changed, trade
from tests.support.naive_ledger import NaiveLedger, random_trades


def test_trades_of_a_range_and_of_a_pair(writer: Writer, history: History) -> None:
    writer.commit(trade(1, "1", "100", at=1), changed(1, "0", "0.5", at=1))
    writer.commit(trade(2, "2", "100", at=2), trade(3, "3", "10", at=2, trade_pair="ETH_USD"))
    writer.commit(trade(4, "4", "100", at=3))

    def amounts(*arguments: Any, **limits: Any) -> list[int]:
        return [int(record.amount) for record in history.trades(*arguments, **limits)]

    assert amounts() == [1, 2, 3, 4]
    assert amounts("ETH_USD") == [3]
    assert amounts(since=2) == [2, 3, 4]
    assert amounts(None, 1, 2) == [1]
    assert amounts(until=2) == [1]
    assert [record.fee for record in history.trades()] == [Decimal("0.5"), None, None, None]


def test_a_fee_in_the_next_group(writer: Writer, history: History) -> None:
    writer.commit(trade(1, "1", "100", at=1))
    writer.commit(changed(1, "0", "0.5", at=1))
    assert [record.fee for record in history.trades(until=2)] == [Decimal("0.5")]


def test_what_is_not_committed_is_written_before_it_is_read(writer: Writer, history: History) -> None:
    writer.tell(trade(1, "1", "100"))
    assert len(list(history.trades())) == 1
    writer.tell(balance("USD", "1", "1"))
    assert len(list(history.balances())) == 3  # two of them opening ones


def test_reading_is_lazy(writer: Writer, history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_module, "_GROUP", 100)
    writer.commit(*(trade(number, "1", "100") for number in range(300)))
    with writer.store.transaction() as db:
        db.execute("UPDATE cryptoproto_history_group SET events = 'damaged' WHERE first > 200")
    trades = history.trades()
    assert next(trades).transaction_id == 1
    with pytest.raises(cp.StoreError, match="is damaged"):
        list(trades)


def test_limits_are_checked_when_they_are_given(history: History) -> None:
    for method in (history.trades, history.orders, history.balances, history.pnl):
        with pytest.raises(cp.ConfigurationError, match="since='x' is not a time"):
            method(since="x")


@pytest.mark.parametrize("method", ["average", "fifo"])
def test_profit_and_loss_of_what_was_recorded(writer: Writer, history: History, method: Any) -> None:
    seed = int(os.environ.get("SEED", "0")) or random.SystemRandom().getrandbits(32)
    print(f"SEED={seed}")  # noqa: T201 - shown when the test fails
    choice = random.Random(seed)
    naive = NaiveLedger(method)
    for _ in range(20):
        for record in random_trades(choice):
            naive.add(record)
            messages: list[Any] = [trade(1, str(record.amount), str(record.price), side=record.side.value)]
            if record.fee is not None:
                messages.append(changed(1, "1", str(record.fee), side=record.side.value))
            writer.commit(*messages)
    found = history.pnl(method, {"BTC_USD": "50"})["BTC_USD"]
    assert found.total is not None
    assert abs(Fraction(found.realised) - naive.realised) < Fraction(1, 10**27)
    assert abs(Fraction(found.total) - naive.cash - naive.position * 50) < Fraction(1, 10**27)


def test_profit_and_loss_of_a_range_and_of_a_pair(writer: Writer, history: History) -> None:
    writer.commit(trade(1, "2", "100", at=1), trade(2, "1", "10", at=1, trade_pair="ETH_USD"))
    writer.commit(trade(3, "1", "110", side="sell", at=5), trade(4, "1", "200", side="sell", at=9))
    assert sorted(history.pnl()) == ["BTC_USD", "ETH_USD"]
    found: Any = history.pnl(trade_pair="BTC_USD", since=5, until=9)
    assert list(found) == ["BTC_USD"]
    assert (found["BTC_USD"].realised, found["BTC_USD"].position, found["BTC_USD"].trades) == (10, 1, 1)


def test_the_opening_balance_has_what_was_on_hold(writer: Writer, history: History) -> None:
    assert history.opening_balance("USD") is None
    writer.commit(trade(1, "1", "60", side="sell"), balance("USD", "160", "60"))
    assert history.opening_balance("BTC") is None  # nothing has said how much there was
    writer.state(USD=("160", "5"), BTC=("2", "7"))
    assert history.opening_balance("USD") == 105
    assert history.opening_balance("BTC") == 10
    assert history.opening_balance("ETH") == 0
    writer.commit(trade(1, "1", "60", trade_pair="ETH_USD"), balance("ETH", "1", "1"))
    assert history.opening_balance("ETH") == 0


def test_a_file_is_read_beside_its_writer(writer: Writer, path: Path) -> None:
    writer.commit(trade(1, "1", "100"))
    other = History.open(path)
    assert len(list(other.trades())) == 1
    writer.commit(trade(2, "1", "100"))
    assert len(list(other.trades())) == 2
    assert repr(other) == f"<History {path}>"


def test_a_file_is_checked_when_it_is_opened(tmp_path: Path) -> None:
    with pytest.raises(cp.ConfigurationError, match="there is no file"):
        History.open(tmp_path / "nothing.db")
