"""The name of a trade pair: base and quote currency."""

from __future__ import annotations

from ..exceptions import ConfigurationError

__all__ = ["split_pair"]


def split_pair(trade_pair: object) -> tuple[str, str]:
    """The base and the quote currency of *trade_pair*.

    Raises:
        ConfigurationError: it does not name two currencies, like ``"BTC_USD"``.
    """
    base, _, quote = trade_pair.partition("_") if isinstance(trade_pair, str) else ("", "", "")
    if not base or not quote or "_" in quote or base == quote:
        raise ConfigurationError(f'trade pair {trade_pair!r:.60} must name two currencies, like "BTC_USD"')
    return base, quote
