"""Blocks: what goes in comes out, to the last digit."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cryptoproto as cp
from cryptoproto.market_data import MarketUpdate
from cryptoproto.recording.block import Block, BlockBuilder, Entry, PairColumns, Snapshot, StateRecord, read_block
from tests.support.recordings import CONNECTED, START_US, Market
from tests.support.scripted_feed import book, disabled, enabled, trade


def add(builder: BlockBuilder, at_us: int, update: MarketUpdate, *, is_key: bool = False) -> None:
    if isinstance(update, cp.OrderBookAgg):
        kept = cp.OrderBook(update.trade_pair)
        kept.apply(update)
        builder.add_book(at_us, update, kept.bids, kept.asks, is_key=is_key)
    else:
        builder.add(at_us, update)


def read(builder: BlockBuilder) -> list[tuple[int, Entry]]:
    block = msgspec.msgpack.decode(msgspec.msgpack.encode(builder.finish()), type=Block)
    return list(read_block(block, {}))


def updates(entries: list[tuple[int, Entry]]) -> list[object]:
    return [entry.message if isinstance(entry, Snapshot) else entry for _, entry in entries]


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 8), st.integers(1, 200))
def test_books_and_trades_of_several_pairs_come_back(seed: int, decimals: int, count: int) -> None:
    streams = [iter(Market(seed + number, pair=f"C{number}_USD", decimals=decimals)) for number in range(3)]
    given_ = [next(streams[number % 3]) for number in range(count)]
    builder = BlockBuilder()
    for number, update in enumerate(given_):
        add(builder, START_US + number * number, update)
    entries = read(builder)
    assert builder.count == count
    assert (builder.first_us, builder.last_us) == (START_US, START_US + (count - 1) ** 2)
    assert [at_us for at_us, _ in entries] == [START_US + number * number for number in range(count)]
    assert repr(updates(entries)) == repr(given_)  # the digits and the order of levels, too
    for _, entry in entries:
        if isinstance(entry, Snapshot):
            kept = cp.OrderBook(entry.message.trade_pair)
            kept.apply(entry.message)
            assert (kept.bids, kept.asks) == (entry.bids, entry.asks)


def test_everything_else_comes_back() -> None:
    given_: list[MarketUpdate] = [
        disabled("BTC_USD"),
        cp.Unknown("Auction", {"@type": "Auction", "price": "1.50"}),
        book(2, {"99": "0", "98": "1"}, {}),  # a level without volume
        enabled("BTC_USD"),
        trade(3),
    ]
    builder = BlockBuilder()
    for update in given_:
        add(builder, 7, update)
    builder.add_state(8, CONNECTED)
    assert updates(read(builder)) == [*given_, CONNECTED]


def test_after_a_disconnect_a_book_starts_anew() -> None:
    builder = BlockBuilder()
    add(builder, 1, book(5, {"100": "1"}))
    builder.add_state(2, StateRecord("state", "waiting", "lost", 1, 0.5, 1012, failed=True))
    builder.forget()
    add(builder, 3, book(1, {"90": "1"}))
    assert updates(read(builder))[2] == book(1, {"90": "1"})


def test_a_key_is_marked() -> None:
    builder = BlockBuilder()
    add(builder, 1, book(5), is_key=True)
    add(builder, 2, book(6, {"100": "3"}))
    first, second = [entry for _, entry in read(builder)]
    assert isinstance(first, Snapshot)
    assert isinstance(second, Snapshot)
    assert (first.message, first.is_key) == (book(5), True)
    assert (second.message, second.is_key) == (book(6, {"100": "3"}), False)


def test_messages_do_not_share_their_levels() -> None:
    builder = BlockBuilder()
    for order_id in range(3):
        add(builder, 1, book(order_id))
    first, second, _ = [entry.message for _, entry in read(builder) if isinstance(entry, Snapshot)]
    first.buy_levels[Decimal(1)] = Decimal(1)
    assert second == book(1)


@pytest.mark.parametrize(
    "block",
    [
        Block([0], [1], [], [], []),  # no raw update
        Block([9], [1], [], [], []),  # no such pair
        Block([1, 1], [1], [], [], [CONNECTED]),
        Block([0], [1], [], [b"{"], []),
        Block([2], [1], [PairColumns("BTC_USD", [1], [-2], [0], [1])], [], []),  # no price
        Block([2], [1], [PairColumns("BTC_USD", [1], [3], [0], [2, 2, 2])], [], []),  # no level
        Block([2, 2], [1, 1], [PairColumns("BTC_USD", [1, 1], [0], [0])], [], []),
    ],
)
def test_columns_that_contradict_each_other_are_refused(block: Block) -> None:
    with pytest.raises(cp.DecodeError):
        list(read_block(block, {}))
