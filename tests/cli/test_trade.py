"""``order``, ``request`` and ``tail``: trading by hand on a real exchange."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Self

import pytest

import cryptoproto as cp
from cryptoproto.cli import trade
from cryptoproto.sync.exchange import Exchange
from tests.support.command_line import Shell, start
from tests.support.config import write_config

pytestmark = pytest.mark.usefixtures("venue")
BUY = ("order", "buy", "BTC_USD", "0.5", "15000")


def test_trading_by_hand(shell: Shell) -> None:
    placed = shell("order", "buy", "BTC_USD", "0.5", "15000", "--json")
    assert placed.code == 0, placed.err
    assert [line["payload"]["@type"] for line in placed.lines] == ["SetBalance", "BuyOrderPlaced"]
    order_id = placed.lines[-1]["payload"]["order_id"]

    balances = shell("request", "balances", "--json")
    assert balances.lines[0]["balances"]["USD"] == {"available": "92500.00000000", "on_hold": "7500.00000000"}

    orders = shell("request", "orders")
    assert orders.code == 0
    assert "BTC_USD" in orders.out
    assert "15000.00000000" in orders.out

    cancelled = shell("order", "cancel", str(order_id), "--json")
    assert cancelled.code == 0
    assert cancelled.lines[0]["payload"]["@type"] == "BuyOrderCancelled"

    again = shell("order", "cancel", str(order_id))
    assert again.code == 1
    assert f"order {order_id} is not open" in again.err


def test_cancelling_everything(shell: Shell) -> None:
    assert shell("order", "sell", "BTC_USD", "1", "16000", "--time-in-force", "ioc").code == 0
    placed = shell("order", "buy", "BTC_USD", "1", "10", "--ttl", "60")
    assert placed.code == 0
    assert "accepted" in placed.err
    assert shell("order", "buy", "BTC_USD", "1", "11").code == 0
    assert shell("order", "cancel-all", "--json").lines == [{"cancelled": 2, "open_orders": 0}]
    assert "there were no open orders" in shell("order", "cancel-all").err
    orders = shell("request", "orders")
    assert (orders.code, orders.out, orders.err.strip()) == (0, "", "there are no open orders")
    assert shell("order", "buy", "BTC_USD", "1", "11").code == 0
    assert "1 order cancelled, none left open" in shell("order", "cancel-all").err


def test_tail_shows_the_events_so_far(shell: Shell) -> None:
    for price in ("10", "11"):
        assert shell("order", "buy", "BTC_USD", "1", price).code == 0
    tail = shell("tail", "--count", "4", "--json")
    assert tail.code == 0
    ids = [line["transaction_id"] for line in tail.lines]
    assert len(ids) == 4
    assert ids == sorted(set(ids))
    shown = shell("tail", "--count", "2", "--protocol", "v5")
    assert "BuyOrderPlaced" in shown.out


def test_balances_and_other_responses_are_shown(shell: Shell) -> None:
    balances = shell("request", "balances")
    assert balances.code == 0
    assert "100000.00000000" in balances.out
    unknown = shell("request", "NoSuchRequest")
    assert unknown.code == 1
    assert "Traceback" not in unknown.err


@pytest.mark.parametrize(
    ("order", "words"), [(("BTC_USD", "1000", "15000"), "not enough USD"), (("NO_SUCH", "1", "1"), "error 2")]
)
def test_an_order_that_is_refused(shell: Shell, order: tuple[str, ...], words: str) -> None:
    refused = shell("order", "buy", *order)
    assert refused.code == 1
    assert words in refused.err
    assert "Traceback" not in refused.err


def test_an_encrypted_key_asks_for_its_password(shell: Shell, venue: Exchange) -> None:
    bob = cp.PrivateKey.generate()
    bob.save(shell.folder / "bob.pem", password="secret")
    venue.register("bob", bob.public_key, {"USD": "5"})
    shell.environment |= {"CRYPTOPROTO_KEY": "bob.pem", "CRYPTOPROTO_CLIENT_ID": "bob"}
    opened = shell("request", "balances", "--json", stdin="secret\n")
    assert opened.code == 0, opened.err
    assert "Password of bob.pem" in opened.out + opened.err
    refused = shell("request", "balances", stdin="wrong\n")
    assert refused.code == 2
    assert "Traceback" not in refused.err


class Scripted:
    """A connection that gives the events of a list and then waits for ever, or raises."""

    def __init__(
        self, *events: cp.Message, response: cp.Message | cp.Unknown | None = None, end: Exception | None = None
    ):
        self.sent: list[object] = []
        self._events = [cp.Event(number, 1.0, message, 0, b"{}") for number, message in enumerate(events, 1)]
        self._response = response
        self._end = end

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    @property
    def queued(self) -> int:
        return len(self._events)

    async def send(self, message: object) -> int:
        self.sent.append(message)
        return 1

    async def request(self, *_: object, **__: object) -> object:
        return self._response

    async def __anext__(self) -> cp.Event:
        if self._events:
            return self._events.pop(0)
        if self._end is not None:
            raise self._end
        await asyncio.Event().wait()
        raise AssertionError("nothing sets that event")


def environment_of(shell: Shell) -> dict[str, str]:
    return {name: value for name, value in shell.environment.items() if value is not None}


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Callable[[Scripted], Scripted]:
    """Has the commands use a scripted connection."""

    def use(connection: Scripted) -> Scripted:
        monkeypatch.setattr(trade, "connecting", lambda *_, **__: connection)
        return connection

    return use


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (None, "no answer came within 0.01 s"),
        (cp.ConnectionClosed(1006, "cut"), "its answer did not come: connection closed with code 1006: cut"),
        (cp.DecodeError("rubbish"), "its answer did not come: rubbish"),
    ],
)
def test_an_order_without_an_answer_may_have_been_placed(
    shell: Shell, scripted: Callable[[Scripted], Scripted], end: Exception | None, words: str
) -> None:
    connection = scripted(Scripted(cp.OrderNotFound(order_id=5), end=end))
    result = shell("order", "buy", "BTC_USD", "1", "15000", "--timeout", "0.01")
    assert result.code == 4
    assert words in " ".join(result.err.split())
    assert "`cryptoproto tail` shows whether it took effect" in " ".join(result.err.split())
    assert len(connection.sent) == 1


class Interrupted(Scripted):
    """A connection during whose wait for *call* the process gets a signal."""

    def __init__(self, number: signal.Signals, call: str) -> None:
        super().__init__()
        self._number = number
        self._call = call

    async def _interrupt(self, call: str) -> None:
        if call == self._call:
            os.kill(os.getpid(), self._number)
            await asyncio.Event().wait()

    async def send(self, message: object) -> int:
        await self._interrupt("send")
        return await super().send(message)

    async def request(self, *_: object, **__: object) -> object:
        await self._interrupt("request")
        return await super().request()

    async def __anext__(self) -> cp.Event:
        await self._interrupt("event")
        return await super().__anext__()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize(
    ("command", "call", "words"),
    [
        (BUY, "event", "the message was sent, but"),
        (BUY, "send", "the message may have been sent, but"),
        (("order", "cancel", "7"), "event", "the message was sent, but"),
        (("order", "cancel-all"), "request", "the message was sent, but"),
        (("request", "balances"), "request", "the request was sent, but"),
    ],
)
def test_a_command_that_is_stopped_while_it_waits_says_that_the_outcome_is_not_known(
    shell: Shell,
    scripted: Callable[[Scripted], Scripted],
    number: signal.Signals,
    code: int,
    command: tuple[str, ...],
    call: str,
    words: str,
) -> None:
    scripted(Interrupted(number, call))
    result = shell(*command, "--json")
    assert result.code == code
    error = json.loads(result.err)
    assert (error["error"], error["exit_code"]) == ("OutcomeUnknown", code)
    assert error["message"].startswith(f"{words} the command was stopped before its answer came; ")
    assert ("`cryptoproto tail` shows whether it took effect" in error["message"]) == (command[0] == "order")


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (cp.RequestTimeout("no response"), "no answer came within 10 s"),
        (cp.ConnectionClosed(1006, "cut"), "its answer did not come: connection closed with code 1006: cut"),
    ],
)
def test_a_cancel_all_without_an_answer_may_have_taken_effect(
    shell: Shell, scripted: Callable[[Scripted], Scripted], end: Exception, words: str
) -> None:
    class Unanswered(Scripted):
        async def request(self, *_: object, **__: object) -> object:
            raise end

    connection = scripted(Unanswered())
    result = shell("order", "cancel-all")
    assert result.code == 4
    assert f"the message was sent, but {words}" in " ".join(result.err.split())
    assert len(connection.sent) == 1


def test_an_exchange_that_reports_an_error_has_refused(shell: Shell, scripted: Callable[[Scripted], Scripted]) -> None:
    scripted(Scripted(end=cp.TradesDisabled(3, "BTC_USD")))
    result = shell("order", "cancel", "7", "--json")
    assert result.code == 1
    assert json.loads(result.err)["error"] == "TradesDisabled"


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_orders_that_stay_open_after_cancel_all_are_a_failure(
    shell: Shell, scripted: Callable[[Scripted], Scripted], form: tuple[str, ...]
) -> None:
    left = cp.OpenOrder(order_id=1, amount=Decimal(1), price=Decimal(2))
    cancelled = cp.BuyOrderCancelled(order_id=3, trade_pair="BTC_USD", time=(1, 0))
    books = {"BTC_USD": cp.OpenOrders(buy=[left], sell=[left])}
    scripted(Scripted(cancelled, response=cp.UserOrdersResponse(order_books=books)))
    result = shell("order", "cancel-all", *form)
    assert result.code == 1
    if form:
        assert result.lines == [{"cancelled": 1, "open_orders": 2}]
    else:
        assert "1 order cancelled; 2 orders still open" in result.err


def test_a_response_of_an_unknown_type_is_shown_as_json(shell: Shell, scripted: Callable[[Scripted], Scripted]) -> None:
    scripted(Scripted(response=cp.Unknown("Later", {"@type": "Later", "answer": 42})))
    result = shell("request", "Later")
    assert result.code == 0
    assert json.loads(result.out) == {"@type": "Later", "answer": 42}


def test_tail_runs_until_sigterm(shell: Shell, venue: Exchange) -> None:
    assert shell("order", "buy", "BTC_USD", "1", "10").code == 0
    with start("tail", "--json", cwd=shell.folder, env=environment_of(shell)) as program:
        assert json.loads(program.first_line)["payload"]["@type"] == "SetBalance"
        refused = shell("request", "balances")
        assert refused.code == 5
        assert f"in use on this machine by process {program.process.pid}" in " ".join(refused.err.split())
        assert "--take-over" in refused.err
        assert json.loads(shell("request", "balances", "--json").err)["error"] == "IdentityInUse"
        assert program.process.poll() is None
        assert program.kill(signal.SIGTERM) == 143
    assert shell("request", "balances").code == 0


def test_a_take_over_ends_the_other_connection(shell: Shell, venue: Exchange) -> None:
    assert shell("order", "buy", "BTC_USD", "1", "10").code == 0
    with start("tail", "--json", cwd=shell.folder, env=environment_of(shell)) as program:
        assert shell("request", "balances", "--take-over").code == 0
        assert program.process.wait(30) == 3
        assert program.process.stderr is not None
        assert json.loads(program.process.stderr.read())["error"] == "ConcurrentConnection"


def test_what_becomes_of_an_order_that_does_not_rest(shell: Shell) -> None:
    assert "as order 1, nothing filled: it is cancelled" in shell(*BUY, "--time-in-force", "fok").err
    assert "as order 2, 0.5 left to be filled" in shell("order", "sell", "BTC_USD", "0.5", "16000").err


@pytest.mark.parametrize(
    ("amount", "left", "rests", "words"),
    [("2", "0", True, "filled at once"), ("2", "0.5", True, "0.5 left to be filled"),
     ("2", "0.5", False, "1.5 filled, 0.5 cancelled"), ("2", "2", False, "nothing filled: it is cancelled")],
)  # fmt: skip
def test_the_words_for_what_is_left(amount: str, left: str, rests: bool, words: str) -> None:
    placed = cp.BuyOrderPlaced(
        order_id=1, trade_pair="BTC_USD", client_order_id=1, price=Decimal(1), initial_amount=Decimal(amount),
        amount=Decimal(left), closed_inline=left == "0", time=(0, 0),
    )  # fmt: skip
    assert trade._done(placed, rests=rests) == words


def test_a_request_that_there_is_not(shell: Shell) -> None:
    refused = shell("request", "balance")
    assert refused.code == 2
    assert "'balance' is not a request: ask for balances, orders, or a @type" in refused.err


def test_a_negative_number_is_not_called_an_option_only(shell: Shell) -> None:
    refused = shell("order", "buy", "BTC_USD", "-1", "100", "--json")
    assert refused.code == 2
    assert "if it is a number, put -- before the arguments" in json.loads(refused.err)["message"]
    assert "amount=-1 must be" in shell("order", "buy", "--", "BTC_USD", "-1", "100").err
    assert "put --" not in shell("order", "buy", "--pirce", "1").err


@pytest.fixture
def silent(shell: Shell) -> Iterator[None]:
    """An exchange that is stopped: the system accepts connections to it, and nothing answers them."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"ws://127.0.0.1:{listener.getsockname()[1]}"
        shell.environment |= {"CRYPTOPROTO_URL": address, "CRYPTOPROTO_MARKET_DATA_URL": address}
        yield


