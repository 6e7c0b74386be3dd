"""Events at a steady rate, received in a fresh process."""

from __future__ import annotations

import json
import subprocess
from typing import Any, Final

from .processes import ROOT, Responder, command, environment

__all__ = ["KINDS", "RATE", "receive_ticks"]

KINDS: Final = ("bare", "default", "tuned", "aiohttp")
"""See ``tick_consumer``."""
RATE: Final = 10_000
_EXTRA_S: Final = 120


def receive_ticks(server: Responder, kind: str, count: int, *, uvloop: bool = False) -> dict[str, Any]:
    """Receive *count* events with a consumer of this *kind*; returns percentiles in microseconds.

    The event loop is that of the responder, or uvloop. The events come from a thread, so the sender's does not matter.

    Raises:
        CalledProcessError: it failed; its traceback is on the standard error.
        TimeoutExpired: it took two minutes longer than the events should.
    """
    target = str(server.plain_port) if kind == "bare" else server.url
    loop = ["uvloop"] if uvloop or server.uvloop else []
    arguments = (kind, target, str(server.directory), str(count), str(RATE), *loop)
    done = subprocess.run(
        command("benchmarks.machinery.tick_consumer", *arguments),
        cwd=ROOT, env=environment(), stdout=subprocess.PIPE, check=True, timeout=count / RATE + _EXTRA_S,
    )  # fmt: skip
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured
