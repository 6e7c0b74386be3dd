"""A busy market: what an exchange publishes while many people trade on it, decided by a seed.

Orders arrive at random moments, on average *rate* a second, most of them near the best price; as many are cancelled,
and some trade at once. Amounts are lognormal and have three decimals, as on real exchanges. Every change of the book is
an update, without conflation, so each of them differs from the one before by about one level.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeAlias

from cryptoproto import OrderBook
from cryptoproto.exchange.commands import Public, Register, Submit
from cryptoproto.exchange.engine import Engine
from cryptoproto.messages import (
    AnonymousTrade,
    CancelOrder,
    ClientMessage,
    OrderBookAgg,
    PlaceBuyIoCOrder,
    PlaceBuyLimitOrder,
    PlaceSellIoCOrder,
    PlaceSellLimitOrder,
)
from cryptoproto.recording.block import BlockBuilder, StateRecord
from cryptoproto.recording.format import ANCHOR, Header
from cryptoproto.recording.recording_file import RecordingWriter

__all__ = ["PAIR", "Update", "updates", "write"]

PAIR: Final = "BTC_USD"
START_US: Final = 1_700_000_000_000_000
URL: Final = "wss://marketdata.example.com"

Update: TypeAlias = tuple[int, OrderBookAgg | AnonymousTrade]
"""What was published, and when, in microseconds since 1970."""

_CROWD: Final = ("alice", "bob")
_DEPTH: Final = 60  # open orders at least
_BLOCK_US: Final = 5_000_000


def updates(seed: int = 1, rate: float = 100.0) -> Iterator[Update]:
    """An endless stream."""
    draw = random.Random(seed)
    engine = Engine(trade_pairs=[PAIR])
    for client in _CROWD:
        engine.apply(Register(client, {"USD": "1000000000", "BTC": "1000000"}, 0))
    middle, now_us = 30_000.0, START_US
    open_orders: list[tuple[str, int]] = []
    while True:
        now_us += int(draw.expovariate(rate) * 1e6) + 1
        middle += draw.gauss(0, 0.3)
        client = draw.choice(_CROWD)
        chance = draw.random()
        message: ClientMessage
        if chance < 0.45 or len(open_orders) < _DEPTH:
            message = _limit_order(draw, middle)
        elif chance < 0.92:
            client, order_id = open_orders.pop(draw.randrange(len(open_orders)))
            message = CancelOrder(order_id)
        else:
            message = _taker(draw, middle)
        for output in engine.apply(Submit(client, message, now_us)):
            if isinstance(output, Public) and isinstance(output.message, AnonymousTrade):
                yield now_us, output.message
        if isinstance(message, PlaceBuyLimitOrder | PlaceSellLimitOrder):
            open_orders.append((client, engine.last_order_id))
        if engine.take_touched():
            yield now_us, engine.aggregated_book(PAIR)


def write(path: Path, count: int, seed: int = 1, rate: float = 100.0) -> None:
    """Record *count* updates in blocks of five seconds, as a recorder with its default options would."""
    writer = RecordingWriter(path, Header(URL, [PAIR], START_US))
    builder = BlockBuilder()
    builder.add_state(START_US, StateRecord("begin", "live", "connected"))
    at_us = START_US
    for (at_us, update), _ in zip(updates(seed, rate), range(count), strict=False):
        if at_us - builder.first_us > _BLOCK_US:
            _append(writer, builder)
            builder = BlockBuilder()
        if isinstance(update, OrderBookAgg):
            book = OrderBook(PAIR)
            book.apply(update)
            builder.add_book(at_us, update, book.bids, book.asks)
        else:
            builder.add(at_us, update)
    builder.add_state(at_us + 1, StateRecord("end", "live", "connected"))
    _append(writer, builder)
    writer.close()


def _append(writer: RecordingWriter, builder: BlockBuilder) -> None:
    flags = 0 if writer.number else ANCHOR
    writer.append(
        builder.finish(), entries=builder.count, first_us=builder.first_us, last_us=builder.last_us, flags=flags
    )


def _limit_order(draw: random.Random, middle: float) -> PlaceBuyLimitOrder | PlaceSellLimitOrder:
    offset = draw.expovariate(1 / 3)
    amount = f"{max(0.001, draw.lognormvariate(-2, 1.2)):.3f}"
    if draw.random() < 0.5:
        return PlaceBuyLimitOrder(PAIR, amount, f"{middle - offset:.1f}")
    return PlaceSellLimitOrder(PAIR, amount, f"{middle + offset:.1f}")


def _taker(draw: random.Random, middle: float) -> PlaceBuyIoCOrder | PlaceSellIoCOrder:
    amount = f"{max(0.001, draw.lognormvariate(-2, 1)):.3f}"
    if draw.random() < 0.5:
        return PlaceBuyIoCOrder(PAIR, amount, f"{middle * 1.01:.1f}")
    return PlaceSellIoCOrder(PAIR, amount, f"{middle * 0.99:.1f}")
