"""Messages to bytes and back, through the generated FlatBuffers code, and only after the structure check."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import Any, Final

from ...exceptions import ConfigurationError, MalformedMessage
from ...extras import needs
from .layout import Field, Kind, Layout
from .structure import check_structure

with needs("cryptoproto.licensing", "licensing"):
    import flatbuffers

__all__ = ["CpuidRegisters", "Value", "decode", "encode"]

CpuidRegisters = tuple[int, int, int, int, int]
"""Leaf, eax, ebx, ecx, edx."""

Value = bool | int | str | bytes | tuple[int, ...] | tuple[CpuidRegisters, ...] | None
"""The value of a field; ``None`` is an absent string or byte vector."""

_GENERATED: Final = "cryptoproto.licensing._fbs"
_CPUID_LEAF: Final[Any] = import_module(f"{_GENERATED}.CpuidLeaf")


def encode(layout: Layout, values: Mapping[str, Value]) -> bytes:
    """The message as bytes. Fields that are missing in *values*, or ``None``, are absent.

    Raises:
        ConfigurationError: a value does not fit its field.
    """
    generated: Any = import_module(f"{_GENERATED}.{layout.table}")
    builder = flatbuffers.Builder(1024)
    placed: list[tuple[Field, Any]] = []
    for field in layout.fields:
        value = values.get(field.name)
        if value is not None:
            with _naming(field):
                placed.append((field, _behind_offset(builder, generated, layout, field, value)))
    generated.Start(builder)
    for field, value in placed:
        with _naming(field):
            getattr(generated, f"{layout.table}Add{field.accessor}")(builder, value)
    builder.Finish(generated.End(builder), file_identifier=layout.identifier)
    message = bytes(builder.Output())
    try:
        check_structure(message, layout)
    except MalformedMessage as error:
        raise ConfigurationError(f"this {layout.table} cannot be encoded: {error}") from None
    return message


@contextmanager
def _naming(field: Field) -> Iterator[None]:
    try:
        yield
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"{field.name}: the value does not fit {field.kind.schema_name}: {error}") from None


def _behind_offset(builder: Any, generated: Any, layout: Layout, field: Field, value: Any) -> Any:
    """Write a string or vector and return its offset. A plain number is returned as it is."""
    if field.kind is Kind.STRING:
        return builder.CreateString(value)
    if field.kind is Kind.BYTES:
        return builder.CreateByteVector(value)
    if field.kind in {Kind.UINT16S, Kind.CPUID}:
        getattr(generated, f"{layout.table}Start{field.accessor}Vector")(builder, len(value))
        for element in reversed(value):  # a FlatBuffers builder writes from the end to the beginning
            if field.kind is Kind.CPUID:
                _CPUID_LEAF.CreateCpuidLeaf(builder, *element)
            else:
                builder.PrependUint16(element)
        return builder.EndVector()
    return value


def decode(layout: Layout, buffer: bytes) -> dict[str, Value]:
    """All fields of a message by name, after the structure check.

    Raises:
        MalformedMessage: the structure check failed.
    """
    check_structure(buffer, layout)
    generated, readers = _readers(layout)
    table = generated.GetRootAs(buffer)
    return {name: read(table) for name, read in readers}


@cache
def _readers(layout: Layout) -> tuple[Any, tuple[tuple[str, Callable[[Any], Value]], ...]]:
    """The generated class of a table, and a reader for each of its fields."""
    generated = getattr(import_module(f"{_GENERATED}.{layout.table}"), layout.table)
    return generated, tuple((field.name, _reader(generated, slot, field)) for slot, field in enumerate(layout.fields))


def _reader(generated: Any, slot: int, field: Field) -> Callable[[Any], Value]:
    access: Callable[..., Any] = getattr(generated, field.accessor)
    if field.kind is Kind.BYTES:
        return lambda table: _read_bytes(table, 4 + 2 * slot)
    if field.kind is Kind.STRING:
        return lambda table: None if (text := access(table)) is None else text.decode()
    if field.kind is Kind.UINT16S:
        length = getattr(generated, f"{field.accessor}Length")
        return lambda table: tuple(access(table, index) for index in range(length(table)))
    if field.kind is Kind.CPUID:
        return _read_cpuid
    return access


def _read_bytes(table: Any, slot: int) -> bytes | None:
    # The accessor returns one element at a time. The table of the runtime knows where all of them are.
    offset = table._tab.Offset(slot)
    if not offset:
        return None
    start = table._tab.Vector(offset)
    return bytes(table._tab.Bytes[start : start + table._tab.VectorLen(offset)])


def _read_cpuid(table: Any) -> tuple[CpuidRegisters, ...]:
    leaves = (table.Cpuid(index) for index in range(table.CpuidLength()))
    return tuple((leaf.Leaf(), leaf.Eax(), leaf.Ebx(), leaf.Ecx(), leaf.Edx()) for leaf in leaves)
