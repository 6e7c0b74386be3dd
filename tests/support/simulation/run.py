"""Runs a world, from its first order to its last check."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from unittest.mock import patch

from cryptography.hazmat.primitives.asymmetric import rsa

import cryptoproto as cp
from cryptoproto import keys as keys_module
from cryptoproto.client.account import Account
from cryptoproto.exchange.ledger import ClientRecord, Ledger
from cryptoproto.exchange.outbound import Outbound
from tests.support.simulation.checks import (
    Truth,
    check_client,
    check_conservation,
    check_store,
    check_trader,
    knows_too_much,
)
from tests.support.simulation.event_loop import run
from tests.support.simulation.faults import Faults
from tests.support.simulation.plan import CLIENTS, Plan
from tests.support.simulation.shared_session import DESK
from tests.support.simulation.trader import Process, Trader
from tests.support.simulation.world import World

__all__ = ["Result", "simulate"]

_KEY_BITS = 1024  # a handshake with 2,048 bits takes as long as thirty orders
_CALM_S = 200.0
"""After the last fault everything is live again within this time."""
_ATTEMPTS = 3
_SLOW_S = 2.0
_EXIT_S = 20.0
_SILENCE_S = 2.5  # more than that of a link, after which one that is half open was given up


@dataclass
class Result:
    """What became of a world.

    Attributes:
        plan: what happened in it.
        digest: of its trace.
        failure: why it is wrong; ``None`` if it is not.
        calls: how many calls its bots made.
        events: how many events its clients handled.
        connections: how many were opened.
        turns: of the event loop.
        commands: how many a strategy gave to gateways.
        takeovers: how often a gateway became the owner of the session.
        rewound: how many clients were closed because the exchange had forgotten something.
        unnoticed: how many clients could not know that it had.
        seconds: of the processor.
    """

    plan: Plan
    digest: str = ""
    failure: BaseException | None = None
    calls: int = 0
    events: int = 0
    connections: int = 0
    turns: int = 0
    commands: int = 0
    takeovers: int = 0
    rewound: int = 0
    unnoticed: int = 0
    seconds: float = 0.0

    @property
    def what(self) -> str:
        """The failure in one line, without numbers of this run."""
        return "" if self.failure is None else f"{type(self.failure).__name__}: {self.failure}".splitlines()[0]


@cache
def _keys() -> dict[str, cp.PrivateKey]:
    return {
        name: cp.PrivateKey(rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS))
        for name in (*CLIENTS, DESK, "exchange")
    }


def simulate(plan: Plan, *, verbose: bool = False) -> Result:
    """Run the world of *plan*."""
    result = Result(plan)
    begun = time.process_time()
    memory = Path("/dev/shm")
    folder = memory if os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="world-", dir=folder) as name:

        async def live() -> None:
            world = World(plan, Path(name), _keys(), verbose=verbose)
            with _installed(world):
                try:
                    await world.while_well(_history_of(world, result))
                finally:
                    result.digest = world.digest
                    await world.end()

        try:
            result.turns = run(live)
        except (AssertionError, Exception) as error:  # noqa: BLE001 - whatever it is, it is what the seed has found
            while isinstance(error, BaseExceptionGroup):
                error = error.exceptions[0]  # type: ignore[assignment]
            result.failure = error
    result.seconds = time.process_time() - begun
    return result


def _with_overlap(overlap: int) -> Callable[..., None]:
    """As :meth:`Outbound.start`, and what a client has confirmed is replayed, too."""
    start = Outbound.start

    def started(outbound: Outbound, record: ClientRecord, ledger: Ledger, last_seen: int) -> None:
        start(outbound, record, ledger, max(last_seen - overlap, 0) if last_seen > 0 else last_seen)

    return started


@contextmanager
def _installed(world: World) -> Iterator[None]:
    """Put the world in the place of threads, sockets, the time of day, and keys that take long."""
    size = keys_module._of_usable_size
    with ExitStack() as stack:
        for module in ("exchange.handshakes", "exchange.journal", "connection.signer"):
            stack.enter_context(patch(f"cryptoproto.{module}.ThreadPoolExecutor", world.executor))
        for module in ("client.order_calls", "quotes.ownership"):
            stack.enter_context(patch(f"cryptoproto.{module}.ClientOrderIds", world.client_order_ids))
        stack.enter_context(patch("cryptoproto.exchange.endpoints.serve", world.network.serve))
        stack.enter_context(patch("time.time_ns", world.time_ns))
        stack.enter_context(patch("cryptoproto.client.event_stream.time_ns", world.time_ns))
        stack.enter_context(patch("cryptoproto.exchange.journal._TAIL", world.plan.tail))
        account = partial(Account, max_closed=world.plan.max_closed)
        stack.enter_context(patch("cryptoproto.client.client.Account", account))
        stack.enter_context(patch.object(Outbound, "start", _with_overlap(world.plan.overlap)))
        stack.enter_context(patch.object(size, "__defaults__", (_KEY_BITS,)))
        if world.session is not None:
            stack.enter_context(world.session.installed())
        yield


async def _history_of(world: World, result: Result) -> None:
    await world.open_exchange()
    for trader in world.traders:
        trader.start()
    if world.session is not None:
        await world.session.start()
    watch = world.spawn(world.watch(), "watch")
    await Faults(world).play()
    await _calm(world)
    rewound = await _agree(world)
    await world.cancel([watch])
    await _leave(world, rewound, result)
    result.calls = sum(trader.calls for trader in world.traders)
    result.events = sum(len(handled) for trader in world.traders for _, handled in trader.slices)
    result.connections = sum(world.network._opened.values())
    result.rewound = sum(trader.is_gone for trader in world.traders)


async def _calm(world: World) -> None:
    """Nothing goes wrong any more, and nobody trades."""
    world.trace("world", "calm")
    world.is_calm = True
    for end in world.network.ends:
        end.cut_after = None
    async with world.exchange_lock:
        assert world.exchange is not None
        world.exchange.enable_pairs(world.exchange.venue.engine.trade_pairs)
    for trader in world.traders:
        if trader.process is not None:
            await trader.process.stop_trading()
            if trader.process.quotes is not None:
                await trader.process.quotes.close(30.0)
        elif not trader.is_gone:
            trader.start()
    if world.session is not None:
        await world.session.settle()
    slowest = max(world.plan.ping_timeout, *(trader.ping_timeout for trader in world.traders))
    await asyncio.sleep(slowest + _SILENCE_S)


async def _agree(world: World) -> list[Trader]:
    """Wait until everybody is live and knows everything; returns the traders whose exchange has forgotten something."""
    exchange = world.exchange
    assert exchange is not None
    if world.plan.rewinds:
        for trader in world.traders:
            exchange.deposit(trader.name, "USD", "1")
    await exchange.flush()
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _CALM_S
    for trader in world.traders:
        while not trader.is_gone and not _is_up_to_date(world, trader):
            if loop.time() > deadline:
                raise AssertionError(f"{trader.name} does not become live again: {_state(trader)}")
            await asyncio.sleep(0.5)
    for trader in world.traders:
        if not trader.is_gone:
            await _is_live(world, trader)
            await _waits_for_a_slow_answer(world, trader)
    await asyncio.sleep(3.0)
    if world.session is not None:
        record = exchange.venue.client(DESK)
        assert record is not None
        await world.session.agree(record.newest)
    gone = [trader for trader in world.traders if trader.is_gone]
    for trader in gone:
        error = trader.closed_by[0]
        is_rewound = world.returned is not None and isinstance(error, cp.HistoryRewound)
        assert is_rewound, f"{trader.name} is closed: {error!r}"
    for trader in world.traders:
        if not trader.is_gone:
            check_client(exchange, trader)
    return gone


def _state(trader: Trader) -> str:
    process = trader.process
    if process is None:
        return "no process"
    return f"{process.client!r}, owed {trader.owed}, outbox {process.store.outbox()}"


def _is_up_to_date(world: World, trader: Trader) -> bool:
    process = trader.process
    exchange = world.exchange
    if process is None or exchange is None or process.client.state.state is not cp.State.LIVE:
        return False
    record = exchange.venue.client(trader.name)
    assert record is not None
    handled = process._handled[-1] if process._handled else process.store.began_at or 0
    is_whole = handled >= record.newest or (trader.is_live_only and process.client._events._taken_in is None)
    return is_whole and not process.store.outbox() and not trader.owed


async def _is_live(world: World, trader: Trader) -> None:
    """A trader can trade."""
    process = trader.process
    assert process is not None
    for _ in range(_ATTEMPTS):  # the exchange may still throttle, or start a last time
        number = trader.next_number()
        placing = process.client.place("LTC_USD", "buy", amount="1", price="1", client_order_id=number, timeout=5.0)
        order = await process.ask(("place", number), 5.0, placing)
        if trader.is_gone:  # its first order may show that the history was rewound
            return
        if order is not None:
            if order.order_id is None and world.returned is not None:  # its id was that of a forgotten order
                return
            assert await process.client.cancel(order)
            return
    raise AssertionError(f"{trader.name} cannot trade: {trader.said.get(('place', number))}")


async def _cancels_all(process: Process) -> None:
    """On a connection that works, the outcome of a message that no event answers is known at once."""
    number = process.client.metrics().counters["connections"]
    await process.client.cancel_all(timeout=5.0)
    assert process.client.metrics().counters["connections"] == number, "a connection that works was given up"


async def _waits_for_a_slow_answer(world: World, trader: Trader) -> None:
    """An answer that comes late, on a connection that works, is waited for."""
    process = trader.process
    if trader.is_gone or process is None or world.returned is not None or world.plan.rate_limit is not None:
        return
    world.disk_delay = _SLOW_S
    number = trader.next_number()
    timeout = _SLOW_S / 10
    placing = process.client.place(
        "LTC_USD", "buy", amount="1", price="1", client_order_id=number, timeout=timeout, time_in_force="ioc"
    )
    await process.ask(("place", number), timeout, placing)
    assert trader.said.get(("place", number)) == ["done"], f"{trader.name} did not wait for an answer that came"
    world.disk_delay = world.plan.disk_delay


async def _cancels_on_exit(world: World, trader: Trader) -> None:
    """A process that ends before it was ever live leaves no order open, whoever has placed it."""
    network = world.network
    network.is_down = True
    process = trader.start(cancels_on_exit=True)
    await asyncio.sleep(1.0)
    network.is_down = False
    await process.leave(_EXIT_S)
    if world.exchange is not None:
        await world.exchange.flush()
    world.expect_nothing_open(trader)


async def _leave(world: World, gone: list[Trader], result: Result) -> None:
    """Everybody ends in order; then what is on disk is compared."""
    exchange = world.exchange
    assert exchange is not None
    for trader in world.traders:
        process = trader.process
        if process is None:
            continue
        leaves_orders = trader.choice.random() < 0.5
        if not leaves_orders and trader not in gone:
            await _cancels_all(process)
        await process.leave(2.0)
        if leaves_orders and trader not in gone:
            await _cancels_on_exit(world, trader)
    if world.session is not None:
        await world.session.end()
    await exchange.flush()
    check_conservation(exchange, world.path)
    await world.close_exchange()
    assert not list(exchange.links), "links were left at the exchange"
    assert not exchange.handshakes._under_way
    assert not world.network.ends
    most = world.network.most_in_flight
    assert most <= world.plan.window + 80_000, f"{most} bytes were sent to a peer that does not read"
    again = world.make_exchange()  # which checks the whole journal
    await again.close()
    if world.session is not None:
        world.session.check(Truth.of(world.path, DESK))
        result.commands, result.takeovers = len(world.session.verdicts), world.session.takeovers
    for trader in world.traders:
        truth = Truth.of(world.path, trader.name)
        if world.returned is not None and knows_too_much(
            trader, truth, world.returned.get(trader.name, (0, 0)), world.restored, world.forgotten[trader.name]
        ):
            result.unnoticed += trader not in gone
        elif trader not in gone:
            check_trader(trader, truth)
            if not trader.is_live_only:  # its history is not whole
                check_store(trader, truth, fees=world.plan.maker_fee != "0")
