"""Ladders and open quotes in few words, for the tests of quotes."""

from __future__ import annotations

from decimal import Decimal

from cryptoproto import Side
from cryptoproto.quotes.levels import Ladder
from cryptoproto.quotes.plan import Certainty, OpenQuote

__all__ = ["BUY", "SELL", "ladders", "open_quote"]

BUY, SELL = Side.BUY, Side.SELL


def ladders(bids: dict[str, str] | None = None, asks: dict[str, str] | None = None) -> dict[Side, Ladder]:
    """Amounts by price, best first."""
    sides: dict[Side, Ladder] = {}
    for side, levels in ((BUY, bids or {}), (SELL, asks or {})):
        prices = sorted(levels, key=Decimal, reverse=side is BUY)
        sides[side] = {Decimal(price): Decimal(levels[price]) for price in prices}
    return sides


def open_quote(
    key: int,
    side: Side,
    price: str,
    remaining: str,
    certainty: Certainty = Certainty.OPEN,
    counts: str | None = None,
) -> OpenQuote:
    return OpenQuote(key, side, Decimal(price), Decimal(remaining), Decimal(counts or remaining), certainty)
