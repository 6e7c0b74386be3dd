"""Client order ids that are unique across processes without a central server."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Final

from ..exceptions import ConfigurationError

__all__ = ["ClientOrderIds"]

_EPOCH_MS: Final = 1_577_836_800_000  # 2020-01-01
_TICK_MS: Final = 8
_TICK_BITS: Final = 38  # of 8 ms: 69 years
_NODE_BITS: Final = 20
_COUNT_BITS: Final = 5
_NODE_BYTES: Final = 3
_COUNT_MASK: Final = (1 << _COUNT_BITS) - 1
_LAST_TICK: Final = (1 << _TICK_BITS) - 1


class ClientOrderIds:
    """Generates client order ids: positive signed 64-bit integers, each greater than the one before.

    From the most significant bit: 38 bits of time in steps of 8 ms since 2020 (until 2089), 20 random bits for each
    process, and a counter of 5 bits. Within a process every id is unique, whatever the clock does: if it stops, jumps
    back or is too slow (beyond 4,000 ids a second), the ids continue from the last one. Two processes generate the same
    id only if both have the same 20 random bits, which happens for one pair in 1,048,576, *and* they run within 8 ms of
    each other or the clock was set back between them. A forked child draws new random bits.

    The ids exceed 2**53, the largest integer that JavaScript represents exactly. With 53 bits, the random part or the
    counter would be too small to avoid collisions between two bots of one account, and a rejected order is worse than
    an id that a script displays wrongly. JSON has all digits; JavaScript should read the field as a ``BigInt``.

    Args:
        clock: unix nanoseconds.
        random: returns the given number of random bytes.
        process: the id of the process; a changed id means a fork.
    """

    __slots__ = ("_clock", "_last", "_node", "_owner", "_process", "_random")

    def __init__(
        self,
        *,
        clock: Callable[[], int] = time.time_ns,
        random: Callable[[int], bytes] = os.urandom,
        process: Callable[[], int] = os.getpid,
    ) -> None:
        self._clock = clock
        self._random = random
        self._process = process
        self._last = 0
        self._node = 0
        self._owner: int | None = None

    def next(self) -> int:
        """A new id.

        Raises:
            ConfigurationError: the clock is past 2089.
        """
        last_tick = self._last >> (_NODE_BITS + _COUNT_BITS)
        owner = self._process()
        if owner != self._owner:
            self._owner = owner
            self._node = int.from_bytes(self._random(_NODE_BYTES)) & ((1 << _NODE_BITS) - 1)
            last_tick += 1  # the new random part may be smaller than the old one
            count = 0
        else:
            count = (self._last & _COUNT_MASK) + 1
            if count > _COUNT_MASK:
                last_tick += 1
                count = 0
        tick = (self._clock() // 1_000_000 - _EPOCH_MS) // _TICK_MS
        if tick > last_tick:
            last_tick, count = tick, 0
        if last_tick > _LAST_TICK:
            raise ConfigurationError(
                "the clock is past 2089, beyond the range of client order ids; correct the system time"
            )
        self._last = (last_tick << _NODE_BITS | self._node) << _COUNT_BITS | count
        return self._last
