"""What members of a gateway and its strategies read from NATS: events, market data, calls, and the command log."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import msgspec

import cryptoproto as cp
from cryptoproto.client.error_row import ErrorRow
from cryptoproto.gateway.calls import (
    Ask,
    Call,
    CallCancel,
    CallPlace,
    Hello,
    OpenEvents,
    OutcomeOf,
    TakeSnapshot,
    decode_call,
    encode,
)
from cryptoproto.gateway.command_log import CommandLog
from cryptoproto.gateway.event_codec import decode_events, encode_events, last_of, previous_of
from cryptoproto.gateway.feed_codec import FeedBeat, Numbered, decode_beat, decode_update, encode_update
from cryptoproto.gateway.records import (
    Answered,
    Checkpoint,
    Connected,
    Intent,
    LogRecord,
    Placed,
    Takeover,
    decode_records,
    encode_records,
)
from cryptoproto.messages import encode as encode_message
from tests.fuzz.target import Cost, Target
from tests.support.wire_oracle import vectors

__all__ = ["TARGETS"]

_ORDER = msgspec.Raw(encode_message(cp.PlaceBuyLimitOrder("BTC_USD", "1.5", "20000", client_order_id=1)))
COST = Cost(calls=1_500, calls_per_byte=10, memory=100_000, memory_per_byte=60)


# Events


def read_events(data: bytes) -> list[cp.Event]:
    return decode_events(data, 0)


def check_events(data: bytes, events: list[cp.Event]) -> None:
    """Written again, they are the same events behind the same one."""
    if not events:
        return
    again = encode_events(events, previous_of(data))
    assert last_of(again) == events[-1].transaction_id
    assert previous_of(again) == previous_of(data)
    assert repr(decode_events(again, 0)) == repr(events)


def event_seeds() -> Iterator[bytes]:
    for number, entry in enumerate(vectors("messages"), 1):
        if entry["sender"] == "server":
            raw = entry["json"].encode()
            event = cp.Event(2 * number, 1.5, cp.Unknown("", {}), 0, raw)
            yield encode_events([event], 2 * number - 3)
            yield encode_events([event, cp.Event(2 * number + 5, 1.75, cp.Unknown("", {}), 0, raw)], -1)


# Market data


def check_update(data: bytes, update: Numbered) -> None:
    assert decode_update(encode_update(update)) == update


def update_seeds() -> Iterator[bytes]:
    yield encode_update(Numbered(1, 2, True, "BTC_USD", b"\x81\xa1a\x01"))
    yield encode_update(Numbered(2**64 - 1, 0, False, "", b""))


def check_beat(data: bytes, beat: FeedBeat) -> None:
    assert decode_beat(msgspec.json.encode(beat)) == beat


def beat_seeds() -> Iterator[bytes]:
    yield msgspec.json.encode(FeedBeat(3, True, {"BTC_USD": 7, "": 1}, ["BTC_USD"]))


# Calls


def check_call(data: bytes, call: Call) -> None:
    assert decode_call(encode(call)) == call


def call_seeds() -> Iterator[bytes]:
    calls = (
        Hello(),
        CallPlace("maker/1", 3, 12.5, _ORDER, wait=False, given_at=1.5),
        CallCancel("maker/2", 3, 12.5, 7),
        OutcomeOf("maker/2", 3, 2, 0.5),
        Ask(3, 1.5, msgspec.Raw(b'{"@type":"UserOrders"}')),
        TakeSnapshot(3),
        OpenEvents(3, "_INBOX.maker.1", 5, live_only=True),
    )
    yield from map(encode, calls)


# The command log


def read_log(data: bytes) -> list[LogRecord]:
    """A line is a message."""
    return [record for line in data.split(b"\n") if line for record in decode_records(line)]


def check_log(data: bytes, records: list[LogRecord]) -> None:
    """A takeover reads any records, and knows of each command whether it is open or answered, never both."""
    log, again = CommandLog(kept=3), CommandLog(kept=3)
    answered: dict[str, Answered] = {}
    for number, record in enumerate(records, 1):
        log.apply(record, number)
        (same,) = decode_records(encode_records(record))
        again.apply(same, number)
        if isinstance(record, Answered):
            answered[record.command] = record
            assert log.answer(record.command) == record
            assert log.intent(record.command) is None
        elif isinstance(record, Intent):
            assert log.intent(record.command) == record
            assert not log.is_unsent(record.command)
    assert [entry for _, entry in log.outbox()] == [entry for _, entry in again.outbox()]
    assert decode_records(encode_records(log.checkpoint())) == [log.checkpoint()]
    assert 0 <= log.first_needed <= len(records)
    sequences = [intent.sequence for intent in log.open_intents]
    assert sequences == sorted(sequences)


def log_seeds() -> Iterator[bytes]:
    placed = Placed(7, Decimal("1.5"), Decimal(0), Decimal(20000), filled=True, client_order_id=1)
    records: list[LogRecord] = [
        Takeover(1, "a"),
        Connected(4),
        Intent("maker/1", "maker", "place", _ORDER, 5, 1, 1),
        Intent("maker/2", "maker", "cancel", msgspec.Raw(b'{"@type":"CancelOrder","order_id":7}'), 6, 2),
        Answered("maker/1", "maker", ErrorRow(), 1, placed, 9, 1, 0.5),
        Answered("maker/3", "maker", ErrorRow.of(cp.InsufficientFundsError("USD", 7)), settled_through=11),
        Takeover(2, "b"),
        Checkpoint(2, 11, 1, 0.5),
    ]
    yield b"\n".join(map(encode_records, records))
    yield encode_records(*records)
    yield from map(encode_records, records)


JSON_WORDS = (
    b'"type":"place"', b'"type":"answered"', b'"type":"intent"', b'"payload":null', b'"fence":-1', b"1e400", b"\\ud800",
    b'"sequence":18446744073709551615', b'"command":"maker/1"', b'"outcome":{}', b'"kind":"cancel_all"', b"[[[[",
)  # fmt: skip

TARGETS = (
    Target(
        "gateway-events",
        read_events,
        (cp.DecodeError,),
        event_seeds,
        check_events,
        words=(bytes(8), b"\xff" * 8, b"\x7f\xf8\0\0\0\0\0\0", b'{"@type":"'),
        longest=4096,
        cost=COST,
    ),
    Target(
        "gateway-feed",
        decode_update,
        (cp.DecodeError,),
        update_seeds,
        check_update,
        words=(b"\xff" * 8, b"\xc3\x28"),
        cost=COST,
    ),
    Target("gateway-beats", decode_beat, (cp.DecodeError,), beat_seeds, check_beat, words=JSON_WORDS, cost=COST),
    Target("gateway-calls", decode_call, (cp.DecodeError,), call_seeds, check_call, words=JSON_WORDS, cost=COST),
    Target(
        "gateway-command-log",
        read_log,
        (cp.DecodeError,),
        log_seeds,
        check_log,
        words=JSON_WORDS,
        longest=4096,
        cost=Cost(calls=4_000, calls_per_byte=20, memory=200_000, memory_per_byte=100),
    ),
)
