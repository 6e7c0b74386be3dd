"""What an exchange reads from its journal: commands, which are then carried out, and snapshots."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal

import msgspec

import cryptoproto as cp
from cryptoproto.exchange.commands import (
    Command,
    Deposit,
    DisablePairs,
    EnablePairs,
    Expire,
    LimitOpenOrders,
    Register,
    SetInstruments,
    Submit,
    Withdraw,
)
from cryptoproto.exchange.engine import Engine
from cryptoproto.exchange.journal_schema import decode_command, encode_command
from cryptoproto.messages import (
    CancelAllOrders,
    CancelOrder,
    InstrumentRules,
    PlaceBuyLimitOrder,
    PlaceSellFoKOrder,
    PlaceSellIoCOrder,
    PlaceSellLimitOrder,
)
from tests.fuzz.target import Cost, Target

__all__ = ["TARGETS"]

NOW = 1_700_000_000_000_000


def session() -> list[Command]:
    """Commands of every kind, which trade with each other."""
    funds: dict[str, cp.AmountLike] = {"BTC": "10", "USD": "100000"}
    rules = InstrumentRules("BTC_USD", *map(Decimal, ("0.01", "0.0001", "0.001", "1")))
    return [
        Register("a", funds, NOW),
        Register("b", funds, NOW),
        SetInstruments([rules], NOW),
        LimitOpenOrders(5, NOW),
        Submit("a", PlaceBuyLimitOrder("BTC_USD", "1.5", "20000", client_order_id=1, ttl=60), NOW + 1),
        Submit("a", PlaceSellLimitOrder("BTC_USD", "1", "21000"), NOW + 2),
        Submit("b", PlaceSellIoCOrder("BTC_USD", "0.5", "19000", client_order_id=1), NOW + 3),
        Submit("b", PlaceSellFoKOrder("BTC_USD", "9", "19000"), NOW + 4),
        Deposit("a", "USD", "5.5", "address", ["id"], NOW + 5),
        Withdraw("b", "USD", "1", "address", [], NOW + 6),
        DisablePairs(["BTC_USD"], NOW + 7),
        EnablePairs(["BTC_USD", "X_Y"], NOW + 8),
        Submit("a", CancelOrder(1), NOW + 9),
        Submit("a", CancelAllOrders(), NOW + 10),
        Expire(NOW + 120_000_000),
    ]


def read_commands(data: bytes) -> list[Command]:
    """A line is a command, in text, as a journal hands it out."""
    return [decode_command(line.decode("utf-8", "replace")) for line in data.split(b"\n") if line]


def check_commands(data: bytes, commands: list[Command]) -> None:
    """They can be written again, they never fail, and no money comes from nowhere."""
    engine, twin = Engine(), Engine()
    for command in commands:
        written = encode_command(command)
        again = decode_command(written.decode())
        assert encode_command(again) == written
        before = engine.totals()
        outputs = engine.apply(command)
        assert twin.apply(again) == outputs
        if not isinstance(command, Register | Deposit | Withdraw):
            assert engine.totals() == before
        assert all(total >= 0 for total in engine.totals().values())
    snapshot = engine.snapshot()
    assert Engine.restore(snapshot).snapshot() == snapshot


def command_seeds() -> Iterator[bytes]:
    commands = list(map(encode_command, session()))
    yield b"\n".join(commands)
    for command in commands:
        yield commands[0] + b"\n" + command


def snapshot_seeds() -> Iterator[bytes]:
    engine = Engine()
    yield engine.snapshot()
    for command in session()[:-3]:
        engine.apply(command)
    yield engine.snapshot()
    yield json.dumps(json.loads(engine.snapshot()) | {"accounts": []}).encode()


def check_snapshot(data: bytes, engine: Engine) -> None:
    assert Engine.restore(engine.snapshot()).snapshot() == engine.snapshot()


WORDS = (
    b'"time_us":-1', b'"time_us":9223372036854775807', b'"balances":{"USD":"1e18"}', b'"amount":"sNaN"', b'"1E+999999"',
    b'"price":"0.00000001"', b'"BTC_USD"', b'"command":"Expire"', b'"order_id":18446744073709551615',
    b'"client_id":"a"', b'"client_id":"b"', b'"max_open_orders":-1', b'"instruments":[]', b'"tick_size":"0"',
)  # fmt: skip

TARGETS = (
    Target(
        "journal-commands",
        read_commands,
        (msgspec.DecodeError, RecursionError),
        command_seeds,
        check_commands,
        words=WORDS,
        cost=Cost(calls=20_000, calls_per_byte=60, memory=400_000, memory_per_byte=200),
        in_suite=200,
    ),
    Target(
        "exchange-snapshots",
        Engine.restore,
        (cp.DecodeError,),
        snapshot_seeds,
        check_snapshot,
        words=WORDS,
        cost=Cost(calls=20_000, calls_per_byte=60, memory=400_000, memory_per_byte=200),
        in_suite=200,
    ),
)
