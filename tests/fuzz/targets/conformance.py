"""Session scripts: text that people write."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import cryptoproto as cp
from cryptoproto.conformance import Script, parse_script
from cryptoproto.conformance.library import SCRIPTS
from tests.fuzz.target import Cost, Target

__all__ = ["TARGETS"]

_SEEDS = 12


def read(data: bytes) -> Script:
    return parse_script(data.decode("utf-8", "replace"), name="topic/name", file="topic/name.txt")


def check(data: bytes, script: Script) -> None:
    """A script says what it is, expects something, and is the same each time."""
    assert script.title
    assert script.protocols
    assert any(step.verb not in ("send", "do") for step in script.steps)
    assert read(data) == script


@cache
def paths() -> list[bytes]:
    files = sorted(SCRIPTS.rglob("*.txt"))
    return [file.read_bytes() for file in files[:: max(1, len(files) // _SEEDS)]]


def seeds() -> Iterator[bytes]:
    yield from paths()


TARGETS = (
    Target(
        "session-scripts",
        read,
        (cp.ConfigurationError,),
        seeds,
        check,
        words=(
            b"Peer: client\n",
            b"Strict: no\n",
            b"Protocol: v5\n",
            b"> ",
            b"<< ",
            b"< nothing\n",
            b"do restart\n",
            b"close 4001",
            b"[sequence $next+1]",
            b"[first 37 bytes]",
            b"$next",
            b'"',
            b"@1",
            b"within 5 s",
            b"connect alice\n",
            b" = ",
        ),
        longest=600,
        cost=Cost(calls=10_000, calls_per_byte=100, memory=400_000, memory_per_byte=300),
        in_suite=500,
    ),
)
