"""The market that clients of an exchange with ``feed=`` trade with, and how the exchange observes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from ..messages import AnonymousTrade, OrderBookAgg, TradesDisabledOnPairs, TradesEnabledOnPairs, TradingRules
from .commands import Observed

__all__ = ["MarketObserver", "MarketSource", "SourceObserver"]

_OBSERVED = (OrderBookAgg, AnonymousTrade, TradesDisabledOnPairs, TradesEnabledOnPairs, TradingRules)


class MarketObserver(Protocol):
    """What a source calls."""

    def on_update(self, update: Any, /) -> None:
        """Something happened on the market."""

    def on_state(self, change: Any, /) -> None:
        """The source has entered a state; ``change.state.value`` is ``"live"`` while it is connected."""


class MarketSource(Protocol):
    """Where a recorded market comes from: a :class:`~cryptoproto.Replay`, or any other :class:`~cryptoproto.Feed`."""

    @property
    def pairs(self) -> frozenset[str] | None:
        """The pairs that it has; ``None`` if they are not known beforehand."""

    def attach(self, observer: MarketObserver, /) -> None:
        """Call *observer* with all that happens."""

    def detach(self, observer: MarketObserver, /) -> None:
        """Stop calling *observer*."""

    def time_ns(self) -> int:
        """Unix time in nanoseconds."""


class SourceObserver:
    """Passes on what an exchange needs to know of its source, until :meth:`close`.

    Args:
        source: the source, if there is one.
        observe: called with each update, and with ``None`` when the market is lost.
    """

    def __init__(self, source: MarketSource | None, observe: Callable[[Observed], None]) -> None:
        self._source = source
        self._observe = observe
        if source is not None:
            source.attach(self)

    def close(self) -> None:
        """Pass on nothing more. Idempotent."""
        if self._source is not None:
            self._source.detach(self)
            self._source = None

    def on_update(self, update: Any) -> None:
        """See :class:`MarketObserver`. Messages of unknown types are left out."""
        if isinstance(update, _OBSERVED):
            self._observe(update)

    def on_state(self, change: Any) -> None:
        """See :class:`MarketObserver`."""
        if change.state.value != "live":
            self._observe(None)
