"""Which rows there are, and the run of some or all of them."""

from __future__ import annotations

from collections.abc import Callable

from .client import client_memory_rows, client_rows
from .codec import decode_rows, encode_rows
from .in_flight import in_flight_rows
from .memory import memory_rows
from .processes import Responder, responder
from .receive import receive_rows
from .report import Effort, Row
from .round_trip import round_trip_rows

__all__ = ["NAMES", "run"]

_ALONE: dict[str, tuple[int, Callable[[Effort], list[Row]]]] = {
    "decode": (15, decode_rows),
    "encode": (15, encode_rows),
}
_WITH_RESPONDER: dict[str, tuple[int, Callable[[Effort, Responder], list[Row]]]] = {
    "receive": (5, receive_rows),
    "round-trip": (9, round_trip_rows),
    "in-flight": (7, in_flight_rows),
    "memory": (1, memory_rows),
    "client": (5, client_rows),
    "client-memory": (1, client_memory_rows),
}
NAMES = [*_ALONE, *_WITH_RESPONDER]


def run(
    only: str | None = None,
    rounds: int | None = None,
    quick: bool = False,
    *,
    uvloop: bool = False,
    progress: Callable[[str], None] = lambda name: None,
) -> list[Row]:
    """Measure.

    Args:
        only: one of ``NAMES``; all of them where not given.
        rounds: how many rounds each measurement takes; its own number where not given.
        quick: a thousandth of the work: shows that everything runs, and measures nothing.
        uvloop: run the event loops of all processes on uvloop.
        progress: told the name of each measurement when it begins.

    Raises:
        ValueError: there is no measurement of that name.
    """
    if only is not None and only not in NAMES:
        raise ValueError(f"{only!r} is no benchmark; choose from {', '.join(NAMES)}")
    rows: list[Row] = []
    for name, (default, measure) in _ALONE.items():
        if only in (None, name):
            progress(name)
            rows += measure(Effort(rounds or (1 if quick else default), quick))
    if only is None or only in _WITH_RESPONDER:
        with responder(uvloop=uvloop) as server:
            for name, (default, measure_with) in _WITH_RESPONDER.items():
                if only in (None, name):
                    progress(name)
                    rows += measure_with(Effort(rounds or (1 if quick else default), quick), server)
    return rows
