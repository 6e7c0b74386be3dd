"""An exchange with a journal: all it sends is durable, replays are read from disk, and a failed write ends it."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

import cryptoproto as cp
from cryptoproto.exchange import Exchange, journal, link, outbound
from cryptoproto.exchange.feed import _MarketLink
from cryptoproto.exchange.journal import Journal
from cryptoproto.exchange.outbound import Outbound
from cryptoproto.transport import Closed, OpenOptions, Transport, opener
from tests.support.journals import crash_copy, recorded

FUNDS = {"USD": "1000000", "BTC": "1000"}


def buy(number: int, price: str = "100") -> cp.PlaceBuyLimitOrder:
    return cp.PlaceBuyLimitOrder(trade_pair="BTC_USD", amount="0.01", price=price, client_order_id=number)


class Disk:
    """The exchange's disk, which a test can stop, and everything that the exchange sends meanwhile."""

    def __init__(self, exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
        ledger = exchange.venue.ledger
        assert isinstance(ledger, Journal)
        self.journal = ledger
        self.said: list[bytes] = []
        self._free = threading.Event()
        self._free.set()
        write = ledger._file.write

        def write_when_free(batch: Any) -> None:
            assert self._free.wait(20)
            write(batch)

        monkeypatch.setattr(ledger._file, "write", write_when_free)
        for kind, name in ((Outbound, "send"), (_MarketLink, "send")):
            monkeypatch.setattr(kind, name, self._spied(getattr(kind, name)))

    def _spied(self, send: Callable[[Any, bytes], None]) -> Callable[[Any, bytes], None]:
        @functools.wraps(send)
        def spied(link: Any, frame: bytes) -> None:
            self.said.append(frame)
            send(link, frame)

        return spied

    def stop(self) -> None:
        self.said.clear()
        self._free.clear()

    def go_on(self) -> None:
        self._free.set()


@pytest.fixture
def tmp_path(memory_path: Path) -> Path:
    return memory_path


@pytest.fixture
async def exchange(
    tmp_path: Path, exchange_key: cp.PrivateKey, alice_key: cp.PrivateKey, bob_key: cp.PrivateKey
) -> AsyncIterator[Exchange]:
    async with Exchange(path=tmp_path / "exchange.db", private_key=exchange_key, max_open_orders=5000) as exchange:
        exchange.register("alice", alice_key.public_key, balances=FUNDS)
        exchange.register("bob", bob_key.public_key, balances=FUNDS)
        yield exchange


@pytest.fixture
def disk(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    disk = Disk(exchange, monkeypatch)
    yield disk
    disk.go_on()


@pytest.fixture
def connect(exchange: Exchange, alice_key: cp.PrivateKey, bob_key: cp.PrivateKey) -> Callable[..., cp.connect]:
    keys = {"alice": alice_key, "bob": bob_key}

    def connect(client_id: str = "alice", **options: Any) -> cp.connect:
        return cp.connect(
            exchange.url,
            client_id=client_id,
            private_key=keys[client_id],
            server_key=exchange.public_key,
            protocol=cp.Protocol.V5,
            **options,
        )

    return connect


async def take(connection: cp.Connection, count: int) -> list[cp.Event]:
    events: list[cp.Event] = []
    async with asyncio.timeout(20):
        async for event in connection:
            events.append(event)
            if len(events) == count:
                break
    return events


async def until(condition: Callable[[], bool]) -> None:
    """Wait until *condition* holds."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - the state is that of another thread, too
            await asyncio.sleep(0.001)


class Reader:
    """A reader of market data."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.news = asyncio.Event()

    def on_open(self, transport: Transport) -> None:
        pass

    def on_message(self, data: bytes, more: bool = False) -> None:
        if len(data) > 4:
            length = int.from_bytes(data[4:8], "big")
            self.messages.append(msgspec.json.decode(data[8 : 8 + length]))
            self.news.set()

    def on_text(self, text: str) -> None:
        raise AssertionError(text)

    def on_heard(self) -> None:
        pass

    def on_closed(self, closed: Closed) -> None:
        self.news.set()

    async def wait_for(self, kind: str, count: int = 1) -> list[dict[str, Any]]:
        async with asyncio.timeout(20):
            while len(found := [each for each in self.messages if each["@type"] == kind]) < count:
                self.news.clear()
                await self.news.wait()
        return found


# Nothing leaves before it is durable


async def test_events_and_responses_wait_for_the_disk(
    exchange: Exchange, disk: Disk, connect: Callable[..., cp.connect], tmp_path: Path
) -> None:
    async with connect() as alice:
        await alice.request(cp.UserBalanceRequest())
        disk.stop()
        await alice.send(buy(1))
        asked = asyncio.create_task(alice.request(cp.UserOrdersRequest()))
        await until(lambda: any(action[1].__name__ == "_queue_response" for action in disk.journal._actions))
        assert disk.said == []
        assert recorded(crash_copy(Path(disk.journal.path), tmp_path / "copy"), "alice") == []
        disk.go_on()
        events = await take(alice, 2)
        assert [type(event.message) for event in events] == [cp.SetBalance, cp.BuyOrderPlaced]
        response = await asked
        assert isinstance(response, cp.UserOrdersResponse)
        assert response.order_books["BTC_USD"].buy[0].order_id == 1
        copy = crash_copy(Path(disk.journal.path), tmp_path / "copy")
        assert [row[2] for row in recorded(copy, "alice")] == [event.raw for event in events]


async def test_an_error_frame_waits_for_the_disk_and_nothing_is_taken_behind_it(
    exchange: Exchange, disk: Disk, connect: Callable[..., cp.connect]
) -> None:
    async with connect() as alice:
        await alice.send(buy(1))
        await take(alice, 2)
        disk.stop()
        for number in (2, 1, 3):  # the second was used before
            await alice.send(buy(number))
        await until(lambda: disk.journal.backlog == 2)
        assert disk.said == []
        disk.go_on()
        assert len(await take(alice, 2)) == 2
        with pytest.raises(cp.DuplicateClientOrderId):
            await take(alice, 1)
    assert len(exchange.open_orders("alice").order_books["BTC_USD"].buy) == 2
    async with connect() as alice:
        assert alice.last_sequence == 3


async def test_throttling_waits_for_the_disk(
    exchange: Exchange, disk: Disk, connect: Callable[..., cp.connect]
) -> None:
    exchange.options = dataclasses.replace(exchange.options, rate_limit=2)
    throttled: list[int] = []

    def throttle(level: int, request_id: int, order_id: int) -> float:
        throttled.append(order_id)
        return 0

    async with connect(throttle=throttle) as alice:
        disk.stop()
        for number in range(1, 4):
            await alice.send(buy(number))
        await until(lambda: disk.journal.backlog == 3)
        assert disk.said == []
        disk.go_on()
        await take(alice, 6)
        await alice.request(cp.UserBalanceRequest())
        assert throttled == [3, 3], "the request counts, too"


async def test_the_sequence_in_the_handshake_waits_for_the_disk(
    exchange: Exchange, disk: Disk, connect: Callable[..., cp.connect]
) -> None:
    async with connect() as first:
        disk.stop()
        await first.send(buy(1))
        await until(lambda: disk.journal.backlog == 1)
        second = asyncio.create_task(connect()._open())
        await until(lambda: any(action[1].__name__ == "send" for action in disk.journal._actions))
        assert disk.said == []
        disk.go_on()
        again = await second
        assert again.last_sequence == 1
        await again.close()


async def test_market_data_and_broadcasts_wait_for_the_disk(
    exchange: Exchange, disk: Disk, connect: Callable[..., cp.connect]
) -> None:
    reader = Reader()
    await opener("auto")(exchange.market_data_url, reader, OpenOptions())
    await reader.wait_for("OrderBookAgg", 5)
    async with connect() as alice, connect("bob") as bob:
        await alice.send(buy(1))
        await take(alice, 2)
        await reader.wait_for("OrderBookAgg", 6)
        disk.stop()
        await bob.send(cp.PlaceSellLimitOrder(trade_pair="BTC_USD", amount="0.004", price="100"))
        await until(lambda: disk.journal.backlog == 1)
        exchange.disable_pairs(["ETH_USD"])
        late = Reader()
        await opener("auto")(exchange.market_data_url, late, OpenOptions())
        await until(lambda: any(action[1].__name__ == "_welcome" for action in disk.journal._actions))
        assert all(len(frame) == 4 for frame in disk.said)  # the hello of the late reader
        disk.go_on()
        (trade,) = await reader.wait_for("AnonymousTrade")
        assert trade["amount"] == "0.00400000"
        await reader.wait_for("TradesDisabledOnPairs")
        *_, book = await reader.wait_for("OrderBookAgg", 7)
        assert book["buy_levels"] == {"100.00000000": "0.00600000"}
        books = await late.wait_for("OrderBookAgg", 5)
        assert books[0]["buy_levels"] == {"100.00000000": "0.00600000"}
        assert not [each for each in late.messages if each["@type"] == "AnonymousTrade"]


async def test_a_slow_disk_slows_the_senders_and_nothing_piles_up(
    exchange: Exchange, disk: Disk, connect: Callable[..., cp.connect], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "_MAX_BACKLOG", 10)
    count = 5000
    async with connect() as alice:
        disk.stop()
        sending = asyncio.create_task(_send(alice, count))
        (server,) = exchange.links
        await until(lambda: server._paused)
        assert disk.journal.backlog < count
        disk.go_on()
        await sending
        assert len(await take(alice, 2 * count)) == 2 * count


async def _send(connection: cp.Connection, count: int) -> None:
    for number in range(count):
        await connection.send(buy(number))


# Replays


@pytest.fixture
def short_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "_TAIL", 8)
    monkeypatch.setattr(outbound, "_BATCH", 50)


@pytest.mark.usefixtures("short_memory")
async def test_replays_are_read_from_the_disk_and_continue_with_new_events(
    exchange: Exchange, connect: Callable[..., cp.connect]
) -> None:
    async with connect() as alice:
        await _send(alice, 300)
        history = await take(alice, 600)
    record = exchange.venue.client("alice")
    assert record is not None
    assert len(record.history) < 16
    ids = [event.transaction_id or 0 for event in history]
    for position in (0, ids[99], ids[590], ids[-1], -1):
        async with connect(resume_from=position) as alice:
            exchange.deposit("alice", "USD", "1")  # in the middle of the replay
            rest = [event for event in history if -1 < position < (event.transaction_id or 0)]
            events = await take(alice, len(rest) + 2)
            assert [event.raw for event in events[:-2]] == [event.raw for event in rest]
            assert type(events[-2].message) is cp.DepositTransactionAccepted
            history += events[-2:]


@pytest.mark.usefixtures("short_memory")
async def test_who_reads_slowly_is_served_from_the_disk(exchange: Exchange, connect: Callable[..., cp.connect]) -> None:
    async with connect(max_queue=10) as alice, connect("bob") as bob:
        (server,) = [each for each in exchange.links if each.record and each.record.client_id == "alice"]
        number = 0
        full = 0
        while full < 2:  # alice takes nothing: until all buffers between are full, and once more
            full += server.outbound.drain is not None
            number += 100
            for _ in range(100):
                exchange.deposit("alice", "USD", "1")
            await exchange.flush()
            await asyncio.sleep(0)
        record = exchange.venue.client("alice")
        assert record is not None
        assert record.first > server.outbound._cursor
        await bob.request(cp.UserBalanceRequest())  # nobody else is held up
        events = await take(alice, 2 * number)
        ids = [event.transaction_id for event in events]
        assert ids == list(range(1, 2 * number + 1))


@pytest.mark.usefixtures("short_memory")
async def test_a_refusal_comes_behind_the_whole_replay(exchange: Exchange, connect: Callable[..., cp.connect]) -> None:
    async with connect() as alice:
        await _send(alice, 300)
        history = await take(alice, 600)
    async with connect(resume_from=0) as alice:
        await alice.send(buy(1))  # used before
        assert [event.raw for event in await take(alice, 600)] == [event.raw for event in history]
        with pytest.raises(cp.DuplicateClientOrderId):
            await take(alice, 1)


@pytest.mark.usefixtures("short_memory")
async def test_a_damaged_history_is_not_sent(exchange: Exchange, connect: Callable[..., cp.connect]) -> None:
    async with connect() as alice:
        await _send(alice, 100)
        await take(alice, 200)
    ledger = exchange.venue.ledger
    assert isinstance(ledger, Journal)
    ledger._file.writer.execute("UPDATE events SET payload = '{}' WHERE transaction_id = 60")
    async with connect() as alice:
        assert len(await take(alice, 50)) == 50  # the batch before
        with pytest.raises(cp.ConnectionClosed) as caught:
            await take(alice, 100)
        assert caught.value.code == 1011
    async with connect(resume_from=-1) as alice:  # others go on
        await alice.request(cp.UserBalanceRequest())


# The end


async def test_a_journal_that_cannot_be_written_stops_the_exchange_and_nothing_more_is_sent(
    exchange: Exchange, connect: Callable[..., cp.connect], tmp_path: Path
) -> None:
    ledger = exchange.venue.ledger
    assert isinstance(ledger, Journal)
    (pages,) = ledger._file.writer.execute("PRAGMA page_count").fetchone()
    ledger._file.writer.execute(f"PRAGMA max_page_count = {pages + 20}")
    reader = Reader()
    await opener("auto")(exchange.market_data_url, reader, OpenOptions())
    events: list[cp.Event] = []
    async with connect(on_event=events.append) as alice:
        number = 0
        while alice.is_open:
            number += 1
            await alice.send(buy(number))
            await asyncio.sleep(0)
        await alice.wait_closed()
        assert isinstance(alice.error, cp.ConnectionClosed)
        assert alice.error.code == 1011
        assert "cannot write its journal" in alice.error.reason
    with pytest.raises(cp.JournalError, match=r"exchange\.db: the journal cannot be written.*full"):
        await asyncio.wait_for(exchange.wait_closed(), 20)
    with pytest.raises(cp.JournalError):
        exchange.deposit("alice", "USD", "1")
    with pytest.raises(cp.JournalError):
        await exchange.flush()
    with pytest.raises(cp.JournalError):
        await exchange.start()
    with pytest.raises(cp.ConnectionClosed, match="cannot connect"):
        await connect()
    assert 0 < len(events) < 2 * number
    await exchange.close()
    # Everything that was told is there, and after more room was made it goes on from there.
    path = tmp_path / "exchange.db"
    told = [(event.transaction_id, event.timestamp, event.raw) for event in events]
    assert recorded(path, "alice")[: len(told)] == told
    await exchange.start()
    async with connect() as alice:
        assert alice.last_sequence == len(recorded(path, "alice")) // 2


async def test_close_commits_everything_and_start_opens_it_again(
    exchange: Exchange, disk: Disk, connect: Callable[..., cp.connect]
) -> None:
    async with connect() as alice:
        disk.stop()
        await alice.send(buy(1))
        await until(lambda: disk.journal.backlog == 1)
        closing = asyncio.create_task(exchange.close())
        await until(lambda: disk.journal._turn is not None)
        assert disk.said == []
        disk.go_on()
        assert len(await take(alice, 2)) == 2  # told before the end
        await closing
    with pytest.raises(cp.ConfigurationError, match="closed"):
        exchange.deposit("alice", "USD", "1")
    await exchange.start()
    exchange.deposit("alice", "USD", "1")
    async with connect() as alice:
        assert alice.last_sequence == 1
        assert len(await take(alice, 4)) == 4


async def test_an_orderly_restart_keeps_everything(exchange: Exchange, connect: Callable[..., cp.connect]) -> None:
    async with connect() as alice:
        await alice.send(buy(1))
        await take(alice, 2)
        await exchange.restart()
        with pytest.raises(cp.ServerRestart):
            await take(alice, 1)
    async with connect(resume_from=1) as alice:
        assert alice.last_sequence == 1
        assert [event.transaction_id for event in await take(alice, 1)] == [2]


async def test_what_the_operator_does_before_the_start_is_durable_at_once(
    tmp_path: Path, alice_key: cp.PrivateKey
) -> None:
    exchange = Exchange(path=tmp_path / "exchange.db")
    exchange.register("alice", alice_key.public_key, balances={"USD": "5"})
    exchange.deposit("alice", "USD", "2")
    copy = crash_copy(tmp_path / "exchange.db", tmp_path / "copy")
    await exchange.close()
    async with Exchange(path=copy) as again:
        assert again.totals() == {"USD": 7}
        with pytest.raises(cp.ConfigurationError, match="cannot be encoded as UTF-8"):
            again.deposit("alice", "USD", "1", to_address="\ud800")
        assert again.totals() == {"USD": 7}


async def test_the_rules_of_pairs_stay_in_the_journal(tmp_path: Path, exchange_key: cp.PrivateKey) -> None:
    path = tmp_path / "rules.db"
    rules = [cp.Instrument("ETH_USD", tick_size="0.1"), cp.Instrument("BTC_USD", tick_size="0.01")]
    async with Exchange(path=path, private_key=exchange_key, instruments=rules) as exchange:
        assert exchange.instruments == (rules[1], rules[0]), "in order of the pairs"
        await exchange.flush()
        crashed = crash_copy(path, tmp_path / "crashed")
    for copy in (path, crashed):
        async with Exchange(path=copy) as exchange:
            assert exchange.instruments == (rules[1], rules[0])
    async with Exchange(path=path, instruments=reversed(rules)) as exchange:
        ledger = exchange.venue.ledger
        assert isinstance(ledger, Journal)
        assert ledger.since_snapshot == 0, "the same rules are not written again"
    async with Exchange(path=path, instruments=[]) as exchange:
        assert exchange.instruments == ()
    async with Exchange(path=path) as exchange:
        assert exchange.instruments == ()


async def test_rules_of_a_pair_that_is_not_traded_leave_no_file_and_no_lock(
    tmp_path: Path, exchange_key: cp.PrivateKey
) -> None:
    path, rules = tmp_path / "rules.db", [cp.Instrument("X_Y")]
    with pytest.raises(cp.ConfigurationError, match="X_Y is not traded here; name it in trade_pairs="):
        Exchange(path=path, private_key=exchange_key, instruments=rules)
    assert not path.exists()
    async with Exchange(path=path, private_key=exchange_key):
        pass
    with pytest.raises(cp.ConfigurationError, match="X_Y is not traded here"):
        Exchange(path=path, instruments=rules)
    async with Exchange(path=path) as exchange:
        with pytest.raises(cp.ConfigurationError, match="X_Y is not traded here"):
            exchange.set_instruments(rules)
        assert exchange.instruments == ()
