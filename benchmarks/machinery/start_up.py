"""What a process costs that starts, does one thing and ends."""

from __future__ import annotations

import resource
import subprocess
import sys
from typing import Final

from .processes import ROOT, environment

__all__ = ["DEPENDENCIES", "cpu_ms"]

DEPENDENCIES: Final = (
    "import asyncio, msgspec, orjson, sqlite3, websockets.asyncio.client\n"
    "from cryptography.hazmat.primitives import serialization\n"
    "from cryptography.hazmat.primitives.asymmetric import rsa\n"
    "from cryptography.hazmat.primitives.ciphers import Cipher"
)
"""A program that imports what a client needs of other packages."""


def cpu_ms(*arguments: str) -> float:
    """The CPU time of a process of this interpreter with *arguments*.

    Raises:
        CalledProcessError: it failed.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000
