"""A client id whose session several gateways share, and a strategy that gives its commands to whichever owns it.

The gateways are the real ones, with their lease, command log, event stream and client. NATS is simulated, and so are
their clocks, and the stops and ends of their processes.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import patch

import msgspec

import cryptoproto as cp
from cryptoproto.client.store import OutboxEntry
from cryptoproto.gateway import Gateway
from cryptoproto.gateway.calls import CallCancel, CallPlace, Hello, Reply, Welcome, encode
from cryptoproto.gateway.command_log import CommandLog
from cryptoproto.gateway.event_codec import decode_events, last_of
from cryptoproto.gateway.lease import LeaseRecord
from cryptoproto.gateway.lease_keeper import LeaseKeeper, Member
from cryptoproto.gateway.names import Names
from cryptoproto.gateway.owner.log_store import LogStore
from cryptoproto.gateway.owner.service import CommandService
from cryptoproto.gateway.owner.strategies import Strategy
from cryptoproto.gateway.records import Connected, Intent, Placed, Takeover, decode_records
from cryptoproto.gateway.strategy_limits import StrategyLimits
from cryptoproto.messages import OrderCancelled, OrderPlaced
from cryptoproto.messages import encode as encode_message
from cryptoproto.transport import Listener, OpenOptions, Transport
from tests.support.simulation.nats import Cluster, NatsLink
from tests.support.simulation.processes import SimulatedProcess, clock
from tests.support.simulation.trader import PAIR

if TYPE_CHECKING:
    from tests.support.simulation.checks import Truth
    from tests.support.simulation.world import World

__all__ = ["DESK", "SharedSession"]

DESK: Final = "desk"
STRATEGY: Final = "maker"
LEASE_S: Final = 1.0
_CLOCK_RATES: Final = (0.9, 1.1)
"""How much clocks may differ, as in the worlds of the lease alone."""
_BOTS: Final = 3
_ORDERS: Final = (
    cp.PlaceBuyLimitOrder, cp.PlaceSellLimitOrder, cp.PlaceBuyIoCOrder, cp.PlaceSellIoCOrder,
)  # fmt: skip
"""Orders that rest are found open by the next owner, even if it misses their events; the others are not."""

_RATES: Final = (None, 2, 4)
_CALL_S: Final = 2.0
_REPLY_S: Final = 3.0
_CALM_S: Final = 200.0


class GatewayProcess(SimulatedProcess):
    """One gateway, from its start to its end.

    Attributes:
        name: of the process.
        link: its connection to NATS.
        gateway: the real one.
    """

    def __init__(self, session: SharedSession, number: int) -> None:
        world = session.world
        self.name = f"{DESK}.{number}"
        choice = random.Random(f"{world.plan.seed} {self.name}")
        super().__init__(choice.choice((1.0, choice.uniform(*_CLOCK_RATES))), choice.uniform(0.0, 1e5))
        self.link: NatsLink  # made by each attempt to start
        self._open = world.network.opener(self.name)
        self.gateway = Gateway(
            "nats://simulated",
            url=world.url,
            lease_s=LEASE_S,
            client_id=DESK,
            private_key=world.keys[DESK],
            server_key=world.keys["exchange"].public_key,
            transport=self._opened,
            protocol=choice.choice((cp.Protocol.V5, cp.Protocol.SIGNED)),
            lock=False,
            backoff=cp.Backoff(0.2, 2.0, random=choice.random),
            open_timeout=3.0,
            ping_interval=1.0,
            ping_timeout=2.5,
        )
        self.gateway._member = Member(self.name, self.name)

    async def _opened(self, url: str, listener: Listener, options: OpenOptions) -> Transport:
        if self.link.is_gone:
            raise ConnectionRefusedError(111, "this process was killed")
        return await self._open(url, listener, options)

    async def do(self, work: Coroutine[Any, Any, None]) -> None:
        """Do *work* in this process."""
        await asyncio.get_running_loop().create_task(work, context=self.context)

    @property
    def is_owner(self) -> bool:
        """Whether it owns the session, as it sees it."""
        return self.inside(lambda: self.gateway.is_owner)

    @property
    def is_live(self) -> bool:
        """Whether its session with the exchange is live."""
        client = self.gateway.client
        return client is not None and client.state.state is cp.State.LIVE


class SharedSession:
    """The session of the client id ``desk``.

    Attributes:
        cluster: what NATS keeps.
        processes: the gateways that run.
        strategy_link: the strategy's connection to NATS.
        verdicts: what became of each command: its id, its kind, its order, and the error that it ended with, if it did.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.names = Names(DESK)
        self.cluster = Cluster(random.Random(f"{world.plan.seed} nats"), world.spawn)
        self.processes: list[GatewayProcess] = []
        self.verdicts: list[tuple[str, str, int, cp.CryptoprotoError | None]] = []
        self.fences: list[int] = []
        self._links: dict[str, NatsLink] = {}
        self.strategy_link = NatsLink(self.cluster, STRATEGY)
        self._bots: list[asyncio.Task[None]] = []
        self._started = 0
        self._commands = 0
        self._number = 0
        self._is_ending = False
        self._served: set[int] = set()  # the fences of owners that have answered
        self._sent_with: dict[int, int] = {}  # the fence of the owner that sent an order, by client order id

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Simulate NATS, and look at whatever owners send."""
        put = LogStore.put

        def checked(store: LogStore, entry: OutboxEntry) -> int:
            key = put(store, entry)
            try:
                self._check_sent(store._log.fence, entry)
            except AssertionError as error:
                self.world.fail(error)
            return key

        async def open_nats(nc: NatsLink, *_: Any, **__: Any) -> None:
            """Nothing to do: the link of a process is open."""

        async def close_nats(nc: NatsLink) -> None:
            nc.leave()

        with ExitStack() as stack:
            for method in (LeaseKeeper.__init__, LogStore.__init__, CommandService.__init__):
                stack.enter_context(patch.object(method, "__defaults__", (clock,)))
            stack.enter_context(patch.object(LogStore, "put", checked))
            stack.enter_context(patch("cryptoproto.gateway.gateway.open_nats", open_nats))
            stack.enter_context(patch("cryptoproto.gateway.gateway.close_nats", close_nats))
            stack.enter_context(patch("cryptoproto.gateway.gateway.NatsConnection", lambda: self._links.pop("next")))
            yield

    # Gateways

    async def start(self) -> None:
        """Two gateways, and the strategy, which has a limit in some worlds."""
        rate = random.Random(f"{self.world.plan.seed} limits").choice(_RATES)
        known = {STRATEGY: Strategy(1, limits=StrategyLimits(max_orders_per_second=rate))}
        self.cluster.put(self.names.strategies, "strategies", msgspec.json.encode(known), 0)
        for _ in range(2):
            await self.start_process()
        self._bots = [self.world.spawn(self._trade(bot), f"{STRATEGY} bot {bot}") for bot in range(_BOTS)]

    async def start_process(self) -> None:
        self._started += 1
        process = GatewayProcess(self, self._started)
        self.processes.append(process)
        await process.do(self._run(process))

    async def _run(self, process: GatewayProcess) -> None:
        """Start it, again and again until it can reach NATS, and fail if it ever ends by itself."""
        while process in self.processes:
            process.link = self._links["next"] = NatsLink(self.cluster, process.name, process)
            try:
                await process.gateway.start()
            except cp.GatewayError:
                await asyncio.sleep(0.3)
            else:
                self.world.spawn(process.gateway.wait_closed(), f"{process.name} until its end")
                return

    def chosen(self, *, owner: bool) -> GatewayProcess | None:
        """The gateway that owns the session, or one that does not; ``None`` if there is none."""
        return next((each for each in self.processes if each.is_owner is owner), None)

    def kill(self, process: GatewayProcess, *, power: bool) -> None:
        """End it at this moment: it sends nothing more."""
        process.link.leave()
        self.world.network.sever(process.name, reset=not power)
        process.go_on()  # its end takes time, but nobody sees anything of it
        if process in self.processes:  # it is not leaving already
            self.processes.remove(process)
            self.world.spawn(process.do(process.gateway.close(0.1)), f"{process.name} burial")

    async def leave(self, process: GatewayProcess) -> None:
        """An orderly end."""
        if process in self.processes:
            self.processes.remove(process)
            await process.do(process.gateway.close(2.0))

    async def end(self) -> None:
        """End everything, whatever state it is in."""
        await self.world.cancel(self._bots)
        for process in self.processes:
            process.go_on()
        for process in list(self.processes):
            await self.leave(process)

    @property
    def takeovers(self) -> int:
        """How often a gateway became the owner."""
        records = [record for data in self.cluster.messages(self.names.log) for record in decode_records(data)]
        return sum(isinstance(record, Takeover) for record in records)

    # The strategy

    async def _trade(self, bot: int) -> None:
        choice = random.Random(f"{self.world.plan.seed} {STRATEGY} {bot}")
        while not self._is_ending:
            placed = await self._place(choice)
            if placed is not None and not placed.filled and choice.random() < 0.5:
                await self._cancel(placed.order_id)
            await asyncio.sleep(choice.expovariate(2.5))

    async def _place(self, choice: random.Random) -> Placed | None:
        await self._hello()
        self._commands += 1
        number = self._commands << 25 | self._number << 13
        kind: Any = choice.choice(_ORDERS)
        terms = {"amount": choice.choice(("0.01", "0.5")), "price": choice.randint(95, 105)}
        order = kind(trade_pair=PAIR, client_order_id=number, **terms)
        payload, command = msgspec.Raw(encode_message(order)), f"c{self._commands}"
        reply = await self._given(lambda fence, deadline: CallPlace(command, fence, deadline, payload))
        self.verdicts.append((command, "place", number, reply.outcome.restored()))
        return msgspec.json.decode(reply.result, type=Placed) if reply.has_result else None

    async def _cancel(self, order_id: int) -> None:
        self._commands += 1
        command = f"c{self._commands}"
        reply = await self._given(lambda fence, deadline: CallCancel(command, fence, deadline, order_id))
        self.verdicts.append((command, "cancel", order_id, reply.outcome.restored()))

    async def _given(self, call: Callable[[int, float], Any]) -> Reply:
        """The final reply to a command, which is given again until there is one."""
        while True:
            fence, now = await self._hello()
            reply = await self._ask(encode(call(fence, now + _CALL_S)))
            if reply is not None and reply.fence == fence and not reply.pending:
                return reply
            await asyncio.sleep(0.2)

    async def _hello(self) -> tuple[int, float]:
        """The fence of a gateway that says that it is the owner, and its clock."""
        while True:
            reply = await self._ask(encode(Hello()))
            if reply is not None and reply.has_result:
                self._number = msgspec.json.decode(reply.result, type=Welcome).number
                self._served.add(reply.fence)
                return reply.fence, reply.clock
            await asyncio.sleep(0.2)

    async def _ask(self, data: bytes) -> Reply | None:
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        async def on_reply(message: Any) -> None:
            if not answer.done():
                answer.set_result(message.data)

        inbox = self.strategy_link.new_inbox()
        subscription = await self.strategy_link.subscribe(inbox, on_reply)
        await self.strategy_link.publish(self.names.command(STRATEGY), data, inbox)
        try:
            async with asyncio.timeout(_REPLY_S):
                return msgspec.json.decode(await answer, type=Reply)
        except TimeoutError:
            return None
        finally:
            await subscription.unsubscribe()

    # What must hold

    def _check_sent(self, fence: int, entry: OutboxEntry) -> None:
        """Only the holder of the lease sends, and fences grow."""
        key = self.names.leases, self.names.lease
        began = self.cluster.value_at(*key, fence)
        assert began is not None, f"an order is sent with fence {fence}, which is that of no ownership"
        holder = msgspec.json.decode(began, type=LeaseRecord).member
        now = msgspec.json.decode(self.cluster.entries[key][-1].data, type=LeaseRecord)
        assert now.member == holder, f"{holder} sends with fence {fence}, but the lease is {now}"
        assert not self.fences or fence >= self.fences[-1], f"fence {fence} after {self.fences[-1]}"
        self.fences.append(fence)
        self.world.trace(holder, "sends", fence, entry.client_order_id)
        if entry.client_order_id is not None:
            self._sent_with[entry.client_order_id] = fence

    async def settle(self) -> None:
        """Nothing goes wrong any more: every command gets its outcome, and one of the gateways is live."""
        self._is_ending = True
        for process in self.processes:
            process.go_on()
            if process.link.is_cut:
                process.link.restore(resend=True)
        while len(self.processes) < 2:
            await self.start_process()
        _, late = await asyncio.wait(self._bots, timeout=_CALM_S)
        assert not late, f"commands without an outcome: {self._commands - len(self.verdicts)}"
        for bot in self._bots:
            bot.result()
        await self._within(_CALM_S, lambda: any(process.is_live for process in self.processes), "no gateway is live")
        owners = [process.name for process in self.processes if process.is_owner]
        assert len(owners) == 1, f"several owners: {owners}"

    async def agree(self, newest: int) -> None:
        """Wait until the event stream holds everything up to transaction *newest*."""
        stream = self.cluster.streams[self.names.events]
        what = f"transaction {newest} is not in the event stream"
        await self._within(_CALM_S, lambda: newest == (last_of(stream[-1].data) if stream else 0), what)

    async def _within(self, seconds: float, condition: Callable[[], bool], otherwise: str) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while not condition():
            assert loop.time() < deadline, otherwise
            await asyncio.sleep(0.5)

    def check(self, truth: Truth) -> None:
        """Every event is in the stream, once and in order; every outcome is true, and no order was placed twice."""
        stream = [event for data in self.cluster.messages(self.names.events) for event in decode_events(data, 0)]
        assert [(event.transaction_id, event.raw) for event in stream] == truth.events, "the event stream"
        placed = [message.client_order_id for message in truth.told(OrderPlaced)]
        assert all(times == 1 for times in Counter(placed).values()), f"orders were placed twice: {placed}"
        fences = [self._sent_with[number] for number in placed]
        assert fences == sorted(fences), f"orders of an owner came after those of the next one: {fences}"
        cancelled = {message.order_id for message in truth.told(OrderCancelled)}
        for _, kind, number, error in self.verdicts:
            is_done = number in (placed if kind == "place" else cancelled)
            # An order that could not be cancelled may have been cancelled for another reason.
            assert is_done is (error is None) or (kind == "cancel" and is_done), f"{kind} {number} ended with {error!r}"
        known = {number for _, kind, number, _ in self.verdicts if kind == "place"}
        assert set(placed) <= known, f"nobody said what became of {set(placed) - known}"
        self._check_received(truth)
        self._check_log()

    def _check_received(self, truth: Truth) -> None:
        """What is said not to be received was not, and what is said to be refused was refused."""
        received = {message.client_order_id for message in truth.received if isinstance(message, cp.PlaceOrder)}
        refuses = any(fault.kind == "disable_pair" for fault in self.world.plan.faults)
        doubtful = self._doubtful()
        for command, kind, number, error in self.verdicts:
            if kind == "place" and isinstance(error, cp.RequestNotSent):
                assert number not in received, f"{command} was received, and ended with {error!r}"
            elif type(error) is cp.OrderRejected:
                assert refuses or command in doubtful, f"nobody has refused {command}, which ended with {error!r}"

    def _doubtful(self) -> set[str]:
        """The commands without an effect of which nobody can know whether the exchange has received them.

        If an owner dies before it has an answer on its connection, the exchange has seen a sequence more. That was
        either its request, or what the owner before was sending.
        """
        sequences: dict[str, int] = {}
        doubtful: set[str] = set()
        unseen: set[str] = set()
        for record in (each for data in self.cluster.messages(self.names.log) for each in decode_records(data)):
            if isinstance(record, Intent):
                sequences[record.command.removeprefix(f"{STRATEGY}/")] = record.sequence
                unseen = set()
            elif isinstance(record, Connected):
                doubtful |= unseen
                unseen = {command for command, number in sequences.items() if number > record.last_sequence}
            elif isinstance(record, Takeover):
                doubtful |= unseen
                unseen = set()
        return doubtful

    def _check_log(self) -> None:
        """The next owner would say the same, and knows that nothing is open."""
        log, fences = CommandLog(), []
        for number, data in enumerate(self.cluster.messages(self.names.log), 1):
            for record in decode_records(data):
                log.apply(record, number)
                if isinstance(record, Takeover):
                    fences.append(record.fence)
        assert fences == sorted(fences), f"owners took the log over in this order: {fences}"
        assert self._served <= set(fences), f"{self._served - set(fences)} served and did not take the log over"
        assert not log.open_intents, f"the log has commands without an outcome: {log.open_intents}"
        for command, _, _, error in self.verdicts:
            answer = log.answer(f"{STRATEGY}/{command}")
            if answer is not None:
                assert type(answer.outcome.restored()) is type(error), f"{command} ended with {error!r}: {answer}"
