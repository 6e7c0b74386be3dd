"""The ledger in memory, and the places in a client's history."""

from __future__ import annotations

import cryptoproto as cp
from cryptoproto.exchange.commands import Expire, Private
from cryptoproto.exchange.ledger import MemoryLedger
from cryptoproto.messages import OrderNotFound


async def test_places_stay_valid_while_old_transactions_are_forgotten(alice_key: cp.PrivateKey) -> None:
    ledger = MemoryLedger()
    assert ledger.client("alice") is None
    ledger.append(None, (), client_id="alice", public_key=alice_key.public_key)
    record = ledger.client("alice")
    assert record is not None
    assert (record.newest, record.end, record.after(0), record.after(-1)) == (0, 0, 0, 0)
    ledger.append(Expire(5_000_000), [Private("alice", OrderNotFound(number)) for number in range(10)])
    ledger.append(None, [Private("alice", OrderNotFound(10))], client_id="alice", sequence=7)
    assert record.last_sequence == 7
    assert [each.transaction_id for each in record.history] == list(range(1, 12))
    assert [each.timestamp for each in record.history] == [5.0] * 10 + [0.0]
    place = record.after(8)
    record.forget(4)
    record.forget(100)
    assert (record.first, record.floor, record.end, record.newest) == (7, 7, 11, 11)
    assert record.after(8) == place
    assert record.after(6) < record.first, "it must be read"
    assert record.after(-1) == record.end
    assert await ledger.read(record, 0, 10) == []
    assert ledger.backlog == 0
