"""Events at a steady rate, received in a fresh process."""

from __future__ import annotations

import json
import subprocess
from typing import Final

from .processes import ROOT, Responder, command, environment

__all__ = ["KINDS", "RATE", "receive_ticks"]

KINDS: Final = ("bare", "default", "tuned")
"""See ``tick_consumer``."""
RATE: Final = 10_000
_EXTRA_S: Final = 120


def receive_ticks(server: Responder, kind: str, count: int) -> dict[str, float]:
    """Receive *count* events with a consumer of this *kind*; returns percentiles in microseconds.

    Raises:
        CalledProcessError: it failed; its traceback is on the standard error.
        TimeoutExpired: it took two minutes longer than the events should.
    """
    target = str(server.plain_port) if kind == "bare" else server.url
    arguments = (kind, target, str(server.directory), str(count), str(RATE), *(["uvloop"] if server.uvloop else []))
    done = subprocess.run(
        command("benchmarks.machinery.tick_consumer", *arguments),
        cwd=ROOT, env=environment(), stdout=subprocess.PIPE, check=True, timeout=count / RATE + _EXTRA_S,
    )  # fmt: skip
    measured: dict[str, float] = json.loads(done.stdout)
    return measured
