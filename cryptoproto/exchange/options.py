"""Checks of the exchange's options."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from ..arguments import SMALLEST_LIMIT, check_count, check_seconds
from ..exceptions import ConfigurationError
from ..instruments import Instrument, by_pair

__all__ = ["LinkOptions", "check_rate", "most_open_orders", "traded_instruments"]

_ORDER_BYTES: Final = 192
"""The longest open order in a UserOrdersResponse: two amounts of 27 digits and two integers of 64 bits."""
_LIST_OVERHEAD: Final = 1024
"""The rest of such a response: frame, names of pairs, brackets."""


@dataclass(frozen=True, slots=True)
class LinkOptions:
    """The options of each client's link.

    Args:
        rate_limit: messages and requests a second that a client may send, ``None`` = any number.
        stall_timeout: seconds after which a client is disconnected that does not read what is sent to it.
        max_message_size: largest frame in bytes.
        ping_interval: seconds between pings.
        ping_timeout: seconds of silence after which a client is disconnected.

    Raises:
        ConfigurationError: one of them cannot be used.
    """

    rate_limit: float | None
    stall_timeout: float
    max_message_size: int
    ping_interval: float
    ping_timeout: float

    def __post_init__(self) -> None:
        if self.rate_limit is not None:
            check_rate("rate_limit", self.rate_limit, "messages")
        check_seconds("ping_interval", self.ping_interval)
        check_seconds("ping_timeout", self.ping_timeout)
        check_seconds("stall_timeout", self.stall_timeout)
        check_count("max_message_size", self.max_message_size, SMALLEST_LIMIT)


def check_rate(name: str, rate: object, of_what: str) -> None:
    """Check a number of *of_what* a second.

    Raises:
        ConfigurationError: it is not a number greater than zero.
    """
    if isinstance(rate, bool) or not isinstance(rate, int | float):
        raise ConfigurationError(f"{name}={rate!r} must be a number of {of_what} a second, or None")
    if not rate > 0:
        raise ConfigurationError(f"{name}={rate} must be greater than zero, or None")


def most_open_orders(wanted: object, max_message_size: int) -> int:
    """How many open orders fit into one message of *max_message_size* bytes.

    Raises:
        ConfigurationError: *wanted* is not ``None``, and not a number of orders that fits.
    """
    most = (max_message_size - _LIST_OVERHEAD) // _ORDER_BYTES
    if wanted is not None:
        check_count("max_open_orders", wanted, 1)
        if isinstance(wanted, int) and wanted > most:
            raise ConfigurationError(
                f"max_open_orders={wanted}: the list of so many orders does not fit into a message of "
                f"max_message_size={max_message_size} bytes; the most is {most}"
            )
    return most


def traded_instruments(
    instruments: Iterable[Instrument] | Mapping[str, Instrument], trade_pairs: tuple[str, ...]
) -> tuple[Instrument, ...]:
    """The rules of traded pairs, in order of the pairs.

    Raises:
        ConfigurationError: an instrument is not an Instrument, is given twice, or its pair is not traded.
    """
    given = by_pair(instruments)
    for pair in given:
        if pair not in trade_pairs:
            raise ConfigurationError(
                f"instruments: {pair} is not traded here; name it in trade_pairs=, next to {', '.join(trade_pairs)}"
            )
    return tuple(given[pair] for pair in trade_pairs if pair in given)
