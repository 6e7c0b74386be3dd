"""Carries out what strategies ask for: one task for each call, one outcome for each command."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import msgspec
import nats.errors
from nats.aio.msg import Msg

from ...client import Client
from ...client.account import Order
from ...client.error_row import ErrorRow
from ...client.states import State
from ...exceptions import (
    ClientClosed,
    CryptoprotoError,
    DecodeError,
    DuplicateClientOrderId,
    GatewayError,
    OrderInvalid,
    OrderNotOpen,
    OutcomeUnknown,
    OwnershipLost,
    RequestNotSent,
    ServerError,
)
from ...messages import (
    OpenOrder,
    OpenOrders,
    PlaceOrder,
    Side,
    Unknown,
    decode_client_message,
    decode_request,
)
from ...messages import encode as encode_message
from ...messages.terms import TERMS
from ..calls import (
    Ask,
    Call,
    CallCancel,
    CallPlace,
    Hello,
    OpenEvents,
    OutcomeOf,
    OwnerState,
    Reply,
    Snapshot,
    TakeSnapshot,
    Welcome,
    decode_call,
    encode,
)
from ..command_log import CommandLog
from ..names import Names, check_strategy, is_inbox_of
from ..nats_connection import NatsConnection, unsubscribe
from ..records import Placed
from ..strategy_ids import strategy_number
from ..strategy_limits import StrategyLimits
from .command import CURRENT, Command
from .conduct import Conduct
from .event_consumers import EventConsumers
from .limits import LimitChecks, OrderRefused
from .log_store import LogStore
from .refusals import Refusals
from .strategies import Strategies

__all__ = ["CommandService"]

logger: logging.Logger = logging.getLogger("cryptoproto.gateway")

_IN_FLIGHT: Final = 256
"""How many calls of one strategy may be carried out at the same time; more are refused, so that none harms others."""

_COMMAND_SIZE: Final = 128


class CommandService:
    """Answers the calls of strategies while this process is the owner.

    Args:
        nc: the connection to NATS.
        names: of subjects.
        fence: of this ownership.
        client: the session with the exchange.
        store: the client's store.
        log: which outcomes are known.
        strategies: their numbers and limits.
        limits: checks orders against the limits.
        consumers: has events delivered.
        state: what the link is doing now.
        clock: seconds; the clock of deadlines.
    """

    def __init__(
        self,
        nc: NatsConnection,
        names: Names,
        fence: int,
        client: Client,
        store: LogStore,
        log: CommandLog,
        strategies: Strategies,
        limits: LimitChecks,
        consumers: EventConsumers,
        state: Callable[[], OwnerState],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._nc = nc
        self._names = names
        self._fence = fence
        self._client = client
        self._store = store
        self._log = log
        self._strategies = strategies
        self._limits = limits
        self._consumers = consumers
        self._state = state
        self._clock = clock
        self._conduct = Conduct()
        self._refusals = Refusals()
        self._tasks: set[asyncio.Task[None]] = set()
        self._in_flight: Counter[str] = Counter()
        self._running: dict[str, asyncio.Future[Reply]] = {}
        self._subscription: Any = None

    async def start(self) -> None:
        """Take calls from here on."""
        self._subscription = await self._nc.listen(self._names.command("*"), self._on_call)

    async def close(self) -> None:
        """Take no more calls, and wait for the end of those that are carried out; the client must be closed before."""
        await unsubscribe(self._subscription)
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _on_call(self, message: Msg) -> None:
        """A call has arrived. The server has checked that its sender may use this subject."""
        strategy = self._names.strategy_of(message.subject)
        if not is_inbox_of(message.reply, strategy):
            return  # anything else could be a subject that the sender itself may not publish on
        if self._in_flight[strategy] >= _IN_FLIGHT:
            error = RequestNotSent(
                f"{_IN_FLIGHT} calls of strategy {strategy} are being carried out; send fewer at once"
            )
            self._reply(message, self._answer(error))
            return
        self._in_flight[strategy] += 1
        task = asyncio.get_running_loop().create_task(self._serve(message, strategy))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, message: Msg, strategy: str) -> None:
        reply: Reply | None
        try:
            reply = await self._carry_out(decode_call(message.data), check_strategy(strategy))
        except DecodeError as error:
            reply = self._answer(OrderInvalid(str(error)))
        except OwnershipLost as error:
            reply = self._pending(str(error))  # the next owner knows
        except ClientClosed as error:  # the owner's client, not that of the strategy
            reply = self._answer(RequestNotSent(str(error)))
        except CryptoprotoError as error:
            reply = self._answer(error)
        finally:
            self._in_flight[strategy] -= 1
        if reply is not None:
            self._reply(message, reply)

    def _reply(self, message: Msg, reply: Reply) -> None:
        try:
            self._nc.post(message.reply, encode(reply))
        except nats.errors.Error as error:
            logger.warning("a reply could not be sent: %s", error)

    def _answer(
        self, error: CryptoprotoError | None = None, *, pending: bool = False, result: bytes | None = None
    ) -> Reply:
        return Reply(self._fence, self._clock(), ErrorRow.of(error), pending, msgspec.Raw(result or b"null"))

    def _pending(self, reason: str) -> Reply:
        return self._answer(OutcomeUnknown(reason), pending=True)

    async def _carry_out(self, call: Call, strategy: str) -> Reply | None:
        """The reply to *call*; ``None`` if it is for another owner to answer."""
        if not self._store.holds:
            return None
        if isinstance(call, Hello):
            number = (await self._strategies.ensure(strategy)).number
            return self._answer(result=encode(Welcome(number, self._state())))
        if call.fence > self._fence:
            return None
        if call.fence < self._fence:
            return self._answer(RequestNotSent("another gateway has become the owner"))
        if isinstance(call, TakeSnapshot):
            return self._answer(result=encode(self._snapshot()))
        if isinstance(call, CallPlace | CallCancel | OutcomeOf) and len(call.command) > _COMMAND_SIZE:
            raise OrderInvalid(f"a command id of {len(call.command)} characters; up to {_COMMAND_SIZE} are allowed")
        if isinstance(call, OutcomeOf):
            return await self._outcome_of(call, strategy)
        if isinstance(call, OpenEvents):
            return self._answer(result=encode(await self._consumers.open(call, strategy)))
        remaining = call.deadline - self._clock()
        if isinstance(call, Ask):
            decode_request(bytes(call.payload))  # anything else could change something
            response = await self._client.request(bytes(call.payload), timeout=max(remaining, 0.0))
            return self._answer(result=encode_message(response.payload if isinstance(response, Unknown) else response))
        return await self._command(call, strategy, remaining)

    def _snapshot(self) -> Snapshot:
        """The tables as they are now; nothing is awaited, so they belong to one moment."""
        books: dict[str, OpenOrders] = {}
        for order in self._client.orders.open:
            book = books.setdefault(order.trade_pair, OpenOrders([], []))
            row = OpenOrder(order.order_id or 0, order.remaining, order.price, order.client_order_id)
            (book.buy if order.side is Side.BUY else book.sell).append(row)
        # A new owner has not received the events before the one that it resumed after.
        position = max(self._client.received_position, self._state().position)
        return Snapshot(position, books, self._client.known_balances)

    # Commands

    async def _command(self, call: CallPlace | CallCancel, strategy: str, remaining: float) -> Reply:
        """Carry out a command; a repetition gets the reply of the first one."""
        command = _id(strategy, call.command)
        known = self._known(command)
        if known is not None:
            return known
        if (refused := self._refusals.reason(command, call.deadline)) is not None:
            return self._answer(OrderInvalid(refused))
        running = self._running.get(command)
        if running is not None:
            return await asyncio.shield(running)
        if self._log.intent(command) is not None:
            return self._pending("the command was given to the exchange before, and its outcome is not known yet")
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._running[command] = future
        try:
            reply = await self._first(call, strategy, remaining)
        except BaseException as error:  # a cancellation, too: repetitions that wait must end with the first
            future.set_exception(error)
            future.exception()  # there may be none
            raise
        finally:
            del self._running[command]
        future.set_result(reply)
        return reply

    async def _first(self, call: CallPlace | CallCancel, strategy: str, remaining: float) -> Reply:
        command = Command(_id(strategy, call.command), strategy, is_refused=lambda: self._is_killed(strategy, call))
        CURRENT.set(command)
        order: Order | None = None
        failure: CryptoprotoError | None = None
        try:
            if remaining <= 0:
                raise RequestNotSent("the command arrived after its deadline")
            number = await self._number(strategy)
            if isinstance(call, CallPlace):
                order = await self._place(call, strategy, number, remaining)
            else:
                order = await self._cancel(call, strategy, number, remaining)
        except OrderRefused as error:
            # Not in the log: a strategy that is refused all the time must not fill it.
            self._refusals.add(command.id, call.deadline, str(error))
            return self._answer(OrderInvalid(str(error)))
        except OutcomeUnknown as error:
            if not self._store.is_settled(command):
                return self._answer(error, pending=True)  # the client reports its outcome to the store when it is known
            failure = error
        except ClientClosed as error:  # the owner's client, not that of the strategy
            failure = RequestNotSent(str(error))
        except CryptoprotoError as error:
            failure = error
        if isinstance(failure, ServerError) and not isinstance(failure, DuplicateClientOrderId):
            self._conduct.on_session_ended(strategy, self._clock())
        placed = None if order is None else _placed(order)
        self._store.answer(command, failure, placed)
        if failure is not None:
            await self._store.flushed()  # perhaps no event says so: it must stand before a repetition can arrive
        return self._answer(failure, result=None if placed is None else encode(placed))

    async def _number(self, strategy: str) -> int:
        try:
            return (await self._strategies.ensure(strategy)).number
        except GatewayError as error:
            raise RequestNotSent(str(error)) from error

    async def _place(self, call: CallPlace, strategy: str, number: int, remaining: float) -> Order:
        message = decode_client_message(bytes(call.payload))
        if not isinstance(message, PlaceOrder):
            raise OrderInvalid(f"{type(message).__name__} does not place an order")
        if strategy_number(message.client_order_id) != number:
            raise OrderInvalid(f"the client order id {message.client_order_id} is not one of strategy {strategy}")
        self._conduct.check_placing(strategy, self._clock())
        side, time_in_force = TERMS[type(message)]
        with self._limits.admit(strategy, number, self._limits_of(strategy), message, self._clock()):
            return await self._client.place(
                message.trade_pair,
                side,
                amount=message.amount,
                price=message.price,
                time_in_force=time_in_force,
                ttl=message.ttl,
                client_order_id=message.client_order_id,
                timeout=remaining,
                wait=call.wait,
            )

    async def _cancel(self, call: CallCancel, strategy: str, number: int, remaining: float) -> Order:
        order = self._client.orders.get(call.order_id)
        if order is None:
            # It could become the order of another strategy while the message is on its way to the exchange.
            if self._client.state.state is not State.LIVE:
                raise RequestNotSent(f"not connected: {self._client.state.reason}")
            raise OrderNotOpen(f"order {call.order_id} is not open")
        if strategy_number(order.client_order_id) != number:
            raise OrderInvalid(f"order {call.order_id} is not an order of strategy {strategy}")
        if not await self._client.cancel(order_id=call.order_id, timeout=remaining, wait=call.wait):
            raise OrderNotOpen(f"order {call.order_id} is not open")
        return order

    def _limits_of(self, strategy: str) -> StrategyLimits:
        known = self._strategies.get(strategy)
        if known is not None and known.is_killed:
            raise OrderRefused(
                f"strategy {strategy} was killed by an operator; its orders are refused until it is revived"
            )
        return StrategyLimits() if known is None else known.limits

    def _is_killed(self, strategy: str, call: CallPlace | CallCancel) -> bool:
        """Whether *call* must not be sent, asked at the last moment: the strategy may be killed while it waits."""
        known = self._strategies.get(strategy)
        return isinstance(call, CallPlace) and known is not None and known.is_killed

    # Outcomes

    def _known(self, command: str) -> Reply | None:
        answered = self._log.answer(command)
        if answered is None:
            return None
        placed, number = answered.placed, answered.client_order_id
        error = answered.outcome.restored()
        if placed is None and number is not None and error is None:
            order = self._client.orders.by_client_order_id(number)
            placed = None if order is None else _placed(order)
        return self._answer(error, result=None if placed is None else encode(placed))

    async def _outcome_of(self, call: OutcomeOf, strategy: str) -> Reply:
        command, now = _id(strategy, call.command), self._clock()
        known = self._known(command)
        if known is not None:
            return known
        if command in self._running or self._log.intent(command) is not None:
            return self._pending("the outcome is not known yet")
        if not self._log.remembers(call.given_to, call.given_at):
            return self._answer(OutcomeUnknown("it was given so long ago that the gateway has forgotten its outcome"))
        if not self._conduct.may_ask(strategy, now):
            return self._pending(f"strategy {strategy} asks about too many commands that were not received")
        # It never arrived. If it still does, it finds this answer.
        error = RequestNotSent("no owner has received the command")
        self._store.answer(Command(command, strategy), error)
        await self._store.flushed()
        return self._answer(error)


def _id(strategy: str, command: str) -> str:
    """The id of a command in the log: no strategy can meet the commands of another one."""
    return f"{strategy}/{command}"


def _placed(order: Order) -> Placed:
    return Placed(
        order.order_id or 0, order.amount, order.remaining, order.price, order.is_closed, order.client_order_id
    )
