"""Checks of an order before it is sent: the rules of its pair, and the client's own limits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from time import monotonic
from types import MappingProxyType
from typing import Self

from ..exceptions import ConfigurationError
from ..instruments import Instrument, OrderLimits, OrderRate, by_pair
from ..messages import TimeInForce
from .account import Order, OrderTable

__all__ = ["OrderChecks"]


class OrderChecks:
    """What a client asks before it sends an order. A refused order costs nothing: it gets no sequence.

    Args:
        instruments: the rules of pairs; orders for other pairs are not checked against any. A mapping is read anew for
            each order.
        limits: pre-trade limits.
        orders: all orders of the client.
        time: a monotonic clock in seconds.

    Attributes:
        instruments: the rules by pair.

    Raises:
        ConfigurationError: an argument has the wrong type, or a pair is given twice.
    """

    def __init__(
        self,
        instruments: Iterable[Instrument] | Mapping[str, Instrument] | None,
        limits: OrderLimits | None,
        orders: OrderTable,
        *,
        time: Callable[[], float] = monotonic,
    ) -> None:
        found = by_pair(instruments)
        self.instruments: Mapping[str, Instrument] = MappingProxyType(
            instruments if isinstance(instruments, Mapping) else found
        )
        if limits is not None and not isinstance(limits, OrderLimits):
            raise ConfigurationError(f"limits must be an OrderLimits, not {type(limits).__name__}")
        self._limits = limits
        self._rate = OrderRate(None if limits is None else limits.max_orders_per_second)
        self._orders = orders
        self._time = time
        self._being_placed: dict[Order, None] = {}

    @classmethod
    def of(
        cls,
        instruments: Iterable[Instrument] | Mapping[str, Instrument] | None,
        limits: OrderLimits | None,
        orders: OrderTable,
    ) -> Self | None:
        """The checks of a client; ``None`` if it has neither instruments, nor a mapping of them, nor limits.

        Raises:
            ConfigurationError: as the constructor.
        """
        checks = cls(instruments, limits, orders)
        is_needed = checks.instruments or isinstance(instruments, Mapping) or limits is not None
        return checks if is_needed else None

    @contextmanager
    def admit(self, order: Order, *, instead_of: Order | None = None) -> Iterator[None]:
        """Check *order*, and count it as open for as long as it is being placed.

        An order is not in the table before it is sent, and it may have to wait for that. Two orders that wait at the
        same time must not use the same part of a limit.

        Args:
            order: about to be sent.
            instead_of: an open order that ends before *order* is placed, so that limits do not count both.

        Raises:
            OrderInvalid: a rule or a limit does not allow it.
        """
        self.check(order, instead_of=instead_of)
        if self._limits is not None:
            self._rate.count(self._time())
        with self.hold(order):
            yield

    def check(self, order: Order, *, instead_of: Order | None = None) -> None:
        """As :meth:`admit`, without counting *order*: for one that will be placed later, and is checked again then.

        Raises:
            OrderInvalid: a rule or a limit does not allow it now.
        """
        self.check_rules(order)
        if self._limits is not None:
            self._limits.check(order, (each for each in self._unfinished() if each is not instead_of))

    @contextmanager
    def hold(self, order: Order) -> Iterator[None]:
        """Count *order* as open for as long as it is being placed."""
        self._being_placed[order] = None
        try:
            yield
        finally:
            del self._being_placed[order]

    def check_rules(self, order: Order) -> None:
        """Check *order* against the rules of its pair alone.

        Raises:
            OrderInvalid: a rule does not allow it.
        """
        instrument = self.instruments.get(order.trade_pair)
        if instrument is not None:
            time_in_force = order.time_in_force or TimeInForce.GTC
            instrument.check(order.side, order.amount, order.price, time_in_force=time_in_force)

    def _unfinished(self) -> Iterable[Order]:
        """Each order that has not ended, once. Lazy, because most limits need none of them."""
        sent = self._orders.unfinished
        yield from sent
        yield from (order for order in self._being_placed if not order.is_closed and order not in sent)
