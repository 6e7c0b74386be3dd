"""What coverage.py measures, if it measures: which tests, and whether it notes the test that reaches a line.

A test with the marker ``unmeasured`` runs what other tests cover a hundred times, or in a process of its own: tracing
takes as long as the test, and adds no line. The fewer lines such a test adds, the better the other tests are.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from coverage import Coverage

_FOR_CHILDREN: Final = "COVERAGE_PROCESS_CONFIG"
"""With this variable in its environment, coverage.py measures a child process, too."""


def leave_to_workers(config: pytest.Config) -> None:
    """Measure nothing in the process that only gives the tests to the workers of pytest-xdist."""
    measured = _measured()
    if measured is not None and config.getoption("numprocesses", None) and not hasattr(config, "workerinput"):
        measured.stop()


@contextmanager
def measured_as(item: pytest.Item) -> Iterator[None]:
    """Measure a test, or do not if it has the marker; with CONTEXTS set, note its name beside what it reaches."""
    measured = _measured()
    if measured is None:
        yield
    elif item.get_closest_marker("unmeasured") is None:
        if os.environ.get("CONTEXTS"):
            measured.switch_context(item.nodeid)
        yield
    else:
        measured.stop()
        for_children = os.environ.pop(_FOR_CHILDREN, None)
        try:
            yield
        finally:
            if for_children is not None:
                os.environ[_FOR_CHILDREN] = for_children
            measured.start()


def _measured() -> Coverage | None:
    """Coverage.py is imported already if it measures."""
    if "coverage" not in sys.modules:
        return None
    current: Coverage | None = sys.modules["coverage"].Coverage.current()
    return current