WAITING = (
    BUY, ("order", "cancel", "1"), ("order", "cancel-all"), ("request", "balances"), ("book", "BTC_USD", "--once"),
)  # fmt: skip


@pytest.mark.parametrize("command", WAITING)
def test_the_timeout_is_for_the_connection_too(shell: Shell, silent: None, command: tuple[str, ...]) -> None:
    waited = shell(*command, "--timeout", "0.2")
    assert waited.code == 3
    assert "within 0.2 s" in waited.err


@pytest.mark.parametrize("command", [*WAITING, ("profile", "check", "slow")])
def test_without_a_timeout_that_of_the_profile_counts(shell: Shell, silent: None, command: tuple[str, ...]) -> None:
    path = write_config(shell.folder / "config.toml", "[profiles.slow]\nopen_timeout = 0.2\n")
    shell.environment |= {"CRYPTOPROTO_CONFIG": str(path), "CRYPTOPROTO_PROFILE": "slow"}
    waited = shell(*command)
    assert waited.code == 3
    assert "within 0.2 s" in waited.out + waited.err


def test_without_a_timeout_the_request_timeout_of_the_profile_counts(
    shell: Shell, scripted: Callable[[Scripted], Scripted]
) -> None:
    path = write_config(shell.folder / "config.toml", "[profiles.slow]\nrequest_timeout = 0.2\n")
    shell.environment |= {"CRYPTOPROTO_CONFIG": str(path), "CRYPTOPROTO_PROFILE": "slow"}
    scripted(Scripted())
    assert "no answer came within 0.2 s" in " ".join(shell(*BUY).err.split())
    assert "no answer came within 0.1 s" in " ".join(shell(*BUY, "--timeout", "0.1").err.split())
