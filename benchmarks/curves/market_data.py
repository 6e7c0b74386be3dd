"""What an update of the market costs: against the depth of the book, and against the pairs of a feed."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from typing import Final

import msgspec

from ..machinery.curve import Curve, Drawing, Series
from ..machinery.effort import Effort
from ..machinery.frame_feed import FrameFeed

__all__ = ["drawings"]

_DEPTHS: Final = (1, 10, 100, 1_000)
_PAIRS: Final = (1, 10, 100, 1_000)
_LEVELS: Final = 1_000_000  # of all updates of a turn together
_MOST: Final = 20_000
_ROUNDS: Final = 3


def drawings(effort: Effort) -> list[Drawing]:
    """CPU time of an update that is read, with all sizes in turns."""
    return [_depth(effort), _pairs(effort)]


def _depth(effort: Effort) -> Curve:
    ours: dict[int, list[float]] = {depth: [] for depth in _DEPTHS}
    floor: dict[int, list[float]] = {depth: [] for depth in _DEPTHS}
    for _ in range(effort.repeated(_ROUNDS)):
        for depth in _DEPTHS:
            count = effort.scaled(min(_MOST, _LEVELS // depth))
            raws = [_book("BTC_USD", depth, number) for number in range(count)]
            ours[depth].append(asyncio.run(_read_us(raws)))
            floor[depth].append(_decode_us(raws))
    return Curve(
        "book-depth",
        "CPU time of a book update against the levels of the book",
        "The protocol sends whole books. Prices and volumes become exact decimals, and levels are checked and sorted. "
        "The floor decodes the same JSON into texts and does nothing with them.",
        "price levels on each side",
        "CPU time of an update, µs",
        [
            Series("cryptoproto", "ours", [(depth, statistics.median(ours[depth])) for depth in _DEPTHS]),
            Series("bare JSON decoder", "floor", [(depth, statistics.median(floor[depth])) for depth in _DEPTHS]),
        ],
    )


def _pairs(effort: Effort) -> Curve:
    costs: dict[int, list[float]] = {pairs: [] for pairs in _PAIRS}
    count = effort.scaled(_MOST)
    for _ in range(effort.repeated(_ROUNDS)):
        for pairs in _PAIRS:
            raws = [_book(f"A{number % pairs}_USD", 10, number) for number in range(count)]
            costs[pairs].append(asyncio.run(_read_us(raws)))
    return Curve(
        "subscriptions",
        "CPU time of a book update against the pairs of a feed",
        "Ten levels on each side; the updates of all pairs come in turns to one reader.",
        "pairs",
        "CPU time of an update, µs",
        [Series("cryptoproto", "ours", [(pairs, statistics.median(costs[pairs])) for pairs in _PAIRS])],
        from_zero=True,
    )


def _book(pair: str, depth: int, number: int) -> bytes:
    sides = {
        "buy_levels": {f"{30_000 - level}.5": f"0.{number + level + 1:08}" for level in range(depth)},
        "sell_levels": {f"{30_001 + level}.5": f"0.{number + level + 1:08}" for level in range(depth)},
    }
    return json.dumps({"@type": "OrderBookAgg", "trade_pair": pair, "current_order_id": number, **sides}).encode()


async def _read_us(raws: list[bytes]) -> float:
    async with FrameFeed() as feed:
        before = time.process_time()
        for raw in raws:
            feed.receive(raw)
            await anext(feed)
        return (time.process_time() - before) / len(raws) * 1e6


def _decode_us(raws: list[bytes]) -> float:
    decode = msgspec.json.decode
    before = time.process_time()
    for raw in raws:
        decode(raw)
    return (time.process_time() - before) / len(raws) * 1e6
