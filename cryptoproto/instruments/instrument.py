"""The rules of a trade pair: which prices and amounts are valid, and the nearest valid ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Self

import msgspec

from ..exceptions import ConfigurationError, OrderInvalid
from ..messages import DECIMALS, AmountLike, InstrumentRules, Side, TimeInForce, plain, to_side, to_time_in_force
from .grid import EXACT, above, below, bounded, is_multiple, shown, steps
from .trade_pair import split_pair

__all__ = ["Instrument", "by_pair"]

_SMALLEST: Final = Decimal(1).scaleb(-DECIMALS)
_FIELDS: Final = ("tick_size", "lot_size", "min_amount", "max_amount", "min_value", "max_value")


@dataclass(frozen=True, slots=True, init=False, repr=False)
class Instrument:
    """The rules of a trade pair. Immutable and hashable; everything is exact.

    ::

        instrument = cp.Instrument("BTC_USD", tick_size="0.01", lot_size="0.0001", min_amount="0.001", min_value="10")
        price = instrument.round_price("100.037", "buy")     # Decimal("100.03")
        amount = instrument.round_amount("0.12345")          # Decimal("0.1234")

    Amounts may be Decimals, strings or ints. Floats are rejected: 0.1 has no exact binary form.

    Args:
        trade_pair: base and quote currency, ``"BTC_USD"``.
        tick_size: prices are multiples of it.
        lot_size: amounts are multiples of it.
        min_amount: the smallest amount; one lot by default.
        min_value: the smallest amount x price, in the quote currency.
        max_amount: the largest amount; ``None`` = no limit.
        max_value: the largest amount x price; ``None`` = no limit.

    Raises:
        ConfigurationError: a value is not a decimal number greater than zero, has more than eight decimals, or
            contradicts another one.
    """

    trade_pair: str
    tick_size: Decimal
    lot_size: Decimal
    min_amount: Decimal
    min_value: Decimal
    max_amount: Decimal | None
    max_value: Decimal | None

    def __init__(
        self,
        trade_pair: str,
        *,
        tick_size: AmountLike = _SMALLEST,
        lot_size: AmountLike = _SMALLEST,
        min_amount: AmountLike | None = None,
        min_value: AmountLike = _SMALLEST,
        max_amount: AmountLike | None = None,
        max_value: AmountLike | None = None,
    ) -> None:
        split_pair(trade_pair)
        lot = _rule(trade_pair, "lot_size", lot_size)
        least = lot if min_amount is None else _rule(trade_pair, "min_amount", min_amount)
        values = {
            "trade_pair": trade_pair,
            "tick_size": _rule(trade_pair, "tick_size", tick_size),
            "lot_size": lot,
            "min_amount": least,
            "min_value": _rule(trade_pair, "min_value", min_value),
            "max_amount": None if max_amount is None else _rule(trade_pair, "max_amount", max_amount),
            "max_value": None if max_value is None else _rule(trade_pair, "max_value", max_value),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)
        self._check_consistency()

    def _check_consistency(self) -> None:
        least = above(self.min_amount, self.lot_size)
        if self.max_amount is not None and self.max_amount < least:
            raise ConfigurationError(
                f"{self.trade_pair}: no amount is valid: the smallest multiple of lot_size={shown(self.lot_size)} from "
                f"min_amount={shown(self.min_amount)} on is {shown(least)}, and max_amount={shown(self.max_amount)}"
            )
        if self.max_value is not None and self.max_value < self.min_value:
            raise ConfigurationError(
                f"{self.trade_pair}: max_value={shown(self.max_value)} is less than min_value={shown(self.min_value)}"
            )

    # Rounding

    def round_price(self, price: AmountLike, side: Side | str) -> Decimal:
        """The nearest valid price that is not worse: a bid is rounded down, an ask up.

        Raises:
            OrderInvalid: *price* is not a decimal number greater than zero, or a bid is below the first tick.
        """
        number = bounded(price, "price")
        if to_side(side) is Side.SELL:
            return above(number, self.tick_size)
        rounded = below(number, self.tick_size)
        if not rounded:
            raise OrderInvalid(
                f"price={shown(number)} of {self.trade_pair} cannot be rounded down: "
                f"the lowest price is the tick size, {shown(self.tick_size)}"
            )
        return rounded

    def round_amount(self, amount: AmountLike) -> Decimal:
        """*amount* rounded down to whole lots: zero if it is less than one lot.

        The result may be less than :attr:`min_amount`, and is not limited to :attr:`max_amount`.

        Raises:
            OrderInvalid: *amount* is not a decimal number of zero or more.
        """
        return below(bounded(amount, "amount", zero=True), self.lot_size)

    def price_steps(self, start: AmountLike, end: AmountLike) -> int:
        """How many ticks *end* is above *start*; negative if it is below.

        Raises:
            OrderInvalid: one of them is not a valid price; :meth:`round_price` makes it one.
        """
        return steps(EXACT.subtract(self._valid_price(end), self._valid_price(start)), self.tick_size)

    def move_price(self, price: AmountLike, ticks: int) -> Decimal:
        """The price that is *ticks* above *price*, or below it if negative; see :meth:`price_steps`.

        Raises:
            OrderInvalid: *price* is not a valid price, or the result is not greater than zero.
        """
        if not isinstance(ticks, int):
            raise OrderInvalid(f"ticks={ticks!r:.40} must be a whole number, not {type(ticks).__name__}")
        start = self._valid_price(price)
        return bounded(EXACT.fma(self.tick_size, ticks, start), f"the price {ticks} ticks from {shown(start)}: price")

    # Checking

    def check(
        self,
        side: Side | str,
        amount: AmountLike,
        price: AmountLike,
        *,
        time_in_force: TimeInForce | str = TimeInForce.GTC,
    ) -> None:
        """Check an order. A FoK or IoC sell order trades at its limit or above, so its value has no minimum.

        Raises:
            OrderInvalid: a rule is violated; the text names the nearest valid values.
        """
        buys, rests = to_side(side) is Side.BUY, to_time_in_force(time_in_force) is TimeInForce.GTC
        limit = self._valid_price(price)
        number = bounded(amount, "amount")
        if not is_multiple(number, self.lot_size):
            raise OrderInvalid(
                f"amount={shown(number)} is not a multiple of the lot size {shown(self.lot_size)} of "
                f"{self.trade_pair}; {_nearest(number, self.lot_size)}"
            )
        if number < self.min_amount:
            raise OrderInvalid(
                f"amount={shown(number)} is less than the minimum of {self.trade_pair}, {shown(self.min_amount)}; "
                f"use {shown(above(self.min_amount, self.lot_size))} or more"
            )
        if self.max_amount is not None and number > self.max_amount:
            raise OrderInvalid(
                f"amount={shown(number)} is more than the maximum of {self.trade_pair}, {shown(self.max_amount)}; "
                f"use {shown(below(self.max_amount, self.lot_size))} or less"
            )
        self._check_value(number, limit, has_minimum=buys or rests)

    def _check_value(self, amount: Decimal, price: Decimal, *, has_minimum: bool) -> None:
        value = EXACT.multiply(amount, price)
        if has_minimum and value < self.min_value:
            bound, words, more = self.min_value, "less than the minimum", "more"
        elif self.max_value is not None and value > self.max_value:
            bound, words, more = self.max_value, "more than the maximum", "less"
        else:
            return
        lot = EXACT.multiply(self.lot_size, price)  # what one lot is worth
        lots = steps(above(bound, lot) if more == "more" else below(bound, lot), lot)
        nearest = EXACT.multiply(self.lot_size, lots)
        if nearest < self.min_amount or (self.max_amount is not None and nearest > self.max_amount):
            other = "higher" if more == "more" else "lower"
            use = f"no valid amount is worth {more} at this price; use a {other} price"
        else:
            use = f"at this price, use an amount of {shown(nearest)} or {more}"
        _, quote = split_pair(self.trade_pair)
        raise OrderInvalid(
            f"amount={shown(amount)} at price={shown(price)} is worth {shown(value)} {quote}, {words} of "
            f"{self.trade_pair}, {shown(bound)} {quote}; {use}"
        )

    def _valid_price(self, price: AmountLike) -> Decimal:
        number = bounded(price, "price")
        if not is_multiple(number, self.tick_size):
            raise OrderInvalid(
                f"price={shown(number)} is not a multiple of the tick size {shown(self.tick_size)} of "
                f"{self.trade_pair}; {_nearest(number, self.tick_size)}"
            )
        return number

    # As data

    def as_dict(self) -> dict[str, Any]:
        """The rules as plain values, amounts as strings of plain digits."""
        values = {name: getattr(self, name) for name in _FIELDS}
        return {"trade_pair": self.trade_pair} | {
            name: None if value is None else plain(value) for name, value in values.items()
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The instrument that :meth:`as_dict` describes, or a table of a configuration file.

        Raises:
            ConfigurationError: a key is unknown or missing, or a value cannot be used.
        """
        if not isinstance(values, Mapping):
            raise ConfigurationError(f"an instrument must be a mapping of its rules, not {type(values).__name__}")
        if "trade_pair" not in values:
            raise ConfigurationError(f'an instrument needs a trade_pair, like "BTC_USD"; given are {_listed(values)}')
        unknown = [key for key in values if key != "trade_pair" and key not in _FIELDS]
        if unknown:
            raise ConfigurationError(
                f"instrument {values['trade_pair']!r:.60}: unknown {_listed(unknown)}; it can have {_listed(_FIELDS)}"
            )
        return cls(**values)

    @classmethod
    def from_rules(cls, rules: InstrumentRules) -> Self:
        """The instrument with the rules in a message.

        Raises:
            ConfigurationError: a rule cannot be used.
        """
        return cls.from_dict(msgspec.structs.asdict(rules))

    def to_rules(self) -> InstrumentRules:
        """The rules as they are sent in :class:`~cryptoproto.TradingRules`."""
        return InstrumentRules(self.trade_pair, **{name: getattr(self, name) for name in _FIELDS})

    def __repr__(self) -> str:
        rules = [f"{name}={value!r}" for name, value in self.as_dict().items() if name in _FIELDS and value is not None]
        return f"Instrument({self.trade_pair!r}, {', '.join(rules)})"


