"""The strategies of one client id, with their numbers and limits: one entry of a key-value bucket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
import nats.errors
import nats.js.errors
from nats.js.kv import KeyValue

from ...exceptions import GatewayError
from ...messages import MALFORMED
from ..strategy_ids import MAX_STRATEGIES
from ..strategy_limits import StrategyLimits

__all__ = ["Strategies", "Strategy"]

_KEY: Final = "strategies"
_TRIES: Final = 10


class Strategy(msgspec.Struct, frozen=True, omit_defaults=True):
    """One strategy.

    Attributes:
        number: part of its client order ids; never used again for another one.
        is_killed: its orders are refused until an operator revives it.
        limits: what it may do.
    """

    number: int
    is_killed: bool = False
    limits: StrategyLimits = StrategyLimits()


class Strategies:
    """Reads and changes the entry. Each change is a compare-and-set, so no two owners give one number away twice.

    Args:
        bucket: where the entry is.
    """

    def __init__(self, bucket: KeyValue) -> None:
        self._bucket = bucket
        self._known: dict[str, Strategy] = {}
        self._revision = 0
        self._lock = asyncio.Lock()  # changes of this owner do not refuse each other

    def get(self, name: str) -> Strategy | None:
        """A strategy, as it was when the entry was read or changed last."""
        return self._known.get(name)

    def all(self) -> dict[str, Strategy]:
        """All strategies, by name."""
        return dict(self._known)

    async def load(self) -> None:
        """Read the entry, and make sure by a write that it is the newest: a killed strategy must stay killed.

        Raises:
            GatewayError: the entry cannot be read or written.
        """
        await self._read()
        await self._write(lambda known: known)

    async def _read(self) -> None:
        try:
            entry = await self._bucket.get(_KEY)
        except nats.js.errors.KeyNotFoundError:
            self._known, self._revision = {}, 0
            return
        except (nats.errors.Error, TimeoutError) as error:
            raise GatewayError(
                f"the list of strategies cannot be read: {str(error) or 'no answer from NATS'}"
            ) from error
        try:
            self._known = msgspec.json.decode(entry.value or b"", type=dict[str, Strategy])
        except MALFORMED as error:
            raise GatewayError(f"the list of strategies cannot be read: {error}") from error
        self._revision = entry.revision or 0

    async def ensure(self, name: str) -> Strategy:
        """The strategy *name*; an unknown one gets the next number.

        Raises:
            GatewayError: there are too many strategies, or the entry cannot be written.
        """
        if (known := self._known.get(name)) is not None:
            return known
        return await self._change(name, lambda current: current)

    async def set_killed(self, name: str, *, is_killed: bool) -> Strategy:
        """Refuse the orders of a strategy, or accept them again."""
        return await self._change(name, lambda current: msgspec.structs.replace(current, is_killed=is_killed))

    async def set_limits(self, name: str, changes: Mapping[str, Any]) -> Strategy:
        """Change some limits of a strategy, also of one that has never run; see :meth:`StrategyLimits.changed`.

        Raises:
            ConfigurationError: a limit cannot be used.
            GatewayError: the entry cannot be written.
        """
        return await self._change(
            name, lambda current: msgspec.structs.replace(current, limits=current.limits.changed(changes))
        )

    async def _change(self, name: str, change: Callable[[Strategy], Strategy]) -> Strategy:
        def changed(known: dict[str, Strategy]) -> dict[str, Strategy]:
            return known | {name: change(known.get(name) or Strategy(_next_number(known)))}

        async with self._lock:
            return (await self._write(changed))[name]

    async def _write(self, change: Callable[[dict[str, Strategy]], dict[str, Strategy]]) -> dict[str, Strategy]:
        for _ in range(_TRIES):
            known = change(self._known)
            try:
                revision = await self._bucket.update(_KEY, msgspec.json.encode(known), last=self._revision)
            except nats.js.errors.KeyWrongLastSequenceError:
                await self._read()
                continue
            except (nats.errors.Error, TimeoutError) as error:
                raise GatewayError(
                    f"the list of strategies cannot be written: {str(error) or 'no answer from NATS'}"
                ) from error
            self._known, self._revision = known, revision
            return known
        raise GatewayError("the list of strategies changes all the time and could not be written")


def _next_number(known: dict[str, Strategy]) -> int:
    number = max((each.number for each in known.values()), default=0) + 1
    if number > MAX_STRATEGIES:
        raise GatewayError(f"there are {MAX_STRATEGIES} strategies already, and no client id can have more")
    return number
