"""Client order ids that carry the number of a strategy, so everybody can tell whose order it is.

Such an id has the layout of :class:`~cryptoproto.client.order_ids.ClientOrderIds`, with the strategy's number in the
upper 12 of its 20 bits for the process. The other 8 are random, for each start of the strategy.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from ..client.order_ids import ClientOrderIds

__all__ = ["MAX_STRATEGIES", "strategy_ids", "strategy_number"]

MAX_STRATEGIES: Final = (1 << 12) - 1
_RANDOM_BITS: Final = 8
_SHIFT: Final = 5 + _RANDOM_BITS  # below it are the counter and the random bits


def strategy_ids(number: int, random: Callable[[int], bytes] = os.urandom) -> ClientOrderIds:
    """Generates the client order ids of the strategy *number*, from 1 to 4095."""

    def process_bits(size: int) -> bytes:
        return (number << _RANDOM_BITS | random(1)[0]).to_bytes(size)

    return ClientOrderIds(random=process_bits)


def strategy_number(client_order_id: int | None) -> int:
    """The number of the strategy in *client_order_id*; 0 if there is no id."""
    return 0 if client_order_id is None else client_order_id >> _SHIFT & MAX_STRATEGIES
