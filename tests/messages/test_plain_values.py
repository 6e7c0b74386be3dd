"""Whatever holds data is a dict of plain values, without a digit lost."""

from __future__ import annotations

import enum
import inspect
import json
import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import orjson
import pytest

import cryptoproto as cp
from cryptoproto.messages import Message, decode, encode, plain_values
from tests.support.message_samples import MEANINGS

WITHOUT: dict[str, str] = {
    "ConnectOptions": "holds a private key",
    "OpenOptions": "options, not data",
    "Closed": "the end of a link, inside a transport",
}
"""Public structs that have no as_dict()."""


class Colour(enum.Enum):
    RED = "red"
    EXACT = Decimal("0.10")


class Number(enum.IntEnum):
    ONE = 1


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (datetime(2026, 5, 1, tzinfo=UTC), "2026-05-01T00:00:00.000000+00:00"),
        (None, None), (True, True), (7, 7), ("a", "a"), (0.5, 0.5), (math.inf, None), (math.nan, None),
        (Decimal("0.00000001"), "0.00000001"), (Decimal("1E+3"), "1000"), (Decimal("1.50"), "1.50"),
        (Colour.RED, "red"), (Colour.EXACT, "0.10"), (Number.ONE, 1), (b'{"a":1}', '{"a":1}'),
        ((1, Decimal(2)), [1, "2"]), ([Colour.RED], ["red"]),
        ({Decimal("1E-7"): Decimal(1)}, {"0.0000001": "1"}), ({Colour.RED: (1,)}, {"red": [1]}),
        (cp.OrderRejected("no"), "OrderRejected: no"),
        (cp.Balance(Decimal("0.10"), Decimal("1E-8")), {"available": "0.10", "on_hold": "0.00000001"}),
        (cp.CancelOrder(7), {"@type": "CancelOrder", "order_id": 7}),
        (cp.Unknown("New", {"@type": "New", "a": 1.5}), {"@type": "New", "a": 1.5}),
    ],
    ids=repr,
)  # fmt: skip
def test_plain_values(value: Any, plain: Any) -> None:
    found = plain_values(value)
    assert found == plain
    assert type(found) is type(plain)
    assert orjson.loads(orjson.dumps(found)) == plain


@pytest.mark.parametrize("message", MEANINGS, ids=lambda message: type(message).__name__)
def test_a_message_has_all_its_fields(message: Message) -> None:
    fields = message.as_dict()
    assert list(fields) == ["@type", *message.__struct_fields__]
    assert fields | message.payload == fields, "the payload has nothing else"
    assert json.loads(json.dumps(fields)) == fields
    if type(message).__name__.startswith(("Place", "Cancel")):
        return
    assert decode(orjson.dumps(fields)) == decode(encode(message))


def test_an_optional_field_is_none() -> None:
    fields = cp.PlaceBuyLimitOrder("BTC_USD", "1.0", 100).as_dict()
    assert fields == {
        "@type": "PlaceBuyLimitOrder", "trade_pair": "BTC_USD", "amount": "1.0", "price": "100",
        "client_order_id": None, "ttl": 0,
    }  # fmt: skip


def test_all_public_structs_have_it() -> None:
    structs = {
        name: value
        for name in cp.__all__
        if inspect.isclass(value := getattr(cp, name)) and issubclass(value, msgspec.Struct)
    }
    assert len(structs) > 40
    assert {name for name, value in structs.items() if not hasattr(value, "as_dict")} == set(WITHOUT)
    for value in (cp.Order, cp.OrderBook):
        assert callable(value.as_dict)
