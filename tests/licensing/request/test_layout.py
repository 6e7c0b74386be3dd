"""The layouts agree with the schemas and with the published list of fields."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import cryptoproto as cp
from cryptoproto.licensing.request.layout import LICENSE_REQUEST, LICENSE_TOKEN, SIGNED_TOKEN, Layout
from tests.support.licensing.samples import PUBLISHED

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
