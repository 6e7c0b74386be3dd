"""How calls are answered when the owner's client, its log or NATS fail; all of them in memory."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec
import nats.errors
import pytest

import cryptoproto as cp
from cryptoproto.client.error_row import ErrorRow
from cryptoproto.exceptions import GatewayError, OutcomeUnknown, OwnershipLost
from cryptoproto.gateway.calls import Call, CallCancel, CallPlace, Hello, OutcomeOf, OwnerState, Reply, encode
from cryptoproto.gateway.command_log import CommandLog
from cryptoproto.gateway.names import Names
from cryptoproto.gateway.owner import service
from cryptoproto.gateway.owner.command import Command
from cryptoproto.gateway.owner.limits import LimitChecks, OrderRefused
from cryptoproto.gateway.owner.service import CommandService
from cryptoproto.gateway.owner.strategies import Strategy
from cryptoproto.gateway.records import Answered
from cryptoproto.gateway.strategy_ids import strategy_ids
from cryptoproto.messages import encode as encode_message

FENCE = 5


class Message:
    def __init__(self, data: bytes, reply: str = "_INBOX.one.1") -> None:
        self.subject = "cryptoproto.alice.command.one"
        self.data = data
        self.reply = reply


class World:
    """In the place of NATS, the client, the store and the strategies."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.nats_is_down = False
        self.holds = True
        self.settled = False
        self.log = CommandLog()
        self.answers: list[tuple[str, cp.CryptoprotoError | None]] = []
        self.error: cp.CryptoprotoError | None = None
        self.flush_error: OwnershipLost | None = None
        self.number_error: cp.CryptoprotoError | None = None
        self.is_open = asyncio.Event()
        self.is_open.set()
        self.cancels = True
        self.known: dict[int, Any] = {}
        self.unfinished: list[Any] = []
        self.state = cp.StateChange(cp.State.LIVE, "")
        fake: Any = self
        self.orders = fake
        limits = LimitChecks(lambda: self.unfinished, lambda _: None)
        self.service = CommandService(
            fake, Names("alice"), FENCE, fake, fake, self.log, fake, limits, fake,
            lambda: OwnerState(FENCE, "live", "", -1),
        )  # fmt: skip
        self.ids = strategy_ids(1)

    # NATS

    def post(self, _subject: str, data: bytes) -> None:
        if self.nats_is_down:
            raise nats.errors.ConnectionClosedError
        self.replies.append(msgspec.json.decode(data, type=Reply))

    # The client

    async def place(self, *_: Any, **__: Any) -> Any:
        await self.is_open.wait()
        assert self.error is not None
        raise self.error

    async def cancel(self, **_: Any) -> bool:
        if self.error is not None:
            raise self.error
        return self.cancels

    def get(self, key: Any) -> Any:
        """Both of an order and of a strategy."""
        return self.known.get(key) if isinstance(key, int) else Strategy(1)

    def by_client_order_id(self, number: int) -> Any:
        return self.known.get(number)

    # The store

    def is_settled(self, _command: Command) -> bool:
        return self.settled

    def answer(self, command: Command, error: cp.CryptoprotoError | None, _placed: Any = None) -> None:
        self.answers.append((command.id, error))

    async def flushed(self) -> None:
        if self.flush_error is not None:
            raise self.flush_error

    # The strategies

    async def ensure(self, _name: str) -> Strategy:
        if self.number_error is not None:
            raise self.number_error
        return Strategy(1)

    # The test's end

    def placing(self, command: str = "a") -> CallPlace:
        order = cp.PlaceBuyLimitOrder("BTC_USD", "1", "100", client_order_id=self.ids.next())
        return CallPlace(command, FENCE, time.monotonic() + 5, msgspec.Raw(encode_message(order)))

    async def send(self, call: Call | bytes, reply: str = "_INBOX.one.1") -> None:
        message: Any = Message(call if isinstance(call, bytes) else encode(call), reply)
        self.service._on_call(message)
        await asyncio.sleep(0)  # the call has begun

    async def ask(self, call: Call) -> Reply:
        await self.send(call)
        await self.service.close()
        return self.replies[-1]


@pytest.fixture
def world() -> World:
    return World()


async def test_a_reply_goes_only_to_the_inbox_of_the_strategy(world: World) -> None:
    await world.send(Hello(), reply="cryptoproto.alice.state")
    await world.service.close()
    assert world.replies == []


async def test_a_strategy_has_a_bounded_number_of_calls(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "_IN_FLIGHT", 1)
    world.error = cp.RequestNotSent("no")
    world.is_open.clear()
    await world.send(world.placing("a"))
    await world.send(world.placing("b"))
    assert "are being carried out; send fewer" in world.replies[0].outcome.text
    world.is_open.set()
    await world.service.close()
    await world.send(world.placing("c"))
    await world.service.close()
    assert [command for command, _ in world.answers] == ["one/a", "one/c"]


