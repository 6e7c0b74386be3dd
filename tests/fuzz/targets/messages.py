"""JSON payloads of both sides, and order books built from them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import cryptoproto as cp
from cryptoproto.messages import Message, Unknown, decode, decode_client_message, decode_request, encode
from tests.fuzz.target import Cost, Target
from tests.support.message_samples import digits
from tests.support.wire_oracle import vectors

__all__ = ["TARGETS"]

JSON_COST = Cost(calls=1500, calls_per_byte=30, memory=150_000, memory_per_byte=400)
_TYPES = tuple(sorted({f'"{entry["type"]}"'.encode() for entry in vectors("messages")}))
WORDS = (
    *_TYPES, b'"@type":', b'"amount":', b'"price":"1.5"', b'"client_order_id":', b'"time":[1,2]', b'"order_id":9',
    b'"sNaN"', b'"-Infinity"', b'"1E+999999"', b"1E-400", b"18446744073709551616", b'"trade_pair":"BTC_USD"',
)  # fmt: skip


def seeds(*senders: str) -> Callable[[], Iterator[bytes]]:
    def entries() -> Iterator[bytes]:
        for entry in vectors("messages"):
            if entry["sender"] in senders:
                yield entry["json"].encode()

    return entries


class _TwiceError(Exception):
    """An object has a name twice: readers differ in which one they keep."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise _TwiceError
    return dict(pairs)


def by_json(raw: bytes) -> Any:
    """What the standard library reads; ``None`` if a name is given twice, or an ignored value is beyond its means."""
    try:
        return json.loads(raw, parse_float=Decimal, parse_int=Decimal, object_pairs_hook=_once)
    except (_TwiceError, UnicodeDecodeError, ArithmeticError):
        return None


def check_message(decoder: Callable[[bytes], Message | Unknown]) -> Callable[[bytes, Message | Unknown], None]:
    def check(raw: bytes, message: Message | Unknown) -> None:
        plain = by_json(raw)
        if isinstance(message, Unknown):
            assert plain is None or plain.get("@type", "") == message.type
            message.as_dict()
            return
        if plain is not None:
            assert plain["@type"] == type(message).__name__
            for name in message.__struct_fields__:
                if isinstance(value := getattr(message, name), Decimal) and name in plain:
                    assert digits(value) == digits(Decimal(plain[name]))
        try:
            again = encode(message)
        except cp.ConfigurationError:  # an order that an exchange would refuse, or a number beyond all bounds
            return
        # What was written is read as the same, apart from exponents.
        assert encode(_message(decoder(again))) == again
        assert message.as_dict()["@type"] == type(message).__name__

    return check


def _message(message: Message | Unknown) -> Message:
    assert isinstance(message, Message)
    return message


def read_book(raw: bytes) -> cp.OrderBook | None:
    message = decode(raw)
    if not isinstance(message, cp.OrderBookAgg):
        return None
    book = cp.OrderBook(message.trade_pair, time=float)
    book.apply(message)
    return book


def check_book(raw: bytes, book: cp.OrderBook | None) -> None:
    if book is None:
        return
    for levels, best_first in ((book.bids, True), (book.asks, False)):
        prices = [price for price, _ in levels]
        assert prices == sorted(prices, reverse=best_first)
        assert len(set(prices)) == len(prices)
        assert all(price > 0 and volume > 0 for price, volume in levels)
    if book.bids and book.asks:
        assert book.mid is not None
        assert book.spread == book.asks[0][0] - book.bids[0][0] or len(str(book.spread)) > 25
    assert book.top
    assert len(repr(book)) < 2000 + 4 * len(raw)


def book_seeds() -> Iterator[bytes]:
    for entry in vectors("messages"):
        if entry["type"] == "OrderBookAgg":
            yield entry["json"].encode()
    levels = {f"{price}.5": "1.25" for price in range(100, 120)}
    book = {"@type": "OrderBookAgg", "trade_pair": "A_B", "current_order_id": 3}
    yield json.dumps(book | {"buy_levels": levels, "sell_levels": levels}).encode()


TARGETS: tuple[Target, ...] = tuple(
    Target(name, decoder, (cp.DecodeError,), start, check, words=WORDS, longest=6000, cost=JSON_COST)
    for name, decoder, start, check in (
        ("server-messages", decode, seeds("server", "server_rpc", "market", "broadcast"), check_message(decode)),
        ("client-messages", decode_client_message, seeds("client"), check_message(decode_client_message)),
        ("requests", decode_request, seeds("client_rpc"), check_message(decode_request)),
        ("order-books", read_book, book_seeds, check_book),
    )
)
