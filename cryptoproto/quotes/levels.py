"""The wanted levels: as users write them, checked, and rounded to what the exchange accepts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final, NamedTuple, TypeAlias

import msgspec

from ..exceptions import OrderInvalid
from ..instruments import Instrument
from ..instruments.grid import EXACT
from ..messages import AmountLike, AsDict, Side, exact, plain

__all__ = ["Granularity", "Ladder", "QuoteLevel", "Wanted", "crosses", "read_levels", "total"]

_ZERO: Final = Decimal(0)

Ladder: TypeAlias = dict[Decimal, Decimal]
"""Amounts by price, the best price first."""


class QuoteLevel(AsDict, msgspec.Struct, frozen=True):
    """One wanted level, or the part of it that is missing.

    Attributes:
        side: buy for a bid, sell for an ask.
        price: the limit, in the quote currency.
        amount: how much of the base currency.
    """

    side: Side
    price: Decimal
    amount: Decimal


class Granularity(NamedTuple):
    """How exactly wanted and open amounts have to agree.

    Attributes:
        instrument: the rules of the pair; a difference that cannot be placed stays.
        tolerance: so much may be missing at a price.
    """

    instrument: Instrument
    tolerance: Decimal = _ZERO

    def is_negligible(self, price: Decimal, missing: Decimal) -> bool:
        """Whether *missing* is not made up at *price*."""
        rules = self.instrument
        return (
            missing <= self.tolerance or missing < rules.min_amount or EXACT.multiply(missing, price) < rules.min_value
        )


class Wanted(msgspec.Struct, frozen=True):
    """What a call of :meth:`~cryptoproto.Quotes.update` asks for.

    Attributes:
        sides: amounts by price, for each side.
        refused: levels that can never be placed, and why.
    """

    sides: dict[Side, Ladder]
    refused: list[tuple[QuoteLevel, OrderInvalid]]

    @classmethod
    def nothing(cls) -> Wanted:
        """No levels."""
        return cls({side: {} for side in Side}, [])


def total(amounts: Iterable[Decimal]) -> Decimal:
    """The exact sum."""
    result = _ZERO
    for amount in amounts:
        result = EXACT.add(result, amount)
    return result


def crosses(side: Side, price: Decimal, other: Decimal) -> bool:
    """Whether an order of *side* at *price* would trade with one of the opposite side at *other*."""
    return price >= other if side is Side.BUY else price <= other


def read_levels(
    bids: Iterable[tuple[AmountLike, AmountLike]],
    asks: Iterable[tuple[AmountLike, AmountLike]],
    instrument: Instrument,
) -> Wanted:
    """The levels that a user has written as ``(price, amount)``. Levels that come to lie at one price are added up.

    Args:
        bids: what to buy.
        asks: what to sell.
        instrument: rounds a bid down, an ask up and an amount down.

    Raises:
        OrderInvalid: a price or an amount is not a decimal number greater than zero, or a bid is as high as an ask.
    """
    wanted = Wanted.nothing()
    for side, levels in ((Side.BUY, bids), (Side.SELL, asks)):
        ladder: Ladder = {}
        for level in levels:
            price, amount = _read_level(side, level)
            try:
                price = _unless_equal(instrument.round_price(price, side), price)
                amount = _unless_equal(instrument.round_amount(amount), amount)
            except OrderInvalid as error:
                wanted.refused.append((QuoteLevel(side, price, amount), error))
                continue
            ladder[price] = EXACT.add(ladder.get(price, _ZERO), amount)
        for price in sorted(ladder, reverse=side is Side.BUY):
            try:
                instrument.check(side, ladder[price], price)
            except OrderInvalid as error:
                wanted.refused.append((QuoteLevel(side, price, ladder[price]), error))
            else:
                wanted.sides[side][price] = ladder[price]
    bid, ask = (next(iter(wanted.sides[side]), None) for side in Side)
    if bid is not None and ask is not None and bid >= ask:
        raise OrderInvalid(
            f"the bid at {plain(bid)} would trade with the ask at {plain(ask)}; every bid must be lower than every ask"
        )
    return wanted


def _read_level(side: Side, level: object) -> tuple[Decimal, Decimal]:
    name = "bid" if side is Side.BUY else "ask"
    if not isinstance(level, Sequence) or isinstance(level, str | bytes) or len(level) != 2:
        raise OrderInvalid(f'{name} {level!r:.80} must be a pair of price and amount, like ("15000", "0.1")')
    price, amount = level
    return exact(price, "price", OrderInvalid), exact(amount, "amount", OrderInvalid)


def _unless_equal(rounded: Decimal, given: Decimal) -> Decimal:
    """*rounded*, or *given* with as many zeroes as it was written with."""
    return given if rounded == given else rounded
