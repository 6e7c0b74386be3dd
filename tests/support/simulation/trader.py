"""One client id over several processes: what its bots ask for, what they are told, and what they handle."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import cryptoproto as cp
from cryptoproto.client.store.sqlite import SqliteStore
from tests.support.simulation.plan import PATIENCE_S

if TYPE_CHECKING:
    from tests.support.simulation.world import World

__all__ = ["LEVEL", "LEVELS", "PAIR", "QUOTED_PAIR", "Key", "PositionedStore", "Process", "Trader"]

PAIR: Final = "BTC_USD"
QUOTED_PAIR: Final = "ETH_USD"
LEVEL: Final = "0.1"
LEVELS: Final = 2
_PROBE_S: Final = 5.0
_SLACK_S: Final = 0.1  # a thread that signs
_TABLE: Final = "CREATE TABLE IF NOT EXISTS handled (number INTEGER PRIMARY KEY, transaction_id, payload)"

Key: TypeAlias = tuple[str, int]
"""``"place"`` and a client order id, or ``"cancel"`` and an order id."""


class PositionedStore(SqliteStore):
    """Remembers where it began, and how often each order was sent.

    Attributes:
        began_at: its position when it was opened.
        most_times: how often an order may be sent.
    """

    began_at: int | None = None
    most_times = 1

    def __init__(self, path: Path, on_put: Callable[[cp.OutboxEntry], None], **options: Any) -> None:
        super().__init__(path, **options)
        self._on_put = on_put
        self._sent: Counter[int] = Counter()

    def put(self, entry: cp.OutboxEntry) -> int:
        number = entry.client_order_id
        if number is not None and entry.kind == "place":
            self._sent[number] += 1
            assert self._sent[number] <= self.most_times, f"order {number} was sent again"
        self._on_put(entry)
        return super().put(entry)

    def open(self, client_id: str, server_fingerprint: str) -> None:
        super().open(client_id, server_fingerprint)
        self.began_at = self.position


class Trader:
    """One client id.

    Attributes:
        mode: how events are handled: in transactions of the store, by iteration, or by a function.
        takes_batches: whether transactions and iterations are by the batch.
        open_value: the limit of the open value of a pair; ``None`` for traders without limits.
        is_live_only: whether it begins with what happens from then on.
        poor_share: how many of its orders are for more than it has.
        path: the file of the store.
        process: the one that runs; ``None`` if none does.
        said: what was said of each message, by a call or a report, OutcomeUnknown left out.
        owed: the messages whose outcome has to be reported.
        maybe: the messages of calls that a kill interrupted, or that ended before they were sent.
        poor: the orders for which there is not enough money.
        replaces: the order id that each new order takes the place of, by client order id.
        sequences: which order was the last one to be sent with each sequence; ``None`` for other messages.
        slices: what each process handled: its store, which knows where it began, and the transactions.
        closed_by: the errors that closed a client for good.
    """

    def __init__(self, world: World, name: str, key: cp.PrivateKey) -> None:
        self.world = world
        self.name = name
        self.key = key
        self.choice = choice = random.Random(f"{world.plan.seed} {name}")
        self.is_quoter = world.plan.quoter == name
        self.mode = choice.choice(("transaction", "iterate", "on_event"))
        self.takes_batches = random.Random(f"{world.plan.seed} {name} batches").random() < 0.3
        self.synchronous: Any = choice.choice(("NORMAL", "FULL"))
        self.protocol = choice.choice((cp.Protocol.V5, cp.Protocol.V5, cp.Protocol.V5, cp.Protocol.SIGNED))
        self.open_value = None if self.is_quoter else choice.choice((None, None, None, None, 300, 800))
        self.is_live_only = not self.is_quoter and choice.random() < 0.15
        self.poor_share = choice.choice((0.06, 0.06, 0.3))
        self.ping_timeout = choice.choice((2.5, 2.5, PATIENCE_S))
        self.path = world.disk.new_path(name)
        self.process: Process | None = None
        self.slow_until = 0.0
        self.said: dict[Key, list[str]] = {}
        self.owed: dict[Key, int] = {}
        self.maybe: set[Key] = set()
        self.poor: set[int] = set()
        self.replaces: dict[int, int] = {}
        self.sequences: dict[int, int | None] = {}
        self.slices: list[tuple[PositionedStore, list[int]]] = []
        self.closed_by: list[cp.CryptoprotoError] = []
        self.calls = 0
        self.processes = 0
        self._last_number = 0

    def next_number(self) -> int:
        self._last_number += 1
        return self._last_number

    def say(self, key: Key, verdict: str) -> None:
        """Something is known of a message."""
        self.world.trace(self.name, *key, verdict)
        self.said.setdefault(key, []).append(verdict)
        self.owed.pop(key, None)

    def start(self, *, cancels_on_exit: bool | None = None) -> Process:
        """A new process; whether it cancels what is open when it ends is drawn, unless it is given."""
        self.processes += 1
        self.process = Process(self, self.processes, cancels_on_exit)
        return self.process

    @property
    def is_gone(self) -> bool:
        """Whether its client was closed for good, which only a rewound history may do."""
        return bool(self.closed_by)


class Process:
    """One process of a trader.

    Attributes:
        is_alive: false once it was killed; what it does afterwards counts for nothing.
        client: its client.
        calling: the messages of calls that are under way.
    """

    def __init__(self, trader: Trader, number: int, cancels_on_exit: bool | None = None) -> None:
        world = trader.world
        self.trader = trader
        self.world = world
        self.owner = f"{trader.name}.{number}"
        self.is_alive = True
        self.choice = choice = random.Random(f"{world.plan.seed} {self.owner}")
        self.calling: list[Key] = []
        self.store = PositionedStore(
            trader.path,
            self._on_put,
            commit_every=choice.choice((1, 4, 256)),
            synchronous=trader.synchronous,
            history=True,
        )
        resend: Any = choice.choice(("never", "once"))
        self.store.most_times = 1 if resend == "never" else 2
        self.cancels_on_exit = choice.random() < 0.2 if cancels_on_exit is None else cancels_on_exit
        self.reads_late = choice.random() < 0.3
        self.report_delay = choice.choice((0.0, 0.0, 0.5))
        self._prepares = prepares = random.Random(f"{world.plan.seed} {self.owner} prepares")
        options: dict[str, Any] = {}
        if trader.mode == "on_event":
            options["on_event"] = self._on_event
        if trader.open_value is not None:
            options["limits"] = cp.OrderLimits(max_pair_open_value=trader.open_value)
        if trader.is_live_only:
            options["resume_from"] = -1
        self.client = cp.Client(
            world.url,
            client_id=trader.name,
            private_key=trader.key,
            server_key=world.keys["exchange"].public_key,
            transport=world.network.opener(self.owner),
            protocol=trader.protocol,
            store=self.store,
            lock=False,
            max_queue=choice.choice((5, 50, 5000)),
            resend=resend,
            order_rate=choice.choice((None, None, 15)),
            backoff=cp.Backoff(0.2, 2.0, random=choice.random),
            request_timeout=3.0,
            open_timeout=3.0,
            ping_interval=1.0,
            ping_timeout=trader.ping_timeout,
            cancel_on_exit=self.cancels_on_exit,
            keep_cancels_ready=prepares.choice((0, 0, 3)),
            **options,
        )
        self._handled: list[int] = []
        trader.slices.append((self.store, self._handled))
        self._bots: list[asyncio.Task[None]] = []
        self._readers: list[asyncio.Task[None]] = []
        self.quotes: cp.Quotes | None = None
        self.main = world.spawn(self._run(), self.owner)

    # The beginning and the end

    async def _run(self) -> None:
        client, world = self.client, self.world
        reports = client.reports()
        source = None if self.trader.mode == "on_event" or self.reads_late else self._source()
        self._readers.append(world.spawn(self._read_reports(reports), f"{self.owner} reports"))
        try:
            await client.start()
        except cp.HistoryRewound as error:
            self._gone(error)
            return
        self._readers.append(world.spawn(self._watch(), f"{self.owner} states"))
        if self.trader.mode != "on_event":
            self._readers.append(world.spawn(self._read(source), f"{self.owner} events"))
        if world.is_calm:
            return
        if self.trader.is_quoter:
            self._bots.append(world.spawn(self._quote(), f"{self.owner} quotes"))
        else:
            for bot in range(2):
                self._bots.append(world.spawn(self._trade(bot), f"{self.owner} bot {bot}"))

    def _still_alive(self) -> bool:
        """After an await; a type checker believes that nothing changes meanwhile."""
        return self.is_alive

    def _on_put(self, entry: cp.OutboxEntry) -> None:
        if self.is_alive and entry.sequence is not None:
            self.trader.sequences[entry.sequence] = entry.client_order_id if entry.kind == "place" else None

    def _gone(self, error: cp.CryptoprotoError) -> None:
        if self.is_alive:
            self.world.trace(self.trader.name, "closed by", type(error).__name__)
            self.trader.closed_by.append(error)

    async def _watch(self) -> None:
        async for change in self.client.states():
            self.world.trace(self.owner, change.state.value)
            if change.state is cp.State.LIVE and self.is_alive:
                self.world.is_live(self.trader)
            if change.state is cp.State.CLOSED and change.error is not None:
                self._gone(change.error)

    async def stop_trading(self) -> None:
        """End the bots; what their calls have become is reported."""
        await self.world.cancel(self._bots)
        self._bots.clear()

    async def leave(self, timeout: float) -> None:
        """An orderly end."""
        await self.world.cancel([self.main])
        if self.quotes is not None and self.choice.random() < 0.5:
            await self.quotes.close(timeout)
        await self.client.close(timeout)
        await self._end_tasks()
        if self.is_alive and self.trader.process is self:
            self.trader.process = None
            knows_all = self.client.orders.compared and not self.trader.is_gone
            if self.cancels_on_exit and knows_all and not self.client.left_open:
                self.world.expect_nothing_open(self.trader)

    async def _end_tasks(self) -> None:
        if self.quotes is not None:
            await self.quotes.close(0.0)
        await self.stop_trading()
        await asyncio.gather(*self._readers)

    def kill(self, *, power: bool) -> None:
        """End it at this moment: it says, sends and writes nothing more."""
        trader, world = self.trader, self.world
        self.is_alive = False
        world.network.sever(self.owner, reset=not power)
        if trader.path.exists():
            survives = world.disk.crashed if power and trader.synchronous == "FULL" else world.disk.killed
            if self.store._file is not None:
                world.disk.committed(str(trader.path), self.store._file.connection)
            trader.path = survives(trader.path, trader.name)
        trader.maybe.update(self.calling)
        trader.process = None
        if world.returned is not None:
            world.returned.pop(trader.name, None)  # the next process may know less
        world.spawn(self._bury(), f"{self.owner} burial")

    async def _bury(self) -> None:
        """End the tasks of a process that was killed."""
        await self.world.cancel([self.main, *self._bots])
        await self.client.close(0.0)
        await self._end_tasks()

    # What it is told

    async def _read_reports(self, reports: Any) -> None:
        async for report in reports:
            if not self.is_alive:
                return
            if self.report_delay and not self.world.is_calm:
                await asyncio.sleep(self.report_delay)
            if not self._still_alive():
                return
            if isinstance(report, cp.OutcomeReport):
                if report.kind.value == "cancel_all":
                    continue
                number = report.client_order_id if report.kind.value == "place" else report.order_id
                assert number is not None
                self.trader.say((report.kind.value, number), _verdict(report.error))
            else:
                self.world.note_difference(self.trader, report)

    def _on_event(self, event: cp.Event) -> None:
        if self.is_alive and event.transaction_id is not None:
            self._handled.append(event.transaction_id)

    def _source(self) -> AsyncIterator[cp.Event | list[cp.Event]]:
        return self.client.batches() if self.trader.takes_batches else self.client.events()

    async def _late_events(self) -> AsyncIterator[cp.Event | list[cp.Event]]:
        """Events that nobody asks for while the client connects, once or twice; perhaps it connects again then."""
        client, choice = self.client, self.choice
        times = choice.choice((1, 2, 2, 3))
        with suppress(TimeoutError):
            async with asyncio.timeout(5.0):
                async for change in client.states():
                    times -= change.state is cp.State.CONNECTING
                    if not times or self.world.is_calm:
                        await asyncio.sleep(choice.uniform(0.0, 6 * self.world.plan.latency))
                        break
        return self._source()

    async def _read(self, source: AsyncIterator[cp.Event | list[cp.Event]] | None) -> None:
        in_transactions = self.trader.mode == "transaction"
        loop = asyncio.get_running_loop()
        if in_transactions:
            with self.store.transaction() as db:
                db.execute(_TABLE)
        if source is None:
            source = await self._late_events()
        try:
            async for taken in source:
                batch = taken if isinstance(taken, list) else [taken]
                events = [(event.transaction_id, event.raw) for event in batch if event.transaction_id is not None]
                if not events:
                    continue
                if not self.is_alive:
                    return
                if in_transactions:
                    with self.store.transaction() as db:
                        db.executemany("INSERT INTO handled (transaction_id, payload) VALUES (?, ?)", events)
                self._handled += [transaction_id for transaction_id, _ in events]
                if loop.time() < self.trader.slow_until:
                    await asyncio.sleep(self.trader.slow_until - loop.time())
        except cp.HistoryRewound:
            pass  # the states say so, too

    # What it asks for

    async def ask(self, key: Key | None, timeout: float, call: Awaitable[Any], *, probes: int = 1) -> Any:
        """What *call* returns, ``None`` where it raises; what it says of *key* is remembered."""
        loop, trader = asyncio.get_running_loop(), self.trader
        begun = loop.time()
        trader.calls += 1
        if key is not None:
            self.calling.append(key)
        result, is_final = None, False
        try:
            result = await call
            verdict = "nothing" if result is False else "done"
        except cp.CryptoprotoError as error:
            verdict = _verdict(error)
            is_final = isinstance(error, cp.OutcomeUnknown) and error.is_final
        except asyncio.CancelledError:
            if self.is_alive:
                self._check_time(key, begun, timeout + probes * _PROBE_S)
                if key is not None:
                    trader.maybe.add(key)
            raise
        finally:
            if key is not None:
                self.calling.remove(key)
        if not self.is_alive:
            return None
        self._check_time(key, begun, timeout + probes * _PROBE_S)
        if key is not None:
            if verdict == "OutcomeUnknown" and not is_final:
                self.world.trace(trader.name, *key, verdict)
                trader.owed[key] = trader.owed.get(key, 0) + 1
            else:
                trader.say(key, verdict)
        return result

    def _check_time(self, key: Key | None, begun: float, limit: float) -> None:
        took = asyncio.get_running_loop().time() - begun
        if took > limit + _SLACK_S:
            self.world.fail(AssertionError(f"a call of {self.owner} ({key}) took {took:.3f} s, and not {limit} s"))

    async def _trade(self, bot: int) -> None:
        choice = random.Random(f"{self.world.plan.seed} {self.owner} {bot}")
        while True:
            order = await self._place(choice)
            if self.trader.open_value is not None and choice.random() < 0.5:  # more at once than the limit may allow
                await asyncio.gather(*(self._place(choice) for _ in range(3)))
            dice = choice.random()
            timeout = choice.choice((0.3, 2.0, 5.0))
            if order is None:
                pass
            elif dice < 0.3:
                await self._replace(choice, order)
            elif dice < 0.65:
                await self._cancel(choice, order, timeout)
            if dice > 0.95:
                await self.ask(None, timeout, self.client.cancel_all(timeout=timeout))
            elif dice > 0.88:
                await self._question(timeout)
            await asyncio.sleep(choice.expovariate(2.5))

    async def _question(self, timeout: float) -> None:
        """Two requests at once, each of which gets its own response."""
        balances, orders = await asyncio.gather(
            self.ask(None, timeout, self.client.balances(timeout=timeout), probes=0),
            self.ask(None, timeout, self.client.open_orders(timeout=timeout), probes=0),
        )
        assert balances is None or "USD" in balances, "another response than that to the request"
        assert orders is None or balances is not None, "a later request was answered, and an earlier one was not"

    async def _place(self, choice: random.Random) -> cp.Order | None:
        number = self.trader.next_number()
        price: Any = choice.randint(95, 105)
        is_poor = choice.random() < self.trader.poor_share
        if is_poor and self.trader.open_value is None:
            price = 10**10
            self.trader.poor.add(number)
        timeout = choice.choice((0.1, 0.5, 3.0))
        terms: dict[str, Any] = {
            "trade_pair": PAIR if choice.random() < 0.97 else "NO_PAIR",
            "side": "buy" if is_poor else choice.choice(("buy", "sell")),
            "amount": choice.choice(("0.01", "0.5", "2")),
            "price": price,
            "time_in_force": choice.choice(("gtc", "gtc", "gtc", "ioc", "fok")),
            "ttl": choice.choice((0, 0, 0, 60)),
            "client_order_id": number,
        }
        wait, held = choice.random() < 0.8, 0.0
        if self._prepares.random() < 0.3:
            held = self._prepares.choice((0.0, 0.1, 1.0))
            order = self._prepared(terms, held, timeout, wait)
        else:
            order = self.client.place(**terms, timeout=timeout, wait=wait)
        placed = await self.ask(("place", number), timeout + held, order)
        return placed if isinstance(placed, cp.Order) and not placed.is_closed else None

    async def _prepared(self, terms: dict[str, Any], held: float, timeout: float, wait: bool) -> cp.Order:
        """Place an order that was prepared a while ago, beside another one that is discarded."""
        prepared = await self.client.prepare(**terms)
        discarded = await self.client.prepare(**terms | {"client_order_id": self.trader.next_number()})
        await asyncio.sleep(held)
        discarded.discard()
        with suppress(cp.OrderInvalid):
            await discarded.place(timeout=timeout, wait=wait)
        return await prepared.place(timeout=timeout, wait=wait)

    async def _cancel(self, choice: random.Random, order: cp.Order, timeout: float) -> None:
        client, number = self.client, order.order_id
        assert number is not None
        names: Any = ({"order": order}, {"order_id": number}, {"client_order_id": order.client_order_id})
        await self.ask(("cancel", number), timeout, client.cancel(**choice.choice(names), timeout=timeout))

    async def _replace(self, choice: random.Random, order: cp.Order) -> None:
        trader, number = self.trader, self.trader.next_number()
        is_pipelined = choice.random() < 0.3
        timeout = choice.choice((0.3, 1.0, 5.0))
        if not is_pipelined and order.order_id is not None:
            trader.replaces[number] = order.order_id
        key = ("place", number)
        self.calling.append(key)
        try:
            await self.ask(
                None,
                timeout,
                self._replaced(
                    key,
                    self.client.replace(
                        order,
                        price=choice.randint(95, 105),
                        client_order_id=number,
                        timeout=timeout,
                        pipelined=is_pipelined,
                    ),
                    is_pipelined,
                ),
                probes=2,
            )
        except asyncio.CancelledError:
            if self.is_alive:
                trader.maybe.add(key)
            raise
        finally:
            self.calling.remove(key)

    async def _replaced(self, key: Key, call: Awaitable[Any], is_pipelined: bool) -> None:
        """What replacing says of the new order."""
        trader = self.trader
        try:
            await call
            verdict = "done"
        except cp.ReplaceIncomplete as error:
            cause = error.__cause__
            if is_pipelined and error.replacement is not None and error.replacement.acknowledged_ns is not None:
                verdict = "done"  # it is the old order that is in doubt
            else:
                assert isinstance(cause, cp.CryptoprotoError)
                verdict = _verdict(cause)
        except cp.OutcomeUnknown:
            verdict = "maybe" if is_pipelined else "RequestNotSent"
        except cp.CryptoprotoError:
            verdict = "maybe" if is_pipelined else "RequestNotSent"
        if not self.is_alive:
            return
        if verdict == "maybe":
            trader.maybe.add(key)
        elif verdict == "OutcomeUnknown":
            trader.owed[key] = 1
        else:
            trader.say(key, verdict)

    async def _quote(self) -> None:
        choice = self.choice
        self.quotes = quotes = cp.Quotes(self.client, QUOTED_PAIR, timeout=2.0)
        while self.client.state.state is not cp.State.CLOSED:
            middle = choice.randint(97, 103)
            await self._quote_around(quotes, middle)
            await asyncio.sleep(choice.expovariate(2.0))

    async def _quote_around(self, quotes: cp.Quotes, middle: int) -> None:
        bids = [(middle - 1 - place, LEVEL) for place in range(LEVELS)]
        asks = [(middle + 1 + place, LEVEL) for place in range(LEVELS)]
        update = await self.ask(None, 30.0, quotes.update(bids=bids, asks=asks))
        self.world.trace(self.owner, "quoted", middle, update is not None and update.is_complete)


def _verdict(error: cp.CryptoprotoError | None) -> str:
    if error is None:
        return "done"
    if isinstance(error, cp.RequestNotSent):
        return "RequestNotSent"
    return "nothing" if isinstance(error, cp.OrderNotOpen) else type(error).__name__
