"""The settings of the garbage collector in a block, and after it."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

import cryptoproto as cp


@pytest.fixture(autouse=True)
def settings() -> Iterator[None]:
    """Nothing is frozen at first, and whatever a test leaves behind is undone."""
    thresholds, was_frozen = gc.get_threshold(), gc.get_freeze_count() > 0
    gc.unfreeze()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)
    if was_frozen:
        gc.freeze()


class Node:
    """Part of a cycle."""

    def __init__(self) -> None:
        self.me = self


def test_what_exists_is_left_alone_and_everything_is_undone_afterwards() -> None:
    before = gc.get_threshold()
    kept = [Node()]
    dropped = weakref.ref(Node())
    with cp.tuned_gc():
        assert dropped() is None  # collected before
        assert gc.get_freeze_count() > 1000
        assert not any(each is kept[0] for each in gc.get_objects())
        assert gc.get_threshold() == (*before[:2], 1000)
        new = Node()
        cycle = weakref.ref(new)
        del new
        gc.collect(0)
        assert cycle() is None, "what is new is collected"
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0
    assert any(each is kept[0] for each in gc.get_objects())


def test_an_error_undoes_it_too() -> None:
    before = gc.get_threshold()
    with pytest.raises(ZeroDivisionError), cp.tuned_gc():
        raise ZeroDivisionError
    assert gc.get_threshold() == before


def test_what_the_program_froze_itself_stays_frozen() -> None:
    gc.freeze()
    with cp.tuned_gc():
        pass
    assert gc.get_freeze_count() > 1000
