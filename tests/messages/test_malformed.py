"""What msgspec raises for bytes that are not the JSON that was expected."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from cryptoproto.messages import MALFORMED

DEEP = 1_000_000  # Python 3.14 and later recurse until the stack is full


class Ignoring(msgspec.Struct):
    """Takes no notice of fields that it does not know."""

    name: str = ""


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"{", b"[]", b"\xff", b'{"name": [1]}', b'{"name": "\xff"}', b'{"name": "\\ud800"}', b"1" * 5000,
        b'{"other": ' + b"[" * DEEP + b"]" * DEEP + b"}", b'{"other":' * 2000,
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", [Ignoring, dict[str, int]])
def test_bytes_of_any_kind_raise_one_of_them(raw: bytes, kind: Any) -> None:
    with pytest.raises(MALFORMED):
        msgspec.json.decode(raw, type=kind)
