"""What a feed knows of its pairs besides their books: the last trades, where trading is disabled, the rules."""

from __future__ import annotations

from collections.abc import Iterable

from ..exceptions import ConfigurationError, DecodeError
from ..instruments import Instrument
from ..messages import AnonymousTrade, TradesDisabledOnPairs, TradesEnabledOnPairs, TradingRules, Unknown

__all__ = ["Pairs"]


class Pairs:
    """The pairs of a feed, updated by its messages.

    Args:
        kept: the pairs to keep; ``None`` = all.

    Attributes:
        kept: the pairs to keep; ``None`` = all.
        trades: the newest trade of each pair.
        enabled: the pairs that a broadcast of this connection enabled.
        disabled: the pairs that a broadcast of this connection disabled.
        instruments: the rules by pair, as last published; always the same dict.

    Raises:
        ConfigurationError: *kept* is a single string.
    """

    __slots__ = ("disabled", "enabled", "instruments", "kept", "trades")

    def __init__(self, kept: Iterable[str] | None) -> None:
        if isinstance(kept, str):
            raise ConfigurationError(f"pairs={kept!r} must be a list of pairs: write [{kept!r}]")
        self.kept: frozenset[str] | None = None if kept is None else frozenset(kept)
        self.trades: dict[str, AnonymousTrade] = {}
        self.enabled: set[str] = set()
        self.disabled: set[str] = set()
        self.instruments: dict[str, Instrument] = {}

    def keeps(self, trade_pair: str) -> bool:
        """Whether the feed keeps a pair."""
        return self.kept is None or trade_pair in self.kept

    def check_kept(self, trade_pair: str) -> None:
        """Check that the feed keeps a pair.

        Raises:
            ConfigurationError: it does not.
        """
        if not self.keeps(trade_pair):
            raise ConfigurationError(
                f"{trade_pair} is not among the pairs= of this feed: {', '.join(sorted(self.kept or ()))}"
            )

    def apply(
        self, update: AnonymousTrade | TradesEnabledOnPairs | TradesDisabledOnPairs | TradingRules | Unknown
    ) -> bool:
        """Take notice of an update; false if it is about other pairs only.

        Raises:
            DecodeError: it contains impossible rules. Nothing has changed.
        """
        match update:
            case AnonymousTrade():
                if not self.keeps(update.trade_pair):
                    return False
                self.trades[update.trade_pair] = update
            case TradesEnabledOnPairs():
                return self._move(update.trade_pairs, self.disabled, self.enabled)
            case TradesDisabledOnPairs():
                return self._move(update.trade_pairs, self.enabled, self.disabled)
            case TradingRules():
                self._on_rules(update)
        return True

    def _move(self, trade_pairs: list[str], left: set[str], joined: set[str]) -> bool:
        pairs = {pair for pair in trade_pairs if self.keeps(pair)}
        joined |= pairs
        left -= pairs
        return bool(pairs) or not trade_pairs

    def _on_rules(self, rules: TradingRules) -> None:
        try:
            new = {
                each.trade_pair: Instrument.from_rules(each)
                for each in rules.instruments
                if self.keeps(each.trade_pair)
            }
        except ConfigurationError as error:
            raise DecodeError(f"impossible trading rules: {error}") from error
        # In place, because clients look at this dict for each order; and never empty meanwhile, because a synchronous
        # client looks from another thread.
        self.instruments.update(new)
        for pair in self.instruments.keys() - new.keys():
            del self.instruments[pair]

    def forget(self) -> None:
        """The connection was lost: forget what is only known to be true while connected."""
        self.enabled.clear()
        self.disabled.clear()
