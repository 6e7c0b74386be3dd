"""Checks that bytes are a valid FlatBuffers message, before any generated code reads them.

The Python runtime of FlatBuffers trusts its input: with an offset out of bounds it raises some exception of slices or
the struct module, or silently reads elsewhere (a negative index counts from the end). So everything that an accessor
follows is checked here first. The tables contain no tables, so there is only one level. The token inside a
:data:`~cryptoproto.licensing.request.layout.SIGNED_TOKEN` is checked as a separate message, after its signature.

The format: a buffer is ``root offset (u32), identifier (4 bytes), …``; a table begins with a signed
offset *back* to its vtable; a vtable is ``own size (u16), table size (u16), one offset into the table per field
(u16, 0 = absent)``; a string or vector sits behind an unsigned forward offset and begins with its length (u32);
a string is followed by a zero byte. Everything is little-endian and aligned to its own size.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Final

from ...exceptions import MalformedMessage
from .layout import Field, Kind, Layout

__all__ = ["check_structure"]

_HEADER: Final = 8  # root offset and identifier
_U32: Final = struct.Struct("<I")
_I32: Final = struct.Struct("<i")
_VTABLE_HEAD: Final = struct.Struct("<HH")
_LARGEST_VTABLE: Final = 4 + 2 * 1024  # fields of later versions are skipped, up to this many


def check_structure(buffer: bytes, layout: Layout) -> None:
    """Check that every accessor of the layout's table can be called on *buffer*. Reads nothing unchecked.

    Raises:
        MalformedMessage: *buffer* is not a valid message.
    """
    size = len(buffer)
    if not _HEADER + 4 <= size <= layout.largest:
        raise MalformedMessage(f"{layout.table}: {size} bytes; a message has at most {layout.largest}")
    if buffer[4:8] != layout.identifier:
        raise MalformedMessage(f"{layout.table}: another kind of message (identifier {buffer[4:8].hex()})")
    table, table_size, slots = _table(buffer, layout)
    known = len(slots)
    for index, field in enumerate(layout.fields):
        offset = slots[index] if index < known else 0
        if offset:
            _check_field(buffer, table, table_size, offset, field)
        elif field.required:
            raise MalformedMessage(f"{field.name}: missing")


def _table(buffer: bytes, layout: Layout) -> tuple[int, int, tuple[int, ...]]:
    """Position and size of the root table, and the slots of its vtable."""
    size = len(buffer)
    (table,) = _U32.unpack_from(buffer)
    if table % 4 or not _HEADER <= table <= size - 4:
        raise MalformedMessage(f"{layout.table}: the root table is out of bounds")
    vtable = table - _I32.unpack_from(buffer, table)[0]
    if vtable % 2 or not _HEADER <= vtable <= size - 4:
        raise MalformedMessage(f"{layout.table}: the vtable is out of bounds")
    vtable_size, table_size = _VTABLE_HEAD.unpack_from(buffer, vtable)
    if vtable_size % 2 or not 4 <= vtable_size <= min(size - vtable, _LARGEST_VTABLE):
        raise MalformedMessage(f"{layout.table}: the vtable has an impossible size")
    if not 4 <= table_size <= size - table:
        raise MalformedMessage(f"{layout.table}: the root table has an impossible size")
    return table, table_size, _slots((vtable_size - 4) // 2).unpack_from(buffer, vtable + 4)


@lru_cache(maxsize=1024)
def _slots(count: int) -> struct.Struct:
    return struct.Struct(f"<{count}H")


def _check_field(buffer: bytes, table: int, table_size: int, offset: int, field: Field) -> None:
    kind = field.kind
    at = table + offset
    if at % kind.inline_size or not 4 <= offset <= table_size - kind.inline_size:
        raise MalformedMessage(f"{field.name}: outside its table, or not aligned")
    if kind.element_size:
        _check_vector(buffer, at, field)
    elif kind is Kind.BOOL and buffer[at] > 1:
        raise MalformedMessage(f"{field.name}: neither true nor false")


def _check_vector(buffer: bytes, at: int, field: Field) -> None:
    size = len(buffer)
    start = at + _U32.unpack_from(buffer, at)[0]
    if start == at or start % 4 or start > size - 4:
        raise MalformedMessage(f"{field.name}: its offset leads out of the message")
    (count,) = _U32.unpack_from(buffer, start)
    if not field.least <= count <= field.most:
        raise MalformedMessage(f"{field.name}: {count} elements; between {field.least} and {field.most} are allowed")
    start += 4
    end = start + count * field.kind.element_size
    if field.kind is not Kind.STRING:
        if end > size:
            raise MalformedMessage(f"{field.name}: longer than the message")
    elif end >= size or buffer[end] != 0:
        raise MalformedMessage(f"{field.name}: longer than the message, or without the zero byte at its end")
    else:
        _check_text(buffer[start:end], field)


def _check_text(raw: bytes, field: Field) -> None:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise MalformedMessage(f"{field.name}: not UTF-8") from None
    if not text.isprintable():  # control characters could rewrite the terminal or the CSV that shows them
        raise MalformedMessage(f"{field.name}: holds characters that cannot be printed")
