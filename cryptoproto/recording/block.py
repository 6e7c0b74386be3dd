"""A block of a recording: a few seconds of market data in columns, and the way back.

A block can be read without the blocks before it: the first book of each pair in it is complete, and only later ones
are changes to the one before. Nothing is rounded, and the exponents of decimals are kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Final, Literal, TypeAlias

import msgspec
import orjson

from ..exceptions import DecodeError
from ..market_data import MarketUpdate
from ..market_data.link import typed_update
from ..messages import AnonymousTrade, OrderBookAgg, Unknown, encode
from .changes import Side, apply_changes, write_changes
from .columns import Decimals, Numbers, differences, packed, sums, unpacked

__all__ = [
    "Block",
    "BlockBuilder",
    "Entry",
    "PairColumns",
    "Snapshot",
    "StateKind",
    "StateRecord",
    "Tally",
    "count_updates",
    "read_block",
    "states_of",
]

_RAW: Final = 0
_STATE: Final = 1
_FIRST_PAIR: Final = 2
_BOOK: Final = 0
_TRADE: Final = 1
_KEY: Final = 2
_KINDS: Final = 3


StateKind: TypeAlias = Literal["begin", "state", "anchor", "end"]
"""Why a state was recorded; see :class:`StateRecord`."""


class StateRecord(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A change of the feed's state, or the start or end of a recorder.

    Attributes:
        kind: ``"begin"``: a recorder started; ``"state"``; ``"anchor"``: it repeats what is known; ``"end"``: it was
            closed.
        state: the value of the feed's state.
        reason: why, in words.
        attempt: how many attempts to connect have failed.
        delay_s: the pause before the next attempt.
        code: the close code with which the connection was lost.
        failed: whether the connection was lost or could not be opened.
        rules: JSON of the trading rules that are known, if a reader may start here.
    """

    kind: StateKind
    state: Literal["idle", "connecting", "live", "waiting", "closed"]
    reason: str
    attempt: int = 0
    delay_s: float = 0.0
    code: int | None = None
    failed: bool = False
    rules: bytes = b""


class Snapshot(msgspec.Struct, gc=False, frozen=True):
    """A book as the message that brought it, and as the levels of an :class:`~cryptoproto.OrderBook`.

    Attributes:
        message: the message.
        bids: its buy levels, best first.
        asks: its sell levels, best first.
        is_key: whether it only repeats, for readers that start here, what is already known.
    """

    message: OrderBookAgg
    bids: Side
    asks: Side
    is_key: bool = False


Entry: TypeAlias = Snapshot | MarketUpdate | StateRecord
"""What a block consists of."""


class PairColumns(msgspec.Struct, array_like=True):
    """The books and trades of one pair. Lists of order ids, times and prices hold differences."""

    trade_pair: str
    order_ids: list[int] = []
    bid_changes: list[int] = []  # -1 - n: the n changes start from an empty book
    ask_changes: list[int] = []
    codes: list[int] = []
    prices: Numbers = Numbers()
    volumes: Numbers = Numbers()
    trade_order_ids: list[int] = []
    trade_prices: Numbers = Numbers()
    amounts: Numbers = Numbers()
    makers: list[int] = []
    trade_times: list[int] = []  # milliseconds since 1970


class Block(msgspec.Struct, array_like=True):
    """What is compressed and written.

    Attributes:
        order: what comes when: each number says whose column the next entry is taken from.
        times: microseconds since 1970 of each entry, as differences.
        pairs: the columns of each pair.
        raws: JSON of all other updates.
        states: changes of the feed's state.
    """

    order: list[int]
    times: list[int]
    pairs: list[PairColumns]
    raws: list[bytes]
    states: list[StateRecord]


