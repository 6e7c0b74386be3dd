"""Which orders belong to the quotes: all of the pair, or those whose client order ids carry a tag."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final

from ..arguments import check_count
from ..client import Order
from ..client.order_ids import ClientOrderIds
from ..exceptions import ConfigurationError

__all__ = ["Ownership"]

MAX_TAG: Final = 1_000
"""Tags are the upper bits of a client order id. The ids that a client generates have larger ones since 2023."""

_EPOCH_MS: Final = 1_577_836_800_000  # 2020-01-01
_COUNT_BITS: Final = 7
_TAG_SHIFT: Final = 48


class Ownership:
    """Tells the orders of the quotes from others, also those of an earlier process, and numbers new ones.

    Without a tag every open order of the pair is one of them. With a tag, those are whose client order id has the tag
    in its upper 15 bits, followed by 41 bits of milliseconds since 2020 and a counter of 7 bits.

    Args:
        trade_pair: the pair that is quoted.
        tag: 1 to 1,000, or ``None``.
        clock: unix nanoseconds.

    Raises:
        ConfigurationError: the tag is something else.
    """

    def __init__(self, trade_pair: str, tag: int | None, *, clock: Callable[[], int] = time.time_ns) -> None:
        if tag is not None:
            check_count("tag", tag, 1)
            if tag > MAX_TAG:
                raise ConfigurationError(f"tag={tag} must be {MAX_TAG} or less")
        self._pair = trade_pair
        self._tag = tag
        self._clock = clock
        self._last = 0
        self._ids = ClientOrderIds()

    def owns(self, order: Order) -> bool:
        """Whether *order* is one of the quotes."""
        return order.trade_pair == self._pair and (self._tag is None or self._has_tag(order))

    def learn(self, orders: Iterable[Order]) -> None:
        """Number new orders beyond *orders*, of which an earlier process may have placed some."""
        for order in orders:
            if self._tag is not None and order.client_order_id is not None and self._has_tag(order):
                self._last = max(self._last, order.client_order_id)

    def next_id(self) -> int:
        """The client order id of a new order."""
        if self._tag is None:
            return self._ids.next()
        ms = max(self._clock() // 1_000_000 - _EPOCH_MS, 0)
        self._last = max(self._tag << _TAG_SHIFT | ms << _COUNT_BITS, self._last + 1)
        return self._last

    def _has_tag(self, order: Order) -> bool:
        number = order.client_order_id
        return number is not None and number >> _TAG_SHIFT == self._tag
