"""Checks of the exchange's options, and why it cannot listen."""

from __future__ import annotations

import errno
import socket
from typing import Final

from ..arguments import check_count
from ..exceptions import ConfigurationError

__all__ = ["bind_error", "check_ports", "check_rate", "most_open_orders"]

_LAST_PORT: Final = 65_535
_ORDER_BYTES: Final = 192
"""The longest open order in a UserOrdersResponse: two amounts of 27 digits and two integers of 64 bits."""
_LIST_OVERHEAD: Final = 1024
"""The rest of such a response: frame, names of pairs, brackets."""


def check_rate(name: str, rate: object, of_what: str) -> None:
    """Check a number of *of_what* a second.

    Raises:
        ConfigurationError: it is not a number greater than zero.
    """
    if isinstance(rate, bool) or not isinstance(rate, int | float):
        raise ConfigurationError(f"{name}={rate!r} must be a number of {of_what} a second, or None")
    if not rate > 0:
        raise ConfigurationError(f"{name}={rate} must be greater than zero, or None")


def check_ports(port: object, market_data_port: object) -> None:
    """Check the two ports.

    Raises:
        ConfigurationError: one is not a port, or both are the same.
    """
    for name, number in (("port", port), ("market_data_port", market_data_port)):
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= _LAST_PORT:
            raise ConfigurationError(f"{name}={number!r} must be a port, 0 to {_LAST_PORT}, 0 for any free one")
    if port and port == market_data_port:
        raise ConfigurationError(f"port and market_data_port are both {port}; they are two sockets")


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


def bind_error(error: OSError) -> str:
    """Why an address cannot be listened on, and what to try."""
    if isinstance(error, socket.gaierror):
        return "this host name is not known; use an address of this machine, 127.0.0.1 or 0.0.0.0"
    if error.errno == errno.EADDRINUSE:
        return "another program uses this port; choose another one, or 0 for any free port"
    if error.errno == errno.EADDRNOTAVAIL:
        return "this machine does not have this address; use 127.0.0.1, or 0.0.0.0 for all of its addresses"
    if error.errno == errno.EACCES:
        return "permission denied; choose a port above 1023"
    return error.strerror or str(error)
