"""The history of a client of a real exchange: what it has though nobody asks for events, and while the disk is full."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from cryptoproto.history import recorder as recorder_module
from cryptoproto.messages import decode


@pytest.fixture
def store(memory_path: Path) -> cp.SqliteStore:
    return cp.SqliteStore(memory_path / "alice.db", history=True)


def client_of(exchange: Exchange, name: str, key: cp.PrivateKey, store: Any = None, **options: Any) -> cp.Client:
    return cp.Client(
        exchange.url,
        client_id=name,
        private_key=key,
        server_key=exchange.public_key,
        store=store,
        backoff=cp.Backoff(initial=0.01, cap=0.05),
        **options,
    )


def register(exchange: Exchange, alice_key: cp.PrivateKey, bob_key: cp.PrivateKey) -> None:
    exchange.register("alice", alice_key.public_key, {"USD": "1000", "ETH": "7"})
    exchange.register("bob", bob_key.public_key, {"BTC": "10"})


@pytest.mark.parametrize("handler", [None, lambda _event: None], ids=["nobody asks", "on_event"])
async def test_all_that_a_client_did(
    store: cp.SqliteStore, alice_key: cp.PrivateKey, bob_key: cp.PrivateKey, exchange_key: cp.PrivateKey, handler: Any
) -> None:
    async with Exchange(private_key=exchange_key, maker_fee=Decimal("0.001")) as exchange:
        register(exchange, alice_key, bob_key)
        async with (
            client_of(exchange, "alice", alice_key, store, on_event=handler) as alice,
            client_of(exchange, "bob", bob_key) as bob,
        ):
            order = await alice.place("BTC_USD", "buy", amount="2", price="100", ttl=600)
            await bob.place("BTC_USD", "sell", amount="0.5", price="90")
            with pytest.raises(cp.InsufficientFundsError):
                await alice.place("BTC_USD", "buy", amount="1000", price="100", client_order_id=5)
            await alice.balances()  # every event about the fill is here then
            history = alice.history
            (trade,) = history.trades()
            assert (trade.amount, trade.price, trade.maker) == (Decimal("0.5"), Decimal(100), True)
            assert (trade.fee, trade.fee_currency) == (Decimal("0.0005"), "BTC")
            rejected, resting = history.orders()
            assert (rejected.client_order_id, rejected.status) == (5, "rejected")
            assert (resting.client_order_id, resting.status, resting.ttl) == (order.client_order_id, "open", 600)
            opening = [(one.currency, int(one.total)) for one in history.balances() if one.reason == "opening"]
            assert opening == [("BTC", 0), ("ETH", 7), ("USD", 1000)]
            latest = {one.currency: cp.Balance(one.available, one.on_hold) for one in history.balances()}
            assert latest == await alice.balances()
            assert history.pnl(prices={"BTC_USD": 110})["BTC_USD"].total == Decimal("4.945")
            await alice.cancel(order)
        async with client_of(exchange, "alice", alice_key, store) as alice:  # replays, because nobody handled anything
            kinds = [change.what for change in list(alice.history.orders())[-1].changes]
            assert kinds == ["sent", "placed", "filled", "cancelled"]
            assert len(list(alice.history.trades())) == 1
        record = exchange.venue.client("alice")
        assert record is not None
        told = [decode(each.payload) for each in record.history]
        balances = sum(isinstance(message, cp.SetBalance | cp.OwnTrade) for message in told)
        assert sum(one.reason != "opening" for one in alice.history.balances()) == balances


async def test_a_client_without_history(
    alice_key: cp.PrivateKey, bob_key: cp.PrivateKey, exchange_key: cp.PrivateKey, memory_path: Path
) -> None:
    async with Exchange(private_key=exchange_key) as exchange:
        register(exchange, alice_key, bob_key)
        for store in (None, memory_path / "alice.db"):
            async with client_of(exchange, "alice", alice_key, store) as alice:
                with pytest.raises(
                    cp.ConfigurationError, match="keeps no history; to keep one, pass store=SqliteStore"
                ):
                    assert alice.history


async def test_nothing_is_lost_while_the_disk_is_full(
    store: cp.SqliteStore,
    alice_key: cp.PrivateKey,
    bob_key: cp.PrivateKey,
    exchange_key: cp.PrivateKey,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recorder_module, "_MAX_PENDING", 10)
    async with Exchange(private_key=exchange_key) as exchange:
        register(exchange, alice_key, bob_key)
        async with (
            client_of(exchange, "alice", alice_key, store) as alice,
            client_of(exchange, "bob", bob_key) as bob,
        ):
            await alice.place("BTC_USD", "buy", amount="9", price="100")
            assert list(alice.history.trades()) == []
            with closing(sqlite3.connect(store.path, isolation_level=None)) as db:
                db.execute(
                    "CREATE TRIGGER full BEFORE INSERT ON cryptoproto_history_group "
                    "BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END"
                )
                states = alice.states()
                for _ in range(6):
                    await bob.place("BTC_USD", "sell", amount="1", price="100")
                async with asyncio.timeout(30):
                    async for change in states:
                        if change.error is not None and isinstance(change.error.__cause__, cp.StoreError):
                            assert change.state is cp.State.WAITING
                            assert "wait to be recorded" in str(change.error.__cause__)
                            break
                with pytest.raises(cp.StoreError, match="disk is full"):
                    assert alice.history
                db.execute("DROP TRIGGER full")
                async with asyncio.timeout(30):
                    async for change in states:
                        if change.state is cp.State.LIVE:
                            break
            await alice.balances()
            assert [trade.amount for trade in alice.history.trades()] == [1] * 6
            assert len({trade.transaction_id for trade in alice.history.trades()}) == 6
