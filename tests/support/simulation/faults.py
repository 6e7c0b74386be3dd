"""What goes wrong: each kind of fault is a method."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import cryptoproto as cp
from tests.support.simulation.trader import PAIR, QUOTED_PAIR, Trader

if TYPE_CHECKING:
    from tests.support.simulation.nats import NatsLink
    from tests.support.simulation.network import LinkEnd
    from tests.support.simulation.shared_session import GatewayProcess, SharedSession
    from tests.support.simulation.world import World

__all__ = ["Faults"]

_SENDS_S: Final = 0.7
"""Within this time even a standby sends something."""


class Faults:
    """Has the faults of a plan happen to a world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._loop = asyncio.get_running_loop()
        self._traders = {trader.name: trader for trader in world.traders}
        self._downs = 0

    async def play(self) -> None:
        """All of them, each at its time."""
        world = self._world
        async with asyncio.TaskGroup() as under_way:
            for fault in world.plan.faults:
                await asyncio.sleep(max(0.0, fault.at - self._loop.time()))
                world.trace("fault", fault.kind, fault.client, fault.details)
                arguments: dict[str, Any] = dict(fault.details)
                if fault.client:
                    arguments["trader"] = self._traders[fault.client]
                under_way.create_task(getattr(self, fault.kind)(**arguments), name=f"fault {fault.kind}")
            await asyncio.sleep(max(0.0, world.plan.duration - self._loop.time()))

    def _links(self, trader: Trader) -> list[LinkEnd]:
        return [] if trader.process is None else self._world.network.of(trader.process.owner)

    # Links

    async def cut(self, trader: Trader, after: int, upwards: bool, silent: str) -> None:
        for end in self._links(trader):
            sender = end if upwards else end.peer
            if silent or not after:
                self._world.network.lose(end, silent={"here": end, "there": end.peer}.get(silent))
            else:
                sender.cut_after = after

    async def half_open(self, trader: Trader, up: bool, down: bool) -> None:
        for end in self._links(trader):
            end.swallows = end.swallows or up
            end.peer.swallows = end.peer.swallows or down

    async def slow_link(self, trader: Trader, seconds: float, upwards: bool) -> None:
        for end in self._links(trader):
            (end.peer if upwards else end).slow_until = self._loop.time() + seconds

    async def network_down(self, seconds: float, silent: bool) -> None:
        network = self._world.network
        self._downs += 1
        network.is_down, network.swallows = True, network.swallows or silent
        for end in network.of("exchange"):
            network.lose(end)
        await asyncio.sleep(seconds)
        self._downs -= 1
        if not self._downs:
            network.is_down = network.swallows = False

    async def disconnect(self, trader: Trader, code: int) -> None:
        if self._world.exchange is not None:
            self._world.exchange.disconnect(trader.name, code)

    # The exchange

    async def restart(self) -> None:
        world = self._world
        async with world.exchange_lock:
            if world.exchange is not None:
                await world.exchange.restart()

    async def reopen(self, seconds: float) -> None:
        world = self._world
        async with world.exchange_lock:
            await world.close_exchange()
            await asyncio.sleep(seconds)
            await world.open_exchange()

    async def crash(self, seconds: float, silent: bool) -> None:
        world = self._world
        async with world.exchange_lock:
            world.crash_exchange(silent=silent)
            await asyncio.sleep(seconds)
            await world.open_exchange()

    async def backup(self) -> None:
        world = self._world
        async with world.exchange_lock:
            world.backup = world.disk.killed(world.path, "backup")

    async def restore(self, down: float) -> None:
        world = self._world
        async with world.exchange_lock:
            world.crash_exchange(silent=False)
            world.restore_exchange()
            await asyncio.sleep(down)
            await world.open_exchange()
            assert world.exchange is not None
            assert world.exchange._journal is not None
            world.restored = world.exchange._journal.last_transaction_id

    async def slow_disk(self, seconds: float, delay: float) -> None:
        world = self._world
        world.disk_delay = delay
        await asyncio.sleep(seconds)
        world.disk_delay = world.plan.disk_delay

    async def disable_pair(self, seconds: float) -> None:
        world = self._world
        pairs = [PAIR, QUOTED_PAIR]
        if world.exchange is not None:
            world.exchange.disable_pairs(pairs)
        await asyncio.sleep(seconds)
        if world.exchange is not None:
            world.exchange.enable_pairs(pairs)

    async def transfer(self, trader: Trader, deposit: bool, amount: int) -> None:
        exchange = self._world.exchange
        if exchange is not None:
            with suppress(cp.ConfigurationError):
                (exchange.deposit if deposit else exchange.withdraw)(trader.name, "USD", amount)

    async def clock(self, seconds: int) -> None:
        self._world.clock_offset_ns += seconds * 10**9

    # Clients

    async def kill(self, trader: Trader, power: bool, seconds: float) -> None:
        if trader.process is not None and not trader.is_gone:
            trader.process.kill(power=power)
            await asyncio.sleep(seconds)
            self._start(trader)

    async def leave(self, trader: Trader, timeout: float) -> None:
        process = trader.process
        if process is not None and not trader.is_gone:
            await process.leave(timeout)
            self._start(trader)

    async def slow_handler(self, trader: Trader, seconds: float) -> None:
        trader.slow_until = self._loop.time() + seconds

    # Gateways

    async def kill_gateway(self, owner: bool, power: bool, at: str, skipped: int, sends: bool, seconds: float) -> None:
        process = self._session.chosen(owner=owner)
        if process is not None:
            await self._stopped_at(process, at, skipped, sends)
            self._session.kill(process, power=power)
            await asyncio.sleep(seconds)
            await self._session.start_process()

    async def stop_gateway(self, owner: bool, at: str, skipped: int, sends: bool, seconds: float) -> None:
        process = self._session.chosen(owner=owner)
        if process is not None:
            await self._stopped_at(process, at, skipped, sends)
            process.stop()
            await asyncio.sleep(seconds)
            process.go_on()

    async def _stopped_at(self, process: GatewayProcess, peer: str, skipped: int, sends: bool) -> None:
        """Stop it when it sends something to *peer*, or else after a while; without a peer, do nothing."""
        if peer:
            if peer == "steps":
                process.stop_after(skipped)
            else:
                process.stop_at(peer, skipped, sends=sends)
            with suppress(TimeoutError):
                async with asyncio.timeout(_SENDS_S):
                    await process.stopped.wait()

    async def leave_gateway(self, owner: bool) -> None:
        process = self._session.chosen(owner=owner)
        if process is not None:
            await self._session.leave(process)
            await self._session.start_process()

    async def cut_from_nats(self, owner: bool, seconds: float, resend: bool, again: int) -> None:
        process = self._session.chosen(owner=owner)
        if process is not None:
            await self._cut(process.link, seconds, resend, again)

    async def cut_strategy(self, seconds: float, resend: bool, again: int) -> None:
        await self._cut(self._session.strategy_link, seconds, resend, again)

    async def _cut(self, link: NatsLink, seconds: float, resend: bool, again: int) -> None:
        link.cut()
        await asyncio.sleep(seconds)
        link.restore(resend=resend, again=again)

    async def cut_from_exchange(self, owner: bool, silent: bool) -> None:
        process = self._session.chosen(owner=owner)
        for end in [] if process is None else self._world.network.of(process.name):
            self._world.network.lose(end, silent=end.peer if silent else None)

    # NATS

    async def lose_nats_leader(self, owner: bool, seconds: float, stored: int, reconnect: float, again: int) -> None:
        """The server that leads dies; the gateway that was connected to it connects to another one."""
        process = self._session.chosen(owner=owner)
        self._session.cluster.lose_leader(stored)
        async with asyncio.TaskGroup() as under_way:
            if process is not None and reconnect:
                under_way.create_task(self._cut(process.link, reconnect, True, again))
            await asyncio.sleep(seconds)
            self._session.cluster.elect_leader()

    async def stale_nats(self, seconds: float, lag: float) -> None:
        self._session.cluster.lag_s = lag
        await asyncio.sleep(seconds)
        self._session.cluster.lag_s = 0.0

    async def silent_nats(self, seconds: float, share: float) -> None:
        self._session.cluster.silence = share
        await asyncio.sleep(seconds)
        self._session.cluster.silence = 0.0

    @property
    def _session(self) -> SharedSession:
        session = self._world.session
        assert session is not None
        return session

    def _start(self, trader: Trader) -> None:
        if trader.process is None and not trader.is_gone:
            trader.start()