class _PairBuilder:
    """The columns of one pair, before they are packed."""

    def __init__(self, trade_pair: str, number: int) -> None:
        self.columns = PairColumns(trade_pair)
        self.first_code = _FIRST_PAIR + _KINDS * number
        self.prices: list[Decimal] = []
        self.volumes: list[Decimal] = []
        self.trade_prices: list[Decimal] = []
        self.amounts: list[Decimal] = []
        self.last: tuple[Side, Side] | None = None

    def add_book(self, order_id: int, bids: Side, asks: Side) -> None:
        columns, prices, volumes = self.columns, self.prices, self.volumes
        old_bids, old_asks = self.last or ((), ())
        changed = write_changes(old_bids, bids, bids=True, codes=columns.codes, prices=prices, volumes=volumes)
        columns.bid_changes.append(-1 - changed if self.last is None else changed)
        changed = write_changes(old_asks, asks, bids=False, codes=columns.codes, prices=prices, volumes=volumes)
        columns.ask_changes.append(changed)
        columns.order_ids.append(order_id)
        self.last = bids, asks

    def add_trade(self, trade: AnonymousTrade) -> None:
        columns = self.columns
        columns.trade_order_ids.append(trade.current_order_id)
        self.trade_prices.append(trade.price)
        self.amounts.append(trade.amount)
        columns.makers.append(int(trade.maker_buy))
        seconds, fraction = trade.time
        columns.trade_times.append(seconds * 1000 + fraction)

    def finish(self) -> PairColumns:
        columns = self.columns
        columns.order_ids = differences(columns.order_ids)
        columns.prices = _differing(packed(self.prices))
        columns.volumes = packed(self.volumes)
        columns.trade_order_ids = differences(columns.trade_order_ids)
        columns.trade_prices = _differing(packed(self.trade_prices))
        columns.amounts = packed(self.amounts)
        columns.trade_times = differences(columns.trade_times)
        return columns


class BlockBuilder:
    """Collects entries until they become a block.

    Attributes:
        count: how many entries there are.
        first_us: the time of the first, microseconds since 1970.
        last_us: the time of the last.
    """

    __slots__ = ("_builders", "_order", "_raws", "_states", "_times", "count", "first_us", "last_us")

    def __init__(self) -> None:
        self.count: int = 0
        self.first_us: int = 0
        self.last_us: int = 0
        self._order: list[int] = []
        self._times: list[int] = []
        self._builders: dict[str, _PairBuilder] = {}
        self._raws: list[bytes] = []
        self._states: list[StateRecord] = []

    def add_book(self, at_us: int, message: OrderBookAgg, bids: Side, asks: Side, *, is_key: bool = False) -> None:
        """Add a book, with its levels as an :class:`~cryptoproto.OrderBook` has them."""
        if len(bids) != len(message.buy_levels) or len(asks) != len(message.sell_levels):
            self._add_raw(at_us, encode(message))  # levels without volume, which order books leave out
            return
        builder = self._builder(message.trade_pair)
        builder.add_book(message.current_order_id, bids, asks)
        self._place(at_us, builder.first_code + (_KEY if is_key else _BOOK))

    def add(self, at_us: int, update: MarketUpdate) -> None:
        """Add an update that is not a book."""
        if isinstance(update, AnonymousTrade) and 0 <= update.time[1] < 1000:
            builder = self._builder(update.trade_pair)
            builder.add_trade(update)
            self._place(at_us, builder.first_code + _TRADE)
        else:
            self._add_raw(at_us, orjson.dumps(update.payload) if isinstance(update, Unknown) else encode(update))

    def add_state(self, at_us: int, state: StateRecord) -> None:
        """Add a change of the state."""
        self._states.append(state)
        self._place(at_us, _STATE)

    def forget(self) -> None:
        """The next book of each pair is complete: what came before it is no longer true."""
        for builder in self._builders.values():
            builder.last = None

    def finish(self) -> Block:
        """The block; the builder must not be used any more."""
        pairs = [builder.finish() for builder in self._builders.values()]
        return Block(self._order, differences(self._times), pairs, self._raws, self._states)

    def _builder(self, trade_pair: str) -> _PairBuilder:
        builder = self._builders.get(trade_pair)
        if builder is None:
            builder = self._builders[trade_pair] = _PairBuilder(trade_pair, len(self._builders))
        return builder

    def _add_raw(self, at_us: int, raw: bytes) -> None:
        self._raws.append(raw)
        self._place(at_us, _RAW)

    def _place(self, at_us: int, code: int) -> None:
        if not self.count:
            self.first_us = at_us
        self.last_us = at_us
        self.count += 1
        self._order.append(code)
        self._times.append(at_us)


