"""A simulated world: an exchange with its journal, its clients with their stores, a network, a disk, and one seed."""

from __future__ import annotations

import asyncio
import hashlib
import random
import sys
from collections.abc import Callable, Coroutine, Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import cryptoproto as cp
from cryptoproto.client.order_ids import ClientOrderIds
from cryptoproto.exchange import Exchange
from cryptoproto.messages import OrderPlaced
from tests.support.simulation.checks import Truth
from tests.support.simulation.disk import Disk
from tests.support.simulation.event_loop import SimulatedExecutor, SimulatedLoop
from tests.support.simulation.network import Network
from tests.support.simulation.plan import Plan
from tests.support.simulation.shared_session import DESK, SharedSession
from tests.support.simulation.trader import LEVEL, LEVELS, PAIR, QUOTED_PAIR, Trader

__all__ = ["BALANCES", "World"]

BALANCES: Final = {"USD": "100000", "BTC": "100", "ETH": "100"}
_EPOCH_NS: Final = 1_750_000_000 * 10**9
_PORT: Final = 7000
_STALL_S: Final = 5.0
_CLOSE_S: Final = 2.5  # for closing a link whose peer does not answer, and a look at it every now and then


class World:
    """See the module.

    Attributes:
        plan: what happens.
        keys: by client id, and of the exchange.
        exchange: the one that runs; ``None`` while it is down.
        path: its journal.
        backup: a copy of the journal, if one was made.
        is_calm: whether nothing goes wrong any more, and nobody trades.
        clock_offset_ns: by how much the clocks of all machines are wrong.
        disk_delay: how long a commit takes at most.
        restored: the newest transaction of the exchange when it was restored from a backup.
        returned: after the exchange was restored from a backup, for each client that came back: the newest transaction
            of the exchange when it was live for the last time, and its position.
        forgotten: the client order ids of orders that were accepted, and that the backup lacks, by client.
        session: the session that gateways share; ``None`` if there is none.
        differences: what clients found to be different at the exchange.
    """

    def __init__(self, plan: Plan, folder: Path, keys: dict[str, cp.PrivateKey], *, verbose: bool = False) -> None:
        self.plan = plan
        self.keys = keys
        self.verbose = verbose
        self._loop = asyncio.get_running_loop()
        self._choice = random.Random(f"{plan.seed} world")
        self._ids = random.Random(f"{plan.seed} ids")
        self._hashes: dict[str, Any] = {}
        self.network = Network(plan.seed, plan.latency, plan.jitter, plan.window, self.trace)
        self.disk = Disk(folder, random.Random(f"{plan.seed} disk"))
        self.exchange: Exchange | None = None
        self.path = self.disk.new_path("exchange")
        self.backup: Path | None = None
        self.is_calm = False
        self.clock_offset_ns = 0
        self.disk_delay = plan.disk_delay
        self.exchange_lock = asyncio.Lock()
        self.url = f"ws://127.0.0.1:{_PORT}"
        self.restored = 0
        self.returned: dict[str, tuple[int, int]] | None = None
        self.forgotten: dict[str, set[int | None]] = {}
        self.differences: list[tuple[str, Any]] = []
        self._writer: SimulatedExecutor | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._failure: asyncio.Future[None] = self._loop.create_future()
        self.traders = [Trader(self, name, keys[name]) for name in plan.clients]
        self.session = SharedSession(self) if plan.has_gateways else None

    # Time and threads

    def time_ns(self) -> int:
        """The time of day."""
        return _EPOCH_NS + int(self._loop.time() * 1e9) + self.clock_offset_ns

    def client_order_ids(self) -> ClientOrderIds:
        """Ids that are the same each time."""
        return ClientOrderIds(clock=self.time_ns, random=self._ids.randbytes, process=lambda: 1)

    def executor(self, max_workers: int = 1, thread_name_prefix: str = "") -> SimulatedExecutor:
        """In the place of a pool of threads."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimulatedLoop)
        choice = self._choice
        if thread_name_prefix == "journal-writer":
            self._writer = SimulatedExecutor(
                loop, thread_name_prefix, lambda: self.disk_delay * (0.2 + choice.random()), self._written
            )
            return self._writer
        return SimulatedExecutor(loop, thread_name_prefix, lambda: 0.002 * choice.random())

    def _written(self, write: Callable[..., object]) -> None:
        file = write.__self__  # type: ignore[attr-defined]
        self.disk.committed(file.path, file.writer)

    # Tasks

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """A task whose failure is that of the world."""
        task = self._loop.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._on_done)
        return task

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            error.add_note(f"in {task.get_name()} at {self._loop.time():.3f} s")
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """The world is wrong. The first error counts."""
        if not self._failure.done():
            self._failure.set_exception(error)

    async def cancel(self, tasks: Iterable[asyncio.Task[Any]]) -> None:
        """Cancel tasks and wait for their end."""
        tasks = [task for task in tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def while_well(self, work: Coroutine[Any, Any, None]) -> None:
        """Do *work*, and fail with the first task that fails."""
        task = self.spawn(work, "the world")
        try:
            await asyncio.wait([task, self._failure], return_when=asyncio.FIRST_COMPLETED)
            if self._failure.done():
                self._failure.result()
        finally:
            await self.cancel([task])
        if not self._failure.done():
            self._failure.cancel()

    async def end(self) -> None:
        """End everything, whatever state it is in."""
        for trader in self.traders:
            if trader.process is not None:
                trader.process.is_alive = False
                await trader.process.leave(0.0)
        if self.session is not None:
            await self.session.end()
        if self.exchange is not None:
            await self.exchange.close()
        await self.cancel(list(self._tasks))

    # The trace

    def trace(self, who: str, *words: Any) -> None:
        """Something happened to *who*. The same seed gives the same trace."""
        known = self._hashes.get(who)
        if known is None:
            known = self._hashes[who] = hashlib.blake2b(digest_size=8)
        now = self._loop.time()
        known.update(f"{now:.9f} {words}\n".encode())
        if self.verbose:
            sys.stderr.write(f"{now:10.6f}  {who:<16} {' '.join(map(str, words))}\n")

    @property
    def digest(self) -> str:
        """The hash of everything that happened."""
        whole = hashlib.blake2b(digest_size=8)
        for who in sorted(self._hashes):
            whole.update(who.encode() + self._hashes[who].digest())
        return whole.hexdigest()

    # The exchange

    def make_exchange(self) -> Exchange:
        """An exchange on the journal, which is not started."""
        plan = self.plan
        is_new = not self.path.exists()
        exchange = Exchange(
            self.path,
            port=_PORT,
            market_data_port=_PORT + 1,
            rate_limit=plan.rate_limit,
            private_key=self.keys["exchange"] if is_new else None,
            maker_fee=Decimal(plan.maker_fee) if is_new else None,
            taker_fee=Decimal(plan.taker_fee) if is_new else None,
            clock=self.time_ns,
            ping_interval=1.0,
            ping_timeout=plan.ping_timeout,
            stall_timeout=_STALL_S,
        )
        journal = exchange._journal
        assert journal is not None
        journal.snapshot_every = journal._snapshot_due = plan.snapshot_every
        for trader in self.traders:
            exchange.register(trader.name, trader.key.public_key, BALANCES)
        if self.session is not None:
            exchange.register(DESK, self.keys[DESK].public_key, BALANCES)
        self.disk.committed(str(self.path), journal._file.writer)
        return exchange

    async def open_exchange(self) -> None:
        """Start the exchange."""
        exchange = self.make_exchange()
        await exchange.start()
        self.exchange = exchange
        self.trace("exchange", "open")

    async def close_exchange(self) -> None:
        """An orderly end of its process."""
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            self.trace("exchange", "closes")
            await exchange.close(1012, "server restart")

    def restore_exchange(self) -> None:
        """Put the backup in the place of the journal. The exchange has crashed."""
        if self.backup is not None:
            for trader in self.traders:
                before, now = (Truth.of(path, trader.name).told(OrderPlaced) for path in (self.path, self.backup))
                self.forgotten[trader.name] = {order.client_order_id for order in before[len(now) :]}
            self.path = self.backup
            self.returned = {}

    def is_live(self, trader: Trader) -> None:
        """A client is live; what was replayed before may repeat transactions, so only now it can notice a rewind."""
        process = trader.process
        if self.returned is not None and self.exchange is not None and process:
            journal, position = self.exchange._journal, process.client._events._taken_in or 0
            assert journal is not None
            self.returned[trader.name] = journal.last_transaction_id, max(position, process.store.recorded_through)

    def crash_exchange(self, *, silent: bool) -> None:
        """The end of its machine at this moment. With *silent*, clients do not learn of it."""
        exchange, self.exchange = self.exchange, None
        if exchange is None:
            return
        self.trace("exchange", "crashes")
        self.network.ports.clear()
        self.network.sever("exchange", reset=not silent)
        if self._writer is not None:
            self._writer.interrupt()
        self.path = self.disk.crashed(self.path, "exchange")
        self.spawn(exchange.close(), "burial of the exchange")

    # What must always hold

    async def watch(self) -> None:
        """Look at the whole every now and then."""
        stalled: dict[asyncio.Task[None], float] = {}
        while True:
            await asyncio.sleep(0.1)
            exchange, now = self.exchange, self._loop.time()
            if exchange is None:
                continue
            for trader in self.traders:
                self._check_open(exchange, trader)
            drains = (link.outbound.drain for link in exchange.links)
            stalled = {drain: stalled.get(drain, now) for drain in drains if drain is not None}
            for since in stalled.values():
                assert now - since <= _STALL_S + _CLOSE_S, "a client that reads nothing keeps its place at the exchange"

    def _check_open(self, exchange: Exchange, trader: Trader) -> None:
        books = exchange.open_orders(trader.name).order_books
        if trader.is_quoter and QUOTED_PAIR in books:
            for rows in (books[QUOTED_PAIR].buy, books[QUOTED_PAIR].sell):
                quoted = sum((row.amount for row in rows), Decimal(0))
                assert quoted <= Decimal(LEVEL) * LEVELS, f"{trader.name} quotes {quoted}: {rows}"
        if trader.open_value is not None and PAIR in books:
            rows = [*books[PAIR].buy, *books[PAIR].sell]
            value = sum((row.amount * row.price for row in rows), Decimal(0))
            most = trader.open_value
            assert value <= most, f"{trader.name} has open orders of {value} USD, and {most} are allowed"

    def expect_nothing_open(self, trader: Trader) -> None:
        """A client has said that it left no order open. It does not know of a restore if it was not live since then."""
        knows = self.returned is None or trader.name in self.returned
        if knows and self.exchange is not None and self.exchange.venue.ledger.backlog == 0:
            books = self.exchange.open_orders(trader.name).order_books
            assert not books, f"{trader.name} said that nothing is open: {books}"

    def note_difference(self, trader: Trader, report: Any) -> None:
        """A client has found something that no event reported."""
        self.differences.append((trader.name, report))
