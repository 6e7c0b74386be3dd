"""Session scripts: text that people write."""

from __future__ import annotations

from collections.abc import Iterator

import cryptoproto as cp
from cryptoproto.conformance import Script, parse_script
from cryptoproto.conformance.library import SCRIPTS
from tests.fuzz.target import Cost, Target

__all__ = ["TARGETS"]


def read(data: bytes) -> Script:
    return parse_script(data.decode("utf-8", "replace"), name="topic/name", file="topic/name.txt")


def check(data: bytes, script: Script) -> None:
    """A script says what it is, expects something, and is the same each time."""
    assert script.title
    assert script.protocols
    assert any(step.verb not in ("send", "do") for step in script.steps)
    assert read(data) == script


def seeds() -> Iterator[bytes]:
    """The shortest script of each topic."""
    for topic in sorted({path.parent for path in SCRIPTS.rglob("*.txt")}):
        yield min((path.read_bytes() for path in topic.glob("*.txt")), key=lambda script: (len(script), script))


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
