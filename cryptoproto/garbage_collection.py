"""Garbage collection for programs that must answer quickly: without runs that look at everything."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

__all__ = ["tuned_gc"]

_FULL_RUNS: Final = 1000
"""After how many runs of the middle generation everything is looked at; by default after 10.

The other two thresholds stay as they are: a higher one makes runs rarer, but each of them longer.
"""


@contextmanager
def tuned_gc() -> Iterator[None]:
    """Keep the pauses of the garbage collector short while the block runs.

    ::

        with cp.tuned_gc():
            async for event in client.events():
                ...

    What exists at the beginning is collected once, and then left alone (:func:`gc.freeze`): modules, tables, whatever
    the program has loaded. So enter the block when everything is set up. What is made later is collected as before
    while it is young, and a hundred times less often once it is old: a cycle that lived long keeps its memory longer.
    At the end, everything is as it was before.

    It is a setting of the process. It holds for all threads and event loops, and blocks must not overlap.
    """
    young, middle, old = gc.get_threshold()
    was_frozen = gc.get_freeze_count() > 0
    gc.collect()
    gc.freeze()
    gc.set_threshold(young, middle, _FULL_RUNS)
    try:
        yield
    finally:
        gc.set_threshold(young, middle, old)
        if not was_frozen:
            gc.unfreeze()
