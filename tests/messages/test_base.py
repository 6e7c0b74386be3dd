"""What all messages have in common."""

from __future__ import annotations

import gc
from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import pytest

import cryptoproto as cp
from cryptoproto.messages import (
    BuyOrderClosed,
    CancelOrder,
    DepositTransactionAccepted,
    Message,
    OrderBookAgg,
    OwnTrade,
    SetBalance,
    Unknown,
    decode,
    encode,
    moment,
)
from tests.support.message_samples import (
    CASES,
    INFO,
    MEANINGS,
    read,
)
from tests.support.wire_oracle import vectors

D = Decimal


@pytest.mark.parametrize("message", MEANINGS, ids=lambda message: type(message).__name__)
def test_messages_are_values(message: Message) -> None:
    assert message == decode_again(message)
    assert message != CancelOrder(1)
    name = message.__struct_fields__[0] if message.__struct_fields__ else "anything"
    with pytest.raises(AttributeError):
        setattr(message, name, 1)
    assert repr(message).startswith(f"{type(message).__name__}(")


def decode_again(message: Message) -> object:
    sender = next(entry["sender"] for entry in vectors("messages") if entry["type"] == type(message).__name__)
    return read(sender, encode(message))


@pytest.mark.parametrize(("entry", "meaning"), CASES)
def test_messages_are_not_tracked_by_the_garbage_collector(entry: dict[str, str], meaning: Message) -> None:
    message = read(entry["sender"], entry["json"].encode())
    assert not gc.is_tracked(message)
    for name in meaning.__struct_fields__:
        value = getattr(message, name)
        assert not (isinstance(value, msgspec.Struct) and gc.is_tracked(value))
    assert not gc.is_tracked(Unknown("x", {}))


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ((0, 0), datetime(1970, 1, 1, tzinfo=UTC)),
        ((1700000000, 123456), datetime(2023, 11, 14, 22, 13, 20, 123456, tzinfo=UTC)),
        ((1700000000, 999999), datetime(2023, 11, 14, 22, 13, 20, 999999, tzinfo=UTC)),
        ((2**31, 1), datetime(2038, 1, 19, 3, 14, 8, 1, tzinfo=UTC)),
        ((99999999999, 0), datetime(5138, 11, 16, 9, 46, 39, tzinfo=UTC)),
    ],
)
def test_times_are_exact_and_in_utc(time: tuple[int, int], expected: datetime) -> None:
    for message in (
        SetBalance("USD", D(1), D(1), "trade", time),
        DepositTransactionAccepted("USD", D(1), INFO, time),
        BuyOrderClosed(order_id=1, trade_pair="A_B", time=time),
        OwnTrade(1, "A_B", D(1), D(1), maker=True, maker_buy=True, time=time),
    ):
        again = decode(encode(message))
        assert isinstance(again, type(message))
        assert again.at == expected
        assert again.at.tzinfo is UTC


@pytest.mark.parametrize(
    "time",
    [
        *("[]", "[1]", "[1,2,3]", "[1.5,0]", '["1",0]', "[1e3,0]", "1", "null"),
        *("[-1,0]", "[0,-1]", "[0,1000000]", "[100000000000,0]", "[99999999999999999,0]", "[9223372036854775808,0]"),
    ],
)
def test_impossible_times(time: str) -> None:
    with pytest.raises(cp.DecodeError, match="time"):
        decode(f'{{"@type":"BuyOrderClosed","order_id":1,"trade_pair":"A_B","time":{time}}}'.encode())


@pytest.mark.parametrize(("fraction", "microsecond"), [(1_000_000, 999), (1000, 999_000)])
def test_a_moment(fraction: int, microsecond: int) -> None:
    assert moment((1700000000, 999), fraction=fraction) == datetime(2023, 11, 14, 22, 13, 20, microsecond, tzinfo=UTC)


def test_the_payload_is_plain_json_values() -> None:
    levels = {D("1E-8"): D("0E-8")}
    assert OrderBookAgg("A_B", 1, levels, {}).payload == {
        "@type": "OrderBookAgg",
        "trade_pair": "A_B",
        "current_order_id": 1,
        "buy_levels": {"0.00000001": "0.00000000"},
        "sell_levels": {},
    }
    placed = BuyOrderClosed(order_id=1, trade_pair="A_B", time=(1, 2))
    assert placed.payload["time"] == [1, 2]
