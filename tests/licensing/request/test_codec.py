"""Schema, layout, codec: one list of fields in four places, and every value comes back."""

from __future__ import annotations

from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.licensing.request.codec import decode, encode
from cryptoproto.licensing.request.layout import LICENSE_REQUEST, Kind
from tests.support.licensing.samples import full_request


def test_every_field_comes_back() -> None:
    values = full_request()
    message = encode(LICENSE_REQUEST, values)
    assert message[4:8] == b"CPLQ"
    assert decode(LICENSE_REQUEST, message) == values


def test_extremes_come_back() -> None:
    largest = {Kind.UINT32: 2**32 - 1, Kind.UINT64: 2**64 - 1, Kind.INT64: -(2**63), Kind.BOOL: False}
    values: dict[str, Any] = full_request()
    for field in LICENSE_REQUEST.fields:
        if field.kind in largest:
            values[field.name] = largest[field.kind]
        elif field.kind is Kind.STRING:
            values[field.name] = "x" * field.most
    values["cpu_affinity"] = tuple(range(8192))
    values["cpuid"] = ((2**32 - 1,) * 5,) * 64
    message = encode(LICENSE_REQUEST, values)
    assert len(message) <= LICENSE_REQUEST.largest
    assert decode(LICENSE_REQUEST, message) == values


def test_absent_fields_read_as_nothing() -> None:
    values = {name: full_request()[name] for name in ("package_name", "config_hash", "nonce")}
    read = decode(LICENSE_REQUEST, encode(LICENSE_REQUEST, values))
    assert {name: value for name, value in read.items() if value} == values
    assert read["hostname"] is None
    assert read["cpuid"] == ()
    assert read["create_order"] == 0


@pytest.mark.parametrize("missing", ["package_name", "config_hash", "nonce"])
def test_a_message_needs_its_required_fields(missing: str) -> None:
    with pytest.raises(cp.ConfigurationError, match=f"{missing}: missing"):
        encode(LICENSE_REQUEST, full_request() | {missing: None})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("config_hash", b"short"),
        ("nonce", bytes(17)),
        ("hostname", "x" * 257),
        ("hostname", "\ud800"),
        ("hostname", "bell \x07"),
        ("package_name", ""),
        ("users", -1),
        ("users", 2**32),
        ("create_order", 2**64),
        ("request_time_utc", "noon"),
        ("cpu_affinity", (65_536,)),
        ("cpu_affinity", (0,) * 8193),
    ],
)
def test_values_that_do_not_fit_are_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(cp.ConfigurationError, match=field):
        encode(LICENSE_REQUEST, full_request() | {field: value})
