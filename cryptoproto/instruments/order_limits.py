"""Pre-trade limits: a trader's own limits, checked before an order is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Final, Literal, Protocol, TypeAlias

from ..arguments import check_count
from ..exceptions import ConfigurationError, OrderInvalid
from ..messages import DECIMALS, AmountLike
from .grid import EXACT, below, bounded, shown
from .mid_price import BookSource, mid_reader
from .trade_pair import split_pair

__all__ = ["LimitedOrder", "OrderLimits"]

_SMALLEST: Final = Decimal(1).scaleb(-DECIMALS)
_HUNDRED: Final = Decimal(100)
_PER_CENT: Final = Decimal("0.01")
_STALE: Final = ("refuse", "allow")


class LimitedOrder(Protocol):
    """What limits need to know of an order; :class:`~cryptoproto.Order` has it."""

    @property
    def trade_pair(self) -> str:
        """Base and quote currency."""

    @property
    def remaining(self) -> Decimal:
        """How much of it is not filled."""

    @property
    def price(self) -> Decimal:
        """Its limit."""


_ByName: TypeAlias = Mapping[str, Decimal] | Decimal | None


class OrderLimits:
    """Pre-trade limits of a client. Immutable; each is off by default.

    ::

        limits = cp.OrderLimits(max_value="20000", max_open_value={"USD": "100000"}, price_band="0.05", book=feed)
        client = cp.Client(url, client_id="alice", private_key=key, server_key=pub, limits=limits)

    Most limits take one value for all pairs or currencies, or a mapping for some of them; the others are then not
    limited. Values are in the quote currency. Nothing is converted between currencies.

    The open value is the sum of what is left of every order that has not ended, at its limit: buy and sell orders,
    orders that are being sent, and orders whose outcome is not known yet.

    Args:
        pairs: the only pairs that may be traded; ``None`` = all.
        max_amount: the largest amount of an order, by pair.
        max_value: the largest amount x price of an order, by pair.
        max_pair_open_value: the largest open value of a pair, the new order included, by pair.
        max_open_value: the largest open value of all pairs together, the new order included, by quote currency.
        max_orders_per_second: how many orders may be placed within one second. More are refused; the client's
            ``order_rate`` delays them instead.
        price_band: how far a price may be from the mid of the book, as a fraction of the mid, by pair: ``"0.05"`` for
            5 %.
        book: the books for *price_band*: a :class:`~cryptoproto.MarketData`, the :class:`~cryptoproto.OrderBook` of the
            only pair, or a function that takes a pair and returns its book or ``None``.
        when_stale: what happens to orders while the book is stale or missing, or has an empty side, so that there is no
            mid: ``"refuse"`` or ``"allow"``.

    Raises:
        ConfigurationError: a limit cannot be used, *price_band* and *book* are not given together, or a limit is for a
            pair or currency that *pairs* does not allow.
    """

    def __init__(
        self,
        *,
        pairs: Iterable[str] | None = None,
        max_amount: AmountLike | Mapping[str, AmountLike] | None = None,
        max_value: AmountLike | Mapping[str, AmountLike] | None = None,
        max_pair_open_value: AmountLike | Mapping[str, AmountLike] | None = None,
        max_open_value: AmountLike | Mapping[str, AmountLike] | None = None,
        max_orders_per_second: int | None = None,
        price_band: AmountLike | Mapping[str, AmountLike] | None = None,
        book: BookSource | None = None,
        when_stale: Literal["refuse", "allow"] = "refuse",
    ) -> None:
        if isinstance(pairs, str):
            raise ConfigurationError(f"pairs={pairs!r:.60} must be a list of pairs: write [{pairs!r:.60}]")
        self._pairs = None if pairs is None else tuple(pairs)
        for pair in self._pairs or ():
            split_pair(pair)
        self._max_amount = _limits("max_amount", max_amount, split_pair)
        self._max_value = _limits("max_value", max_value, split_pair)
        self._max_pair_open_value = _limits("max_pair_open_value", max_pair_open_value, split_pair)
        self._max_open_value = _limits("max_open_value", max_open_value, _check_currency)
        self._price_band = _limits("price_band", price_band, split_pair)
        self._check_pairs_of_limits()
        if max_orders_per_second is not None:
            check_count("max_orders_per_second", max_orders_per_second, 1)
        self._max_orders_per_second = max_orders_per_second
        if (price_band is None) is not (book is None):
            raise ConfigurationError("price_band= and book= belong together: the band is around the mid of the book")
        self._mid_of = None if book is None else mid_reader(book)
        if when_stale not in _STALE:
            raise ConfigurationError(f'when_stale={when_stale!r:.40} must be "refuse" or "allow"')
        self._when_stale = when_stale

    @property
    def max_orders_per_second(self) -> int | None:
        """How many orders may be placed within one second; ``None`` = any number."""
        return self._max_orders_per_second

    @property
    def limits_open_value(self) -> bool:
        """Whether a limit is about all open orders together."""
        return self._max_pair_open_value is not None or self._max_open_value is not None

    def _check_pairs_of_limits(self) -> None:
        """A limit for a name that cannot occur is a mistake in writing, and the pair that was meant has no limit."""
        if self._pairs is None:
            return
        quotes = {split_pair(pair)[1] for pair in self._pairs}
        for name, limit, possible in (
            ("max_amount", self._max_amount, self._pairs),
            ("max_value", self._max_value, self._pairs),
            ("max_pair_open_value", self._max_pair_open_value, self._pairs),
            ("max_open_value", self._max_open_value, quotes),
            ("price_band", self._price_band, self._pairs),
        ):
            for key in limit if isinstance(limit, Mapping) else ():
                if key not in possible:
                    raise ConfigurationError(
                        f"{name}[{key!r:.60}] limits nothing, because pairs={list(self._pairs)} does not allow it; "
                        f"correct the name, or add it to pairs"
                    )

    def check(self, order: LimitedOrder, open_orders: Iterable[LimitedOrder] = ()) -> None:
        """Check an order against all limits but the number of orders a second, which the client counts.

        Args:
            order: the new order.
            open_orders: the orders that have not ended, without the new one. Only used for the open value.

        Raises:
            OrderInvalid: a limit does not allow it; the text says which, and what to do.
        """
        pair = order.trade_pair
        if self._pairs is not None and pair not in self._pairs:
            raise OrderInvalid(
                f"trade_pair={pair!r:.60} is not one of the pairs= of the limits: {', '.join(self._pairs)}; "
                f"correct the name, or add it to them"
            )
        amount, price = order.remaining, order.price
        most = _limit_of(self._max_amount, pair)
        if most is not None and amount > most:
            raise OrderInvalid(
                f"amount={shown(amount)} of {pair} exceeds the limit max_amount={shown(most)}; "
                f"use {shown(most)} or less, or raise the limit"
            )
        value = EXACT.multiply(amount, price)
        most = _limit_of(self._max_value, pair)
        if most is not None and value > most:
            raise OrderInvalid(
                f"amount={shown(amount)} at price={shown(price)} of {pair} is worth {shown(value)}, which exceeds the "
                f"limit max_value={shown(most)}; {_smaller(most, price)}, or raise the limit"
            )
        if self.limits_open_value:
            self._check_open_value(order, value, open_orders)
        if self._mid_of is not None:
            self._check_band(pair, price, self._mid_of)

    def _check_open_value(self, order: LimitedOrder, value: Decimal, open_orders: Iterable[LimitedOrder]) -> None:
        quote = order.trade_pair.rpartition("_")[2]
        pair, suffix, fma = order.trade_pair, f"_{quote}", EXACT.fma
        of_pair = of_others = Decimal(0)
        for each in open_orders:
            if each.trade_pair == pair:
                of_pair = fma(each.remaining, each.price, of_pair)
            elif each.trade_pair.endswith(suffix):
                of_others = fma(each.remaining, each.price, of_others)
        in_all = EXACT.add(of_pair, of_others)
        for name, most, opened, where in (
            ("max_pair_open_value", _limit_of(self._max_pair_open_value, pair), of_pair, pair),
            ("max_open_value", _limit_of(self._max_open_value, quote), in_all, f"all pairs in {quote}"),
        ):
            if most is not None and EXACT.add(opened, value) > most:
                left = EXACT.subtract(most, opened)
                raise OrderInvalid(
                    f"the open orders of {where} are worth {shown(opened)} {quote}, and with this order of "
                    f"{shown(value)} {quote} they exceed the limit {name}={shown(most)}; "
                    f"{_smaller(left, order.price)}, cancel open orders, or raise the limit"
                )

    def _check_band(self, pair: str, price: Decimal, mid_of: Callable[[str], Decimal | str]) -> None:
        band = _limit_of(self._price_band, pair)
        if band is None:
            return
        mid = mid_of(pair)
        if isinstance(mid, str):
            if self._when_stale == "allow":
                return
            raise OrderInvalid(
                f"{mid}, so the limit price_band={shown(band)} cannot be checked; wait for the book, "
                f'or use when_stale="allow"'
            )
        width = EXACT.multiply(mid, band)
        lowest, highest = EXACT.subtract(mid, width), EXACT.add(mid, width)
        if not lowest <= price <= highest:
            away = EXACT.multiply(EXACT.divide(EXACT.subtract(price, mid).copy_abs(), mid), _HUNDRED)
            raise OrderInvalid(
                f"price={shown(price)} of {pair} is {shown(below(away, _PER_CENT))} % "
                f"{'above' if price > mid else 'below'} the mid of the book, {shown(mid)}, and the limit is "
                f"price_band={shown(band)}; use a price from {shown(lowest)} to {shown(highest)}, or raise the limit"
            )

    def __repr__(self) -> str:
        named = {
            "pairs": None if self._pairs is None else list(self._pairs),
            "max_amount": _as_text(self._max_amount),
            "max_value": _as_text(self._max_value),
            "max_pair_open_value": _as_text(self._max_pair_open_value),
            "max_open_value": _as_text(self._max_open_value),
            "max_orders_per_second": self._max_orders_per_second,
            "price_band": _as_text(self._price_band),
            "when_stale": self._when_stale if self._mid_of is not None else None,
        }
        return f"OrderLimits({', '.join(f'{name}={value!r}' for name, value in named.items() if value is not None)})"


def _limits(name: str, given: Any, check_key: Callable[[str], object]) -> _ByName:
    if given is None:
        return None
    if not isinstance(given, Mapping):
        return bounded(given, name, ConfigurationError)
    limits: dict[str, Decimal] = {}
    for key, value in given.items():
        check_key(key)
        limits[key] = bounded(value, f"{name}[{key!r}]", ConfigurationError)
    return limits


def _check_currency(name: object) -> None:
    if not isinstance(name, str) or not name or "_" in name:
        raise ConfigurationError(f'max_open_value: {name!r:.60} must be a currency, like "USD"')


def _limit_of(limits: _ByName, key: str) -> Decimal | None:
    return limits.get(key) if isinstance(limits, Mapping) else limits


def _as_text(limits: _ByName) -> object:
    if isinstance(limits, Mapping):
        return {key: shown(value) for key, value in limits.items()}
    return None if limits is None else shown(limits)


def _smaller(value: Decimal, price: Decimal) -> str:
    """What to do if an order at *price* may be worth *value* at most."""
    amount = EXACT.multiply(EXACT.divide_int(value, EXACT.multiply(price, _SMALLEST)), _SMALLEST)
    if amount <= 0:
        return "no amount is possible at this price"
    return f"use an amount of {shown(amount)} or less at this price"
