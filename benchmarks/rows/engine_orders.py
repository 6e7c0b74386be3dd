"""How fast the matching engine is, alone: commands go in, events come out, and nothing is encoded or sent."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from typing import Final

import cryptoproto as cp
from cryptoproto.exchange.commands import Register, Submit
from cryptoproto.exchange.engine import Engine
from cryptoproto.messages import ClientMessage, decode_client_message, encode

from ..machinery.effort import Effort
from ..machinery.measure import Pair, in_turns
from ..machinery.report import Row

__all__ = ["ROUNDS", "rows"]

ROUNDS: Final = 9

_CLIENTS: Final = 20
_START_US: Final = 1_700_000_000_000_000
_FUNDS: Final = {"USD": "1000000000", "BTC": "1000000"}


def rows(effort: Effort) -> list[Row]:
    """The time for an order when all trade with each other, against decoding them; and in a deeper, random book."""
    count = effort.scaled(20_000)
    crossing = _measure(_crossing(count), effort.rounds)
    mixed = _measure(_random(count), effort.rounds)
    pairs = "CPU of an order in the matching engine, each second one fills the one before"
    return [
        Row.from_pairs("engine-orders", f"{pairs}, against decoding it", crossing, unit="us"),
        Row.absolute(
            "engine-orders-crossing",
            f"{pairs}; 10 µs are 100,000 a second",
            statistics.median(ours for ours, _ in crossing),
            unit="us",
            below=10.0,
        ),
        Row.from_pairs(
            "engine-orders-random",
            "CPU of an order of random side, price and amount, against decoding it",
            mixed,
            unit="us",
        ),
    ]


def _measure(orders: list[ClientMessage], rounds: int) -> list[Pair]:
    payloads = [encode(order) for order in orders]
    return in_turns(
        lambda: _us_each(_matching(orders), len(orders)), lambda: _us_each(_decoding(payloads), len(orders)), rounds
    )


def _us_each(work: Callable[[], None], count: int) -> float:
    start = time.thread_time_ns()
    work()
    return (time.thread_time_ns() - start) / count / 1000


def _matching(orders: list[ClientMessage]) -> Callable[[], None]:
    engine = Engine()
    for number in range(_CLIENTS):
        engine.apply(Register(_client(number), dict(_FUNDS), 1))
    commands = [Submit(_client(number), order, _START_US + 100 * number) for number, order in enumerate(orders)]

    def work() -> None:
        apply = engine.apply
        for command in commands:
            apply(command)

    return work


def _decoding(payloads: list[bytes]) -> Callable[[], None]:
    def work() -> None:
        for payload in payloads:
            decode_client_message(payload)

    return work


def _client(number: int) -> str:
    return f"client-{number % _CLIENTS}"


def _crossing(count: int) -> list[ClientMessage]:
    """A sell order, then a buy order that takes it; the price moves over fifty steps."""
    return [_order(number, "0.25", 15_000 + number // 2 % 50) for number in range(count)]


def _random(count: int) -> list[ClientMessage]:
    """Most orders trade in part with several others, and the book grows slowly."""
    draw = random.Random(1)
    return [_order(number, f"0.{draw.randint(1, 99):02}", 15_000 + draw.randint(-5, 5)) for number in range(count)]


def _order(number: int, amount: str, price: int) -> ClientMessage:
    kind = cp.PlaceBuyLimitOrder if number % 2 else cp.PlaceSellLimitOrder
    return kind("BTC_USD", amount, str(price), number)