async def test_a_process_that_is_not_the_owner_any_more_says_nothing(world: World) -> None:
    world.holds = False
    await world.send(Hello())
    await world.service.close()
    assert world.replies == []


async def test_an_outcome_that_cannot_be_written_is_known_by_the_next_owner(world: World) -> None:
    world.error, world.flush_error = cp.RequestNotSent("no"), OwnershipLost("another process has written")
    reply = await world.ask(world.placing())
    assert reply.pending
    assert "another process has written" in reply.outcome.text


async def test_the_end_of_the_owners_client_is_not_that_of_the_strategy(world: World) -> None:
    world.error = cp.ClientClosed("closed")
    reply = await world.ask(world.placing())
    assert type(reply.outcome.restored()) is cp.RequestNotSent
    world.number_error = cp.ClientClosed("closed")
    assert type((await world.ask(Hello())).outcome.restored()) is cp.RequestNotSent


@pytest.mark.parametrize("settled", [True, False])
async def test_an_outcome_that_is_not_known_yet(world: World, settled: bool) -> None:
    world.error, world.settled = OutcomeUnknown("no answer came"), settled
    reply = await world.ask(world.placing())
    assert reply.pending is not settled
    assert len(world.answers) == settled


async def test_an_order_that_ends_the_session_makes_its_strategy_wait(world: World) -> None:
    world.error = cp.UnknownServerError(3, "no such pair")
    assert isinstance((await world.ask(world.placing("a"))).outcome.restored(), cp.ServerError)
    world.error = cp.RequestNotSent("no")
    assert "ended the session" in (await world.ask(world.placing("b"))).outcome.text
    assert [command for command, _ in world.answers] == ["one/a"]


async def test_a_refused_order_that_arrives_again_is_not_placed(world: World) -> None:
    """NATS may deliver a call twice, and the strategy knows that the order was refused."""
    call = world.placing()
    world.error = OrderRefused("too many open orders")
    refused = await world.ask(call)
    world.error = cp.RequestNotSent("this would have been an order")
    assert (await world.ask(call)).outcome == refused.outcome
    assert world.answers == []
    await world.ask(msgspec.structs.replace(call, deadline=call.deadline + 1))  # the strategy tries again
    assert [command for command, _ in world.answers] == ["one/a"]


async def test_a_strategy_without_a_number_sends_nothing(world: World) -> None:
    world.number_error = GatewayError("there are too many strategies")
    reply = await world.ask(world.placing())
    assert type(reply.outcome.restored()) is cp.RequestNotSent


async def test_a_cancel_while_there_is_no_connection(world: World) -> None:
    world.state = cp.StateChange(cp.State.WAITING, "the exchange is away")
    reply = await world.ask(CallCancel("a", FENCE, time.monotonic() + 5, 7))
    assert "not connected: the exchange is away" in reply.outcome.text


async def test_a_cancel_that_comes_too_late(world: World) -> None:
    world.known[7] = type("Known", (), {"client_order_id": world.ids.next()})()
    world.cancels = False
    reply = await world.ask(CallCancel("a", FENCE, time.monotonic() + 5, 7))
    assert isinstance(reply.outcome.restored(), cp.OrderNotOpen)


async def test_the_order_of_an_earlier_owner_is_found_by_its_number(world: World) -> None:
    for number, command in ((11, "a"), (12, "b")):
        world.log.apply(Answered(f"one/{command}", "one", ErrorRow(), number), 1)
    terms = {"order_id": 7, "amount": 1, "remaining": 1, "price": 100, "is_closed": False, "client_order_id": 11}
    world.known[11] = type("Known", (), terms)()
    assert (await world.ask(world.placing("a"))).has_result
    assert not (await world.ask(world.placing("b"))).has_result, "its tables have forgotten it"


async def test_what_was_forgotten_is_not_said_to_be_refused(world: World) -> None:
    log = CommandLog(kept=1)
    world.service._log = log
    for number in range(3):
        log.apply(Answered(f"one/{number}", "one", ErrorRow(), fence=FENCE, at=time.monotonic()), number)
    reply = await world.ask(OutcomeOf("old", FENCE, FENCE, time.monotonic() - 100))
    assert isinstance(reply.outcome.restored(), OutcomeUnknown)
    assert "so long ago" in reply.outcome.text
    assert not reply.pending


async def test_a_command_whose_outcome_is_awaited(world: World) -> None:
    world.error = cp.RequestNotSent("no")
    world.is_open.clear()
    await world.send(world.placing("a"))
    await asyncio.sleep(0)
    await world.send(OutcomeOf("a", FENCE, FENCE, time.monotonic()))
    await asyncio.sleep(0)
    assert world.replies[-1].pending
    world.is_open.set()
    await world.service.close()


async def test_a_reply_that_cannot_be_sent(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.nats_is_down = True
    await world.send(Hello())
    await world.service.close()
    assert "a reply could not be sent" in caplog.text
