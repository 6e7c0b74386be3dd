"""An exchange killed at any moment recovers everything its clients have seen: real processes, sockets and clients."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import cryptoproto as cp
from tests.support.exchange_process import FUNDS
from tests.support.journals import crash_copy, recorded, total_of
from tests.support.lives import Lives

pytestmark = pytest.mark.unmeasured

KILLS = int(os.environ.get("KILLS", "100"))
PAIR = "BTC_USD"


def newest(by_number: dict[int, Any]) -> int:
    """The last key of an ordered dict; 0 if it is empty."""
    return next(reversed(by_number), 0)


class Trader:
    """What a client has seen, over all its connections.

    Attributes:
        seen: every event it was ever told, by transaction id, in order.
        sent: what it sent, by sequence; forgotten where the exchange says that it has not seen it.
        certain: the highest sequence whose effect it was told of.
    """

    def __init__(self, client_id: str, key: cp.PrivateKey, choice: random.Random) -> None:
        self.client_id = client_id
        self.seen: dict[int, tuple[float, bytes]] = {}
        self.sent: dict[int, cp.Message] = {}
        self.certain = 0
        self.never: set[int] = set()  # client order ids of orders that were not accepted
        self._key = key
        self._choice = choice
        self._next_client_order_id = 1
        self._received: list[tuple[int, float, bytes]] = []
        self._resumed_from = 0
        self.something = asyncio.Event()

    async def connect(self, exchange: Mapping[str, Any]) -> cp.Connection:
        """Connect, usually from where it was, sometimes from earlier; and check what the exchange says of it."""
        positions = [0, *self.seen]
        near = self._choice.random() < 0.9
        self._resumed_from = positions[-1] if near else self._choice.choice(positions)
        self._received = []
        connection = await cp.connect(
            exchange["url"],
            client_id=self.client_id,
            private_key=self._key,
            server_key=cp.PublicKey.from_pem(exchange["public_key"].encode()),
            protocol=self._choice.choice((cp.Protocol.V5, cp.Protocol.V5, cp.Protocol.SIGNED)),
            resume_from=self._resumed_from,
            on_event=self._on_event,
        )
        accepted = connection.last_sequence
        assert self.certain <= accepted <= newest(self.sent)
        for sequence in [each for each in self.sent if each > accepted]:
            message = self.sent.pop(sequence)
            if isinstance(message, cp.PlaceOrder):
                self.never.add(message.client_order_id or 0)
        self.certain = accepted
        return connection

    def _on_event(self, event: cp.Event) -> None:
        assert event.transaction_id is not None
        assert event.timestamp is not None
        self._received.append((event.transaction_id, event.timestamp, event.raw))
        self.something.set()

    def heard(self, words: bytes) -> bool:
        """Whether the last event over this connection has *words* in it."""
        return bool(self._received) and words in self._received[-1][2]

    def compare_replay(self) -> None:
        """What came over this connection is what was seen before, from the position on, plus the rest."""
        known = [(key, *content) for key, content in self.seen.items() if key > self._resumed_from]
        both = min(len(known), len(self._received))
        assert self._received[:both] == known[:both]
        for transaction_id, timestamp, raw in self._received[both:]:
            assert transaction_id > newest(self.seen)
            self.seen[transaction_id] = (timestamp, raw)

    async def trade(self, connection: cp.Connection, count: int) -> None:
        """Send orders; and requests, whose answers say that everything before was accepted for good."""
        for _ in range(count):
            dice = self._choice.random()
            if dice < 0.1:
                before = newest(self.sent)
                await connection.request(cp.UserBalanceRequest())
                self.certain = max(self.certain, before)
                continue
            message: cp.Message
            if dice < 0.2:
                message = cp.CancelOrder(self._choice.randint(1, 2000))
            elif dice < 0.23:
                message = cp.CancelAllOrders()
            else:
                kind = self._choice.choice((cp.PlaceBuyLimitOrder, cp.PlaceSellLimitOrder, cp.PlaceBuyIoCOrder))
                message = kind(
                    trade_pair=PAIR,
                    amount=f"0.{self._choice.randint(1, 300):03}",
                    price=str(100 + self._choice.randint(-3, 3)),
                    client_order_id=self._next_client_order_id,
                )
                self._next_client_order_id += 1
            # Noted first: it may be accepted though send() never returns.
            self.sent[newest(self.sent) + 1] = message
            sequence = await connection.send(message)
            assert sequence == newest(self.sent)


@asynccontextmanager
async def exchanges(path: Path, folder: Path, keys: Mapping[str, cp.PrivateKey]) -> AsyncIterator[Lives]:
    for client_id, key in keys.items():
        key.public_key.save(folder / f"{client_id}.pub")
    public_keys = (folder / f"{client_id}.pub" for client_id in keys)
    async with Lives.of("tests.support.exchange_process", path, *public_keys) as lives:
        yield lives


async def start(lives: Lives) -> dict[str, Any]:
    await lives.begin(0, 0)
    return await lives.told()


async def check_totals(connections: list[cp.Connection]) -> None:
    """No money appears or disappears."""
    totals: dict[str, Decimal] = {}
    for connection in connections:
        response = await connection.request(cp.UserBalanceRequest())
        assert isinstance(response, cp.UserBalanceResponse)
        for currency, balance in response.balances.items():
            totals[currency] = totals.get(currency, Decimal(0)) + balance.available + balance.on_hold
    assert totals == total_of(FUNDS)


async def live_and_die(lives: Lives, exchange: dict[str, Any], traders: list[Trader], choice: random.Random) -> None:
    """Connect, trade, and kill the exchange at a random moment."""
    connections = [await trader.connect(exchange) for trader in traders]
    await check_totals(connections)
    trading = [
        asyncio.create_task(trader.trade(connection, choice.randint(5, 60)))
        for trader, connection in zip(traders, connections, strict=True)
    ]
    # Sometimes right behind an event, sometimes between two, sometimes when all is quiet.
    moment = choice.choice(("event", "time", "time", "quiet"))
    with suppress(TimeoutError):
        if moment == "quiet":
            await asyncio.wait_for(asyncio.gather(*trading), 0.1)
        else:
            waiter = traders[0].something if moment == "event" else asyncio.Event()
            await asyncio.wait_for(waiter.wait(), choice.uniform(0, 0.04))
    await lives.kill()
    for connection in connections:
        await connection.wait_closed()
    for result in await asyncio.gather(*trading, return_exceptions=True):
        assert result is None or isinstance(result, cp.ConnectionClosed | asyncio.CancelledError), result
    for trader, connection in zip(traders, connections, strict=True):
        assert isinstance(connection.error, cp.ConnectionClosed)
        trader.compare_replay()


def check_journal(path: Path, traders: list[Trader], checked: dict[str, int]) -> None:
    """Every event that a client saw is in the journal, with the same id and content."""
    for trader in traders:
        after = checked.get(trader.client_id, 0)
        rows = {row[0]: row[1:] for row in recorded(path, trader.client_id, after)}
        for transaction_id, content in trader.seen.items():
            if transaction_id > after:
                assert rows[transaction_id] == content
        checked[trader.client_id] = newest(trader.seen)


def check_everything(path: Path, traders: list[Trader]) -> None:
    """After a replay from the start: clients have seen exactly what is recorded, and each message counted once."""
    for trader in traders:
        assert [(key, *content) for key, content in trader.seen.items()] == recorded(path, trader.client_id)
        placed: list[int] = []
        for _, raw in trader.seen.values():
            event = json.loads(raw)
            if event["@type"].endswith("OrderPlaced"):
                placed.append(event["client_order_id"])
        assert len(placed) == len(set(placed))
        assert not trader.never.intersection(placed)
        with closing(sqlite3.connect(path)) as connection:
            rows = connection.execute(
                "SELECT sequence, command FROM commands JOIN clients USING (client) "
                "WHERE client_id = ? AND sequence IS NOT NULL ORDER BY number",
                (trader.client_id,),
            ).fetchall()
        assert [sequence for sequence, _ in rows] == list(trader.sent) == list(range(1, len(rows) + 1))
        for (_, command), message in zip(rows, trader.sent.values(), strict=True):
            stored = json.loads(command)["message"]
            assert stored["@type"] == type(message).__name__
            assert stored.get("client_order_id") == getattr(message, "client_order_id", None)


async def test_a_hundred_kills(tmp_path: Path, alice_key: cp.PrivateKey, bob_key: cp.PrivateKey) -> None:
    seed = int(os.environ.get("KILL_SEED", random.SystemRandom().randrange(2**32)))
    print(f"KILL_SEED={seed} repeats the choices")  # noqa: T201 - shown when the test fails
    choice = random.Random(seed)
    keys = {"alice": alice_key, "bob": bob_key}
    path = tmp_path / "exchange.db"
    traders = [Trader(client_id, key, choice) for client_id, key in keys.items()]
    checked: dict[str, int] = {}
    async with exchanges(path, tmp_path, keys) as lives:
        for _ in range(KILLS):
            await live_and_die(lives, await start(lives), traders, choice)
            check_journal(crash_copy(path, tmp_path / "copy"), traders, checked)
        exchange = await start(lives)
        for trader in traders:
            await read_everything(trader, exchange)
        await lives.kill()
    copy = crash_copy(path, tmp_path / "copy")
    check_everything(copy, traders)
    assert sum(len(trader.seen) for trader in traders) > 10 * KILLS  # or nothing was tested


async def read_everything(trader: Trader, exchange: dict[str, Any]) -> None:
    """Connect a last time, and wait for the end of the replay: the answer to one more message."""
    async with await trader.connect(exchange) as connection:
        last = cp.CancelOrder(10**9)
        trader.sent[await connection.send(last)] = last
        async with asyncio.timeout(10):
            while not trader.heard(b'"order_id":1000000000'):
                trader.something.clear()
                await trader.something.wait()
    trader.compare_replay()


@pytest.mark.parametrize("how", ["close", "kill"])
async def test_it_listens_again_after_any_end(
    tmp_path: Path, alice_key: cp.PrivateKey, bob_key: cp.PrivateKey, how: str
) -> None:
    keys = {"alice": alice_key, "bob": bob_key}
    async with exchanges(tmp_path / "exchange.db", tmp_path, keys) as lives:
        public_keys = set()
        for _ in range(2):
            public_keys.add((await start(lives))["public_key"])
            lives.strike(signal.SIGKILL if how == "kill" else signal.SIGINT)
            assert await lives.gone() == (-signal.SIGKILL if how == "kill" else 0)
    assert len(public_keys) == 1
