"""Schema, layout, codec: one list of fields in four places, and every value comes back."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.licensing import MalformedMessage
from cryptoproto.licensing.request.codec import decode, encode
from cryptoproto.licensing.request.layout import LICENSE_REQUEST, LICENSE_TOKEN, SIGNED_TOKEN, Kind, Layout
from cryptoproto.licensing.request.structure import check_structure
from tests.licensing.samples import PUBLISHED, full_request

LAYOUTS = [LICENSE_REQUEST, LICENSE_TOKEN, SIGNED_TOKEN]
SCHEMAS = Path(cp.__file__).parent / "licensing"


def test_every_published_field_is_in_the_request() -> None:
    # The published list names `instance` twice; everything else once.
    assert [field.name for field in LICENSE_REQUEST.fields] == [*PUBLISHED.split(), "nonce"]
    assert len(PUBLISHED.split()) == 70


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.table)
def test_layout_and_schema_say_the_same(layout: Layout) -> None:
    name = re.sub(r"(?<!^)([A-Z])", r"_\1", layout.table).lower()
    text = re.sub(r"//.*", "", (SCHEMAS / f"{name}.fbs").read_text(encoding="utf-8"))
    table = re.search(rf"table {layout.table} {{(.*?)}}", text, re.DOTALL)
    assert table is not None
    fields = re.findall(r"(\w+)\s*:\s*(\[?\w+\]?)", table[1])
    assert fields == [(field.name, field.kind.schema_name) for field in layout.fields]
    assert f'file_identifier "{layout.identifier.decode()}"' in text
    assert len({each.identifier for each in LAYOUTS}) == len(LAYOUTS)


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


def test_one_kind_of_message_never_passes_for_another() -> None:
    message = encode(LICENSE_REQUEST, full_request())
    for layout in (LICENSE_TOKEN, SIGNED_TOKEN):
        with pytest.raises(MalformedMessage, match=r"another kind of message|at most"):
            check_structure(message, layout)


def test_fields_of_a_later_version_are_passed_over() -> None:
    message = encode(LICENSE_REQUEST, full_request())
    earlier = Layout(LICENSE_REQUEST.table, LICENSE_REQUEST.identifier, 32_768, LICENSE_REQUEST.fields[:40])
    assert decode(earlier, message) == {field.name: full_request()[field.name] for field in earlier.fields}
