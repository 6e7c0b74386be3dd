"""Records as frames of pandas or polars, and as Parquet files, with exact decimals (extra ``frames``)."""

from __future__ import annotations

import importlib
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, TypeAlias

from .exceptions import ConfigurationError
from .extras import needs
from .messages import plain_values

__all__ = ["Columns", "to_frame", "write_parquet"]

Columns: TypeAlias = Mapping[str, type]
"""The attributes of records that become columns, with their types: datetime, Decimal, int, bool or str.

Values may be ``None``; those of text may be whatever ``as_dict()`` writes as text.
"""

_ROWS: Final = 10_000
"""How many records become a table at a time."""


def to_frame(columns: Columns, records: Iterable[Any], library: str, *, exact: bool) -> Any:
    """A ``pandas.DataFrame`` or ``polars.DataFrame`` of *records*.

    Args:
        columns: the columns of the frame.
        records: one for each row.
        library: ``"pandas"`` or ``"polars"``.
        exact: decimals, with 18 digits after the point: ``decimal.Decimal`` objects in pandas, ``Decimal(38, 18)`` in
            polars. Otherwise 64-bit floats.

    Raises:
        ConfigurationError: there is no such library, it is not installed, or a number does not fit.
    """
    if library not in ("pandas", "polars"):
        raise ConfigurationError(f'library={library!r:.40} must be "pandas" or "polars"')
    arrow, frames = _imported("pyarrow"), _imported(library)
    schema = _schema(arrow, columns, exact=exact)
    table = arrow.Table.from_batches(_batches(arrow, schema, records), schema)
    if library == "polars":
        return frames.from_arrow(table)
    # Without it, pandas would make floats of ids where one is missing.
    return table.to_pandas(types_mapper={arrow.int64(): frames.Int64Dtype()}.get)


def write_parquet(columns: Columns, records: Iterable[Any], path: str | os.PathLike[str]) -> int:
    """Write *records* into a new Parquet file; returns how many there were. Numbers are decimals, as in ``to_frame``.

    Raises:
        ConfigurationError: pyarrow is not installed, or a number does not fit.
        OSError: the file cannot be written.
    """
    arrow, parquet = _imported("pyarrow"), _imported("pyarrow.parquet")
    schema = _schema(arrow, columns, exact=True)
    count = 0
    with parquet.ParquetWriter(os.fspath(path), schema) as writer:
        for batch in _batches(arrow, schema, records):
            writer.write_batch(batch)
            count += batch.num_rows
    return count


def _imported(name: str) -> Any:
    with needs("this format", "frames"):
        return importlib.import_module(name)


def _schema(arrow: Any, columns: Columns, *, exact: bool) -> Any:
    types = {
        datetime: arrow.timestamp("us", tz="UTC"),
        Decimal: arrow.decimal128(38, 18) if exact else arrow.float64(),
        int: arrow.int64(),
        bool: arrow.bool_(),
        str: arrow.string(),
    }
    return arrow.schema([(name, types[kind]) for name, kind in columns.items()])


def _batches(arrow: Any, schema: Any, records: Iterable[Any]) -> Iterator[Any]:
    convert = {name: _conversion(arrow, schema.field(name)) for name in schema.names}
    records = iter(records)
    while rows := list(itertools.islice(records, _ROWS)):
        columns = {
            name: [None if (value := getattr(row, name)) is None else convert[name](value) for row in rows]
            for name in schema.names
        }
        try:
            yield arrow.RecordBatch.from_pydict(columns, schema)
        except arrow.ArrowInvalid as error:
            raise ConfigurationError(
                f"a number does not fit into a decimal with 20 digits before the point and 18 after it ({error}); "
                f"use exact=False, CSV or JSON"
            ) from None


def _conversion(arrow: Any, field: Any) -> Callable[[Any], Any]:
    if field.type == arrow.float64():
        return float
    return plain_values if field.type == arrow.string() else _same


def _same(value: Any) -> Any:
    return value