def by_pair(instruments: Iterable[object] | Mapping[str, object] | None) -> dict[str, Instrument]:
    """*instruments* by pair: the argument of that name of clients and exchanges.

    Raises:
        ConfigurationError: one of them is not an Instrument, a pair is given twice, or a mapping has it under another
            name.
    """
    found: dict[str, Instrument] = {}
    if isinstance(instruments, str | Instrument):
        given = type(instruments).__name__
        raise ConfigurationError(f"instruments must be a list of Instrument objects, not a single {given}")
    for each in instruments.values() if isinstance(instruments, Mapping) else instruments or ():
        if not isinstance(each, Instrument):
            raise ConfigurationError(
                f"instruments must be a list of Instrument objects, and {each!r:.60} is a {type(each).__name__}"
            )
        if each.trade_pair in found:
            raise ConfigurationError(f"instruments: {each.trade_pair} is given twice")
        found[each.trade_pair] = each
    if isinstance(instruments, Mapping) and found.keys() != instruments.keys():
        raise ConfigurationError(
            f"instruments: the keys must be the pairs, {_listed(found)}, and they are {_listed(instruments)}"
        )
    return found


def _rule(trade_pair: str, name: str, value: AmountLike) -> Decimal:
    """*value* with as many decimals as it needs, so that rounded prices have as many as the tick size."""
    where = f"{trade_pair}: {name}"
    number = bounded(value, where, ConfigurationError)
    if not is_multiple(number, _SMALLEST):
        raise ConfigurationError(
            f"{where}={shown(number)} has more than {DECIMALS} decimals; prices and amounts have up to {DECIMALS}"
        )
    text = plain(number)
    return Decimal(text.rstrip("0").rstrip(".") if "." in text else text)


def _nearest(value: Decimal, step: Decimal) -> str:
    lower, upper = below(value, step), above(value, step)
    return f"the nearest valid values are {shown(lower)} and {shown(upper)}" if lower else f"use {shown(upper)} or more"


def _listed(names: Any) -> str:
    return ", ".join(f"{name!s:.40}" for name in names) or "none"
