from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from cryptoproto.client.error_row import ErrorRow
from cryptoproto.exceptions import DecodeError
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


@pytest.mark.parametrize(
    "record",
    [
        Takeover(1, "m"),
        Connected(7),
        Intent("one/a", "one", "place", msgspec.Raw(b'{"a":1}'), 2, 3, 4),
        Answered("one/a", "one", ErrorRow("RequestNotSent", "no"), fence=1, at=2.5),
        Answered("one/a", "one", ErrorRow(), placed=Placed(1, Decimal(2), Decimal(1), Decimal("0.5"), filled=False)),
        Checkpoint(1, 2, 3, 4.5),
    ],
)
def test_a_record_survives(record: LogRecord) -> None:
    assert decode_records(encode_records(record)) == [record]


def test_records_that_are_written_together() -> None:
    records: list[LogRecord] = [Answered("one/a", "one", ErrorRow()), Connected(7)]
    assert decode_records(encode_records(*records)) == records


@pytest.mark.parametrize("data", [b"", b"{}", b'[{"type":"unknown"}]', b"\xff"])
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError, match="without records"):
        decode_records(data)
