"""A desk that is hurt in one way after the other: its gateways and strategies are processes, the exchange is here."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import nats.errors

import cryptoproto as cp
from cryptoproto.exceptions import GatewayError
from cryptoproto.exchange import Exchange
from cryptoproto.gateway import Operator
from cryptoproto.gateway.strategy_ids import strategy_number
from cryptoproto.messages import InsufficientFunds, OrderNotFound, decode
from tests.support.client_log import Log, Story, Truth, check_outcomes, handled
from tests.support.desk_hosts import Host, Hosts, Loopback
from tests.support.lives import DEADLINE_S, Lives
from tests.support.nats_server import NatsServer
from tests.support.witness import Deposed, Witness, check_senders, command_log

__all__ = ["LEASE_S", "Desk"]

LEASE_S = 0.6
STREAMS = (
    "cryptoproto-alice-events",
    "cryptoproto-alice-log",
    "KV_cryptoproto-leases",
    "KV_cryptoproto-alice-strategies",
)
FUNDS = {"alice": {"USD": "1000000", "BTC": "1000"}, "bob": {"USD": "1000000", "BTC": "1000"}}


class Member:
    """A gateway process, and where it runs.

    Attributes:
        pids: of its processes, one after the other.
    """

    def __init__(self, lives: Lives, host: Host, words: tuple[object, ...]) -> None:
        self.lives = lives
        self.host = host
        self.pids: list[int] = []
        self._words = words

    async def begin(self) -> None:
        await self.lives.begin(*self._words)
        assert self.lives.pid is not None
        self.pids.append(self.lives.pid)

    async def told_owner(self) -> int:
        """Wait until it tells that it is the owner: its fence."""
        while "owner" not in (told := await self.lives.told()):
            assert "gone" not in told, "it ended by itself"
        return int(told["owner"])


class Trader:
    """A strategy process, with its log."""

    def __init__(self, name: str, folder: Path, lives: Lives, log: Log, nats_url: str, choice: random.Random) -> None:
        self.name = name
        self.folder = folder
        self.lives = lives
        self.log = log
        self._nats_url = nats_url
        self._choice = choice
        lives.on_end = self._on_end

    def _on_end(self, code: int) -> None:
        if code != -signal.SIGKILL:
            self.log.end(f"{self.name} ended by itself with {code}")

    async def begin(self, last: int = 0) -> None:
        await self.lives.begin(self._nats_url, self.name, self._choice.getrandbits(32), last)

    async def kill(self) -> None:
        await self.lives.kill()

    async def answered(self, count: int) -> None:
        """Wait until *count* more commands have an outcome."""
        await self.log.grow(count, "told")


class Desk:
    """Two gateways, one owner at a time, and two strategies.

    Attributes:
        fences: of the owners, in order.
        owner: the member that owns the session.
    """

    def __init__(
        self,
        exchange: Exchange,
        witness: Witness,
        members: list[Member],
        traders: list[Trader],
        nats_url: str,
        choice: random.Random,
    ) -> None:
        self.fences: list[int] = []
        self.exchange = exchange
        self._witness = witness
        self._deposed: list[Deposed] = []
        self.traders = traders
        self._members = members
        self._nats_url = nats_url
        self._choice = choice
        self.owner = members[0]

    @classmethod
    @asynccontextmanager
    async def of(
        cls,
        folder: Path,
        servers: list[NatsServer],
        keys: dict[str, cp.PrivateKey],
        choice: random.Random,
        hosts: Hosts | None = None,
    ) -> AsyncIterator[Self]:
        hosts = hosts or Loopback(servers)
        alice, server_key = folder / "alice.pem", folder / "exchange.pub"
        keys["alice"].save(alice)
        keys["exchange"].public_key.save(server_key)
        async with AsyncExitStack() as stack:
            witness = stack.enter_context(Witness.listening())
            with hosts.around_exchange():
                exchange = await stack.enter_async_context(
                    Exchange(private_key=keys["exchange"], max_open_orders=5_000, host=hosts.exchange_address)
                )
            for client_id, funds in FUNDS.items():
                exchange.register(client_id, keys[client_id].public_key, funds)
            members, traders = [], []
            nats_url = ",".join(each.url for each in servers)
            for number in range(2):
                port = urlsplit(exchange.url).port or 0
                host = await stack.enter_async_context(hosts.gateway(number, port))
                lives = await stack.enter_async_context(
                    Lives.of("tests.support.gateway_process", alice, before=host.command)
                )
                words = (host.nats_url, host.exchange_url, server_key, LEASE_S, min(len(servers), 3))
                members.append(Member(lives, host, words))
            for name in ("one", "two"):
                home = folder / name
                home.mkdir()
                log = stack.enter_context(Log.at(home / "log"))
                lives = await stack.enter_async_context(Lives.of("tests.support.strategy_process", home))
                traders.append(Trader(name, home, lives, log, nats_url, choice))
            desk = cls(exchange, witness, members, traders, nats_url, choice)
            for member in members:
                await member.begin()
            for trader in traders:
                await trader.begin()
            await desk.wait_owner()
            yield desk

    async def wait_owner(self) -> None:
        """Wait until one has told that it is the owner."""
        async with asyncio.timeout(DEADLINE_S):
            waiting = {asyncio.ensure_future(each.told_owner()): each for each in self._members}
            done, rest = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in rest:
                task.cancel()
            for task in done:
                self.fences.append(task.result())
                self.owner = waiting[task]

    async def trade(self) -> None:
        """Wait until both have traded a little; kill one of them now and then."""
        for trader in self.traders:
            if self._choice.random() < 0.4:
                await trader.kill()
                await trader.begin()
            await trader.answered(self._choice.randint(1, 20))

    async def take_over(self, how: str) -> None:
        """Hurt the owner, and wait for the next one."""
        owner, fence = self.owner, self.fences[-1]
        match how:
            case "killed":
                await owner.lives.kill()
                await owner.begin()
                await self.wait_owner()
            case "stopped":
                owner.lives.strike(signal.SIGSTOP)
                await self.wait_owner()
                await self._depose(owner, fence)
                owner.lives.strike(signal.SIGCONT)
            case _:
                owner.host.cut(how, self._choice)
                await self.wait_owner()
                await self._depose(owner, fence)
                owner.host.heal()

    async def _depose(self, member: Member, fence: int) -> None:
        """From here on, nothing that it sends as the owner that it was may have an effect.

        That is once the next owner has its session: until then, the exchange takes what the old one had sent, and says
        so in the handshake.
        """
        async with asyncio.timeout(DEADLINE_S), Operator(self._nats_url, "alice") as operator:
            while True:
                with contextlib.suppress(GatewayError):
                    status = await operator.status()
                    if status.fence > fence and status.state == "live":
                        break
                await asyncio.sleep(0.02)
        self._deposed.append(Deposed(member.host.source, fence, len(self._witness.accepted)))

    async def until_replicated(self, nodes: list[NatsServer]) -> None:
        """Wait until every node has everything, so that the next one can be killed."""
        async with asyncio.timeout(DEADLINE_S), await nats.connect([each.url for each in nodes]) as nc:
            js = nc.jetstream(timeout=1)
            for stream in STREAMS:
                while True:
                    with contextlib.suppress(nats.errors.Error, TimeoutError):
                        cluster = (await js.stream_info(stream)).cluster
                        replicas = [] if cluster is None else cluster.replicas or []
                        if len(replicas) == len(nodes) - 1 and all(each.current for each in replicas):
                            break
                    await asyncio.sleep(0.1)

    async def finish(self) -> None:
        """Kill the strategies, and start them once more without orders, so that they learn everything."""
        for trader in self.traders:
            await trader.kill()
        await self._quiet(self._nats_url)
        truth = Truth.of(self.exchange)
        for trader in self.traders:
            own = own_events(truth, await self._number(trader))
            await trader.begin(last=own.ids[-1])
            code = await trader.lives.gone()
            assert code == 0, f"{trader.name} ended with {code}"
            trader.log.drain()

    async def _quiet(self, url: str) -> None:
        """Wait until all commands have their outcomes, and all events are published."""
        async with asyncio.timeout(DEADLINE_S), Operator(url, "alice") as operator:
            while True:
                with contextlib.suppress(GatewayError):
                    status = await operator.status()
                    if (status.state, status.unanswered, status.lag) == ("live", 0, 0):
                        return
                await asyncio.sleep(0.05)

    async def _number(self, trader: Trader) -> int:
        places = [line for line in trader.log.lines if line[0] == "asking" and line[1] == "place"]
        return strategy_number(places[0][2])

    async def check(self) -> Counter[str]:
        """Every strategy's record equals the exchange's journal, id by id, and every outcome is true."""
        truth = Truth.of(self.exchange)
        accepted = [message.client_order_id for message in truth.told(cp.BuyOrderPlaced)]
        assert len(accepted) == len(set(accepted)), "an order was accepted twice"
        assert self.fences == sorted(set(self.fences)), "a fence came again"
        hosts = {pid: member.host.source for member in self._members for pid in member.pids}
        by_fence = check_senders(self._witness.accepted, await command_log(self._nats_url), hosts, self._deposed)
        count: Counter[str] = Counter(accepted=len(accepted), fences=len(self.fences), senders=len(by_fence))
        for trader in self.traders:
            lines = trader.log.lines
            if folder := os.environ.get("LOGS"):
                (Path(folder) / trader.name).write_text("\n".join(map(str, lines)))
            story = Story(lines)
            own = own_events(truth, await self._number(trader))
            rows = [(number, payload) for number, payload in handled(trader.folder / "alice.db") if is_named(payload)]
            difference = Counter(own.history)
            difference.subtract(rows)
            wrong = {row: times for row, times in difference.items() if times}
            assert not wrong, f"events were lost (1) or handled twice (-1): {wrong}"
            assert rows == own.history, "events were handled in another order"
            check_outcomes(story, own, is_shared=True)
            for verdicts in story.verdicts.values():
                count.update(verdicts)
            count.update(lives=story.lives, unknown=story.unknown, reported=story.reported, events=len(own.history))
        return count


def own_events(truth: Truth, number: int) -> Truth:
    """The events about the orders of one strategy, and about balances, which all of them share."""
    return Truth([row for row in truth.history if is_named(row[1]) and _concerns(decode(row[1].encode()), number)])


def is_named(payload: str) -> bool:
    """Whether an event says whose order it is about; without that, nobody can tell."""
    return not isinstance(decode(payload.encode()), InsufficientFunds | OrderNotFound)


def _concerns(message: Any, number: int) -> bool:
    return not hasattr(message, "order_id") or strategy_number(message.client_order_id) == number
