"""Decides what to send: from the wanted levels and what may be open, which orders to keep, to cancel and to place.

No I/O, no clock, no event loop. It is asked again after every answer, so fills and failures need no rules of their own:
each plan starts from what may be open at that moment.
"""

from __future__ import annotations

import enum
import itertools
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from ..instruments.grid import EXACT
from ..messages import Side
from .levels import Granularity, Ladder, QuoteLevel, crosses, total

__all__ = ["Certainty", "OpenQuote", "Plan", "limited", "make_plan"]

_ZERO: Final = Decimal(0)
_MAX_SUBSETS: Final = 1_000
"""How many choices of orders at one price are compared. There are more only with twelve orders at that price; then the
smallest orders are kept."""


class Certainty(enum.Enum):
    """What is known of an order that may be open."""

    OPEN = "open"
    """Open, as far as the events say. It can be kept or cancelled."""
    UNCERTAIN = "uncertain"
    """Sent, and not answered: it counts as open, and cannot be cancelled, because it has no order id yet."""
    CANCELLING = "cancelling"
    """A cancel was sent, and not answered: it counts as open, and cannot be kept."""


class OpenQuote(NamedTuple):
    """An order that may be open.

    Attributes:
        key: what identifies it for the caller.
        side: buy or sell.
        price: its limit.
        remaining: how much of it may still be filled.
        counts: how much of the wanted amount it stands for: more than *remaining* if its fills are not made up, and
            never more than is wanted if what remains fits.
        certainty: whether it is open, or only may be.
    """

    key: object
    side: Side
    price: Decimal
    remaining: Decimal
    counts: Decimal
    certainty: Certainty = Certainty.OPEN


class Plan(NamedTuple):
    """What to do.

    Attributes:
        keep: orders that are wanted as they are.
        cancel: orders to cancel; all of them can be sent at once.
        place: what can be placed at once, whatever the answers to everything else will be.
        waiting: what has to be placed when orders that are in the way are gone.
    """

    keep: list[OpenQuote]
    cancel: list[OpenQuote]
    place: list[QuoteLevel]
    waiting: list[QuoteLevel]


def make_plan(wanted: Mapping[Side, Ladder], open_quotes: Sequence[OpenQuote], granularity: Granularity) -> Plan:
    """The fewest messages that lead from *open_quotes* to *wanted*.

    Whatever the outcomes: what may be open at a price or on a side never grows beyond what is wanted there, and an
    order never meets another one of the same client.

    Args:
        wanted: how much is wanted, by side and price. The sides do not cross.
        open_quotes: every order that may be open, oldest first.
        granularity: how much may be missing at a price. An excess is never accepted.
    """
    plan = Plan([], [], [], [])
    missing: list[QuoteLevel] = []
    for side in Side:
        at_price: dict[Decimal, list[OpenQuote]] = defaultdict(list)
        for quote in open_quotes:
            if quote.side is side:
                at_price[quote.price].append(quote)
        levels = wanted[side]
        for price in [*levels, *(price for price in at_price if price not in levels)]:
            amount = _plan_price(price, levels.get(price, _ZERO), at_price[price], granularity, plan)
            if amount > _ZERO:
                missing.append(QuoteLevel(side, price, amount))
    _divide_by_safety(missing, wanted, open_quotes, plan)
    return plan


def _plan_price(
    price: Decimal, wanted: Decimal, quotes: list[OpenQuote], granularity: Granularity, plan: Plan
) -> Decimal:
    """Divide the orders at one price into those to keep and to cancel; returns how much has to be placed."""
    unanswered = total(quote.counts for quote in quotes if quote.certainty is Certainty.UNCERTAIN)
    room = EXACT.subtract(wanted, unanswered)
    candidates = [
        quote._replace(counts=max(quote.remaining, min(quote.counts, room)))
        for quote in quotes
        if quote.certainty is Certainty.OPEN
    ]
    kept = _choose(candidates, price, room, granularity)
    plan.keep.extend(kept)
    plan.cancel.extend(quote for quote in candidates if quote not in kept)
    missing = EXACT.subtract(room, total(quote.counts for quote in kept))
    return _ZERO if granularity.is_negligible(price, missing) else granularity.instrument.round_amount(missing)


def _choose(quotes: list[OpenQuote], price: Decimal, room: Decimal, granularity: Granularity) -> Sequence[OpenQuote]:
    """The orders to keep: as many as fit into *room*, if possible so that nothing has to be placed beside them.

    A cancel that this saves is one message, and so is what it costs to place the difference. So no smaller choice needs
    fewer messages.
    """
    count, filled = 0, _ZERO
    smallest = sorted(quotes, key=lambda quote: quote.counts)
    for quote in smallest:
        filled = EXACT.add(filled, quote.counts)
        if filled > room:
            break
        count += 1
    if math.comb(len(quotes), count) > _MAX_SUBSETS:
        return smallest[:count]
    fitting: list[Sequence[OpenQuote]] = []
    for choice in itertools.combinations(quotes, count):  # older orders first: they are served first at their price
        left = EXACT.subtract(room, total(quote.counts for quote in choice))
        if left >= _ZERO:
            if granularity.is_negligible(price, left):
                return choice
            fitting.append(choice)
    return fitting[0] if fitting else ()


def _divide_by_safety(
    missing: list[QuoteLevel], wanted: Mapping[Side, Ladder], open_quotes: Sequence[OpenQuote], plan: Plan
) -> None:
    """Divide what is missing into what can be placed at once and what has to wait."""
    exposed = {side: total(quote.remaining for quote in open_quotes if quote.side is side) for side in Side}
    limits = {side: total(wanted[side].values()) for side in Side}
    for level in missing:
        side, price, amount = level.side, level.price, level.amount
        there = total(quote.remaining for quote in open_quotes if quote.side is side and quote.price == price)
        exceeds = EXACT.add(there, amount) > wanted[side][price] or EXACT.add(exposed[side], amount) > limits[side]
        if exceeds or any(quote.side is not side and crosses(side, price, quote.price) for quote in open_quotes):
            plan.waiting.append(level)
        else:
            exposed[side] = EXACT.add(exposed[side], amount)
            plan.place.append(level)


def limited(levels: Ladder, room: Decimal | None, granularity: Granularity) -> Ladder:
    """*levels*, best first, up to a total of *room*; ``None`` = no limit. The level that is cut is rounded down."""
    if room is None:
        return levels
    kept: Ladder = {}
    for price, amount in levels.items():
        if amount > room:
            amount = granularity.instrument.round_amount(max(room, _ZERO))
        if amount <= _ZERO:
            break
        kept[price] = amount
        room = EXACT.subtract(room, amount)
    return kept
