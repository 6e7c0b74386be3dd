"""Client order ids that no other process makes, without a server to ask."""

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
    """Makes client order ids: positive signed 64-bit integers, each greater than the one before.

    From the most significant bit: 38 bits of time in steps of 8 ms since 2020 (until 2089), 20 bits drawn at random
    by each process, 5 bits that count. Within a process no id comes twice, whatever the clock does: where it stands
    still, jumps back or is outrun (beyond 4,000 ids a second), the ids go on from the last one. Two processes make the
    same id only if both draw the same 20 bits, which one pair in 1,048,576 does, *and* they are within 8 ms of each
    other, or the clock was set back between them. A forked child draws again.

    The ids are beyond 2**53, up to which JavaScript holds integers exactly. With 53 bits either the random part
    shrinks to where two bots of one account collide, or the counter to where a burst of orders runs into the time of
    the next process; an id that is displayed wrongly is the lesser evil beside an order that is refused. JSON goes
    over the wire with all digits; a JavaScript consumer should read the field as a ``BigInt``.

    Args:
        clock: unix nanoseconds.
        random: that many random bytes.
        process: the id of the process; another than before means a fork.
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
            last_tick += 1  # the new random part may be less than the old one
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
            raise ConfigurationError("the clock is past 2089, which client order ids do not reach; set it right")
        self._last = (last_tick << _NODE_BITS | self._node) << _COUNT_BITS | count
        return self._last
