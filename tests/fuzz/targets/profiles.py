"""Profiles in TOML."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import cryptoproto as cp
from cryptoproto.profiles import ConfigFile, Profile
from tests.fuzz.target import BIG_NUMBERS, Cost, Target

__all__ = ["TARGETS"]

TEXT = """\
[profiles.paper]
url = "wss://paper.example.com"
client_id = "alice"
key = "alice.pem"
server_key = "~/exchange.pub"
protocol = "v5"
order_rate = 50
password_command = ["pass", "show", "alice"]

[[profiles.paper.instruments]]
trade_pair = "BTC_USD"
tick_size = 0.01
lot_size = "0.0001"

[profiles.paper.limits]
pairs = ["BTC_USD"]
max_amount = { BTC_USD = 1.5 }
max_open_value = 1_000.50
max_orders_per_second = 5

[profiles.live]
url = 'ws://127.0.0.1:8080'
insecure = true
transport = "auto"
"""


def read(data: bytes) -> dict[str, dict[str, Any]]:
    file = ConfigFile(Path("/etc/cryptoproto/config.toml"), data.decode("utf-8", "replace"))
    values: dict[str, dict[str, Any]] = {}
    for name in file.names:
        checked = file.values(name)
        values[name] = checked
        profile = Profile(name, file.path, {file.where(name): checked}, where=file.where(name))
        profile.instruments()
        profile.order_limits(book=no_book)
        if "url" in checked:
            profile.address("url", insecure=True)
    return values


def no_book(trade_pair: str) -> None:
    """The book of a feed that knows no pair."""


def check(data: bytes, values: dict[str, dict[str, Any]]) -> None:
    """Values are plain, and what was checked once passes the check again."""
    json.dumps(values, default=lambda value: str(value) if isinstance(value, Decimal) else _refuse(value))


def _refuse(value: object) -> str:
    raise AssertionError(f"a profile holds a {type(value).__name__}")


def seeds() -> Iterator[bytes]:
    yield TEXT.encode()
    for part in TEXT.split("\n\n"):
        yield part.encode()


WORDS = (
    b"[profiles.", b"]\n", b" = ", b'"""', b"'''", b"[[profiles.a.instruments]]\n", b"a = nan\n", b"inf", b"1e400",
    b"a.b.c.d = 1\n", b"{a = 1}", b"[1, 2]", b"1979-05-27T07:32:00Z", b"0x_1", b"true", b"url = ", b"limits = {}\n",
    b"price_band = 0.1\n", b'key = "~nobody/x"\n', b"ping_interval = 1e-9\n", b"\\U0010FFFF", b"user:password@", b"#",
)  # fmt: skip

TARGETS = (
    Target(
        "profiles",
        read,
        (cp.ConfigurationError,),
        seeds,
        check,
        words=WORDS,
        longest=BIG_NUMBERS,
        cost=Cost(calls=20_000, calls_per_byte=200, memory=1_000_000, memory_per_byte=1_000),
        in_suite=400,
    ),
)
