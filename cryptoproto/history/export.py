"""Records as CSV, and files that appear only when they are complete."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from ..exceptions import ConfigurationError, StoreError
from ..messages import plain_values

__all__ = ["new_file", "write_csv"]


def write_csv(file: TextIO, columns: Sequence[str], records: Iterable[Any]) -> int:
    """Write a line with the names of the *columns*, and one for each record; returns how many records there were.

    Amounts are written exactly, times in ISO 8601, and what is not known as nothing.
    """
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    count = 0
    for record in records:
        writer.writerow([plain_values(getattr(record, name)) for name in columns])
        count += 1
    return count


@contextmanager
def new_file(path: str | os.PathLike[str], store: Path) -> Iterator[Path]:
    """A path to write to; at the end of the block it becomes *path*, in the place of an older file of that name.

    Raises:
        ConfigurationError: *path* is the file of the *store*, or cannot be written.
    """
    target = Path(path)
    if target.exists() and store.exists() and target.samefile(store):
        raise ConfigurationError(f"{target} is the store itself; choose another file")
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        try:
            yield part
            part.replace(target)
        finally:
            with suppress(OSError):
                part.unlink()
    except StoreError:  # an OSError, too, but of the other file
        raise
    except OSError as error:
        raise ConfigurationError(f"{target} cannot be written: {error.strerror or error}") from error
