"""Packages that come with extras: what to install where one is missing.

A module that imports one does so in a block::

    with needs("cryptoproto.status", "status"):
        import uvicorn
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from .exceptions import MissingExtra

__all__ = ["missing_extra", "needs"]

_MODULES: Final = frozenset(
    {
        "flatbuffers",
        "httpx",
        "matplotlib",
        "nacl",
        "nats",
        "nkeys",
        "pandas",
        "picows",
        "polars",
        "prometheus_client",
        "psutil",
        "pyarrow",
        "starlette",
        "textual",
        "uvicorn",
        "yaml",
        "zstandard",
    }
)


@contextmanager
def needs(what: str, *extras: str) -> Iterator[None]:
    """Say in the error of a failed import that *what* needs these extras. Any other error passes unchanged.

    Blocks can be nested. The outermost one counts: it names what the user asked for.

    Raises:
        MissingExtra: a package of an extra was not found in the block.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        name = (error.name or "").partition(".")[0]
        if name not in _MODULES:
            raise
        raise missing_extra(what, name, *extras) from error


def missing_extra(what: str, name: str, *extras: str) -> MissingExtra:
    """The error if *what* needs the module *name*, which comes with *extras*."""
    return MissingExtra(f"{what} needs {name}: pip install 'cryptoproto[{','.join(extras)}]'", name)
