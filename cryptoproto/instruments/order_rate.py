"""At most so many orders in any second: more are refused, not delayed."""

from __future__ import annotations

from collections import deque

from ..exceptions import OrderInvalid

__all__ = ["OrderRate"]


class OrderRate:
    """Counts the orders of the last second.

    Args:
        limit: how many orders may be placed within one second; ``None`` = any number.
    """

    __slots__ = ("_times",)

    def __init__(self, limit: int | None) -> None:
        self._times: deque[float] | None = None if limit is None else deque(maxlen=limit)

    def count(self, now: float) -> None:
        """Count an order at *now*, seconds of a monotonic clock. A refused order does not count.

        Raises:
            OrderInvalid: it would be one too many; the text says when the next order is possible.
        """
        times = self._times
        if times is None:
            return
        if len(times) == times.maxlen and now < times[0] + 1:
            raise OrderInvalid(
                f"{len(times)} orders were placed within the last second, which is the limit "
                f"max_orders_per_second={times.maxlen}; try again in {times[0] + 1 - now:.3f} s, or raise the limit"
            )
        times.append(now)
