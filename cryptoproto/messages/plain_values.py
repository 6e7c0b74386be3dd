"""Objects as dicts of plain values, for JSON and data frames."""

from __future__ import annotations

import enum
import math
from datetime import datetime
from decimal import Decimal
from typing import Any

from .amounts import plain

__all__ = ["AsDict", "plain_values"]


class AsDict:
    """Gives a struct the method :meth:`as_dict`."""

    __slots__ = ()

    def as_dict(self) -> dict[str, Any]:
        """All fields as plain values, for JSON and data frames.

        Amounts and prices are strings of plain digits, because floats and many readers of JSON would round them; enums
        are their values, the times of messages lists of numbers, errors their type and text, and objects dicts.
        Messages start with their name, ``"@type"``.
        """
        fields: dict[str, Any] = plain_values(self)
        return fields


def plain_values(value: Any) -> Any:
    """*value* with nothing in it but None, bools, ints, finite floats, strings, lists and dicts.

    Decimals become strings of plain digits, datetimes strings in ISO 8601, and floats that are not finite ``None``. An
    object with a method ``as_dict()`` of its own says itself what it consists of.
    """
    if isinstance(value, enum.Enum):
        return plain_values(value.value)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds")
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {plain_values(key): plain_values(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_values(item) for item in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, Exception):
        return f"{type(value).__name__}: {value}"
    if type(value).as_dict is not AsDict.as_dict:
        return value.as_dict()
    config = value.__struct_config__
    fields = {} if config.tag_field is None else {config.tag_field: config.tag}
    return fields | {name: plain_values(getattr(value, name)) for name in value.__struct_fields__}
