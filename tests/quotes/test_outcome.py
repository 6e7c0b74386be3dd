"""What an update reports."""

from __future__ import annotations

from decimal import Decimal

import cryptoproto as cp
from cryptoproto.quotes.outcome import Progress
from tests.support.orders import an_order
from tests.support.quoting import BUY


def test_what_was_placed_is_not_kept_too() -> None:
    progress = Progress()
    new, gone, old = an_order(1), an_order(2), an_order(3)
    progress.placed(new)
    progress.cancelled(gone)
    update = progress.result([old, new], [])
    assert (update.placed, update.cancelled, update.kept) == ((new,), (gone,), (old,))
    assert update.is_complete
    assert str(update) == "1 placed, 1 cancelled, 1 kept"


def test_failures_are_named() -> None:
    progress = Progress()
    level = cp.QuoteLevel(BUY, Decimal("100.50"), Decimal("1.00000000"))
    progress.not_placed(level, None, cp.RequestNotSent("not connected"))
    progress.not_cancelled(an_order(), cp.OutcomeUnknown("no answer"))
    update = progress.result([], [level])
    assert not update.is_complete
    assert update.limited == (level,)
    assert str(update) == (
        "0 placed, 0 cancelled, 0 kept, 2 failed (place buy 1 at 100.5: not connected; cancel buy 1 at 100: no answer)"
    )