def read_block(block: Block, known: dict[int, Decimals]) -> Iterator[tuple[int, Entry]]:
    """The entries of *block* with their times, in order.

    Args:
        block: what was read.
        known: the decimals that were made before; shared by all blocks of a file.

    Raises:
        DecodeError: the columns contradict each other.
    """
    try:
        readers: list[Callable[[], Entry]] = [map(typed_update, block.raws).__next__, iter(block.states).__next__]
        for columns in block.pairs:
            books = _books(columns, known)
            readers += [books.__next__, _trades(columns, known).__next__, map(_as_key, books).__next__]
        for code, at_us in zip(block.order, sums(block.times), strict=True):
            yield at_us, readers[code]()
    except (RuntimeError, StopIteration, IndexError, KeyError, ValueError, ArithmeticError) as error:
        raise DecodeError(f"the columns of the block contradict each other: {error!r}") from error


class Tally(msgspec.Struct):
    """How many updates of each kind there are.

    Attributes:
        books: order books.
        trades: trades.
        others: broadcasts, and messages that are kept as they are.
    """

    books: int = 0
    trades: int = 0
    others: int = 0

    @property
    def updates(self) -> int:
        """The sum."""
        return self.books + self.trades + self.others


def count_updates(block: Block, tally: Tally, pairs: set[str]) -> None:
    """Add what *block* holds to *tally*, and the pairs of its books and trades to *pairs*."""
    pairs.update(columns.trade_pair for columns in block.pairs)
    for code, count in Counter(block.order).items():
        if code == _RAW:
            tally.others += count
        elif code >= _FIRST_PAIR and (code - _FIRST_PAIR) % _KINDS == _BOOK:
            tally.books += count
        elif code >= _FIRST_PAIR and (code - _FIRST_PAIR) % _KINDS == _TRADE:
            tally.trades += count


def states_of(block: Block) -> list[tuple[int, StateRecord]]:
    """The changes of the state in *block*, with their times."""
    times = [at_us for code, at_us in zip(block.order, sums(block.times), strict=True) if code == _STATE]
    return list(zip(times, block.states, strict=True))


def _as_key(book: Snapshot) -> Snapshot:
    return Snapshot(book.message, book.bids, book.asks, is_key=True)


def _books(columns: PairColumns, known: dict[int, Decimals]) -> Iterator[Snapshot]:
    trade_pair = columns.trade_pair
    next_code = iter(columns.codes).__next__
    next_price = iter(unpacked(_summed(columns.prices), known)).__next__
    next_volume = iter(unpacked(columns.volumes, known)).__next__
    bids: list[tuple[Decimal, Decimal]] = []
    asks: list[tuple[Decimal, Decimal]] = []
    bid_side: Side = ()
    ask_side: Side = ()
    buys: dict[Decimal, Decimal] = {}
    sells: dict[Decimal, Decimal] = {}
    changes = zip(sums(columns.order_ids), columns.bid_changes, columns.ask_changes, strict=True)
    for order_id, bid_changes, ask_changes in changes:
        if bid_changes < 0:
            bid_changes = -1 - bid_changes
            bids, asks, bid_side, ask_side, buys, sells = [], [], (), (), {}, {}
        # A message gets dicts that no other message has, so nobody can change the book of another.
        if bid_changes:
            buys = apply_changes(bid_changes, bids, buys, next_code, next_price, next_volume)
            bid_side = tuple(bids)
        else:
            buys = buys.copy()
        if ask_changes:
            sells = apply_changes(ask_changes, asks, sells, next_code, next_price, next_volume)
            ask_side = tuple(asks)
        else:
            sells = sells.copy()
        yield Snapshot(OrderBookAgg(trade_pair, order_id, buys, sells), bid_side, ask_side)


def _trades(columns: PairColumns, known: dict[int, Decimals]) -> Iterator[AnonymousTrade]:
    trade_pair = columns.trade_pair
    for order_id, amount, price, maker, at_ms in zip(
        sums(columns.trade_order_ids),
        unpacked(columns.amounts, known),
        unpacked(_summed(columns.trade_prices), known),
        columns.makers,
        sums(columns.trade_times),
        strict=True,
    ):
        yield AnonymousTrade(trade_pair, order_id, amount, price, bool(maker), divmod(at_ms, 1000))


def _differing(column: Numbers) -> Numbers:
    return Numbers(column.exponents, column.step, differences(column.values), column.texts)


def _summed(column: Numbers) -> Numbers:
    return Numbers(column.exponents, column.step, sums(column.values), column.texts)
