"""Checks of arguments that several rooms share, so that bad ones fail early and in the same words."""

from __future__ import annotations

import inspect
import ipaddress
import ssl as ssl_module
from typing import Final
from urllib.parse import urlsplit

from .exceptions import ConfigurationError

__all__ = ["SMALLEST_LIMIT", "check_count", "check_plain_function", "check_seconds", "check_tls", "check_url"]

SMALLEST_LIMIT: Final = 4096
"""What max_message_size may not go below: the handshake's frames under the largest RSA key, 16,384 bits, fit twice."""


def check_seconds(name: str, seconds: object) -> None:
    """Refuse what is no time to wait for.

    Raises:
        ConfigurationError: it is no number greater than zero.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0:
        raise ConfigurationError(f"{name}={seconds!r} must be a number of seconds, greater than zero")


def check_count(name: str, count: object, least: int) -> None:
    """Refuse what is no whole number of at least *least*.

    Raises:
        ConfigurationError: it is not.
    """
    if isinstance(count, bool) or not isinstance(count, int) or count < least:
        raise ConfigurationError(f"{name}={count!r} must be a whole number, {least} or more")


def check_plain_function(name: str, function: object) -> None:
    """Refuse what cannot be called from the event loop.

    Raises:
        ConfigurationError: it is no callable, or a coroutine function, whose result would never be awaited.
    """
    if not callable(function) or inspect.iscoroutinefunction(function):
        raise ConfigurationError(f"{name}={function!r} must be a plain function: it is called, and not awaited")


def check_tls(context: object, *, wanted: bool) -> None:
    """Refuse a TLS context that is none, or that would not be used.

    Raises:
        ConfigurationError: it is of another type, or the address is plain ``ws://``.
    """
    if context is None:
        return
    if not isinstance(context, ssl_module.SSLContext):
        raise ConfigurationError(f"ssl must be an ssl.SSLContext, not {type(context).__name__}")
    if not wanted:
        raise ConfigurationError("ssl= is given, and the address is ws://, which does not use it; use wss://")


def check_url(url: str, *, insecure: bool = False) -> None:
    """Refuse a *url* that cannot be used, or that would send everything in the open.

    Raises:
        ConfigurationError: it is no WebSocket address, or plain ``ws://`` to another machine without *insecure*.
    """
    if not isinstance(url, str):
        raise ConfigurationError(f"the address must be a str, not {type(url).__name__}")
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port  # raises where it is no port
        _ = (host or "").encode("idna")  # raises where the name could not be looked up
    except ValueError as error:
        raise ConfigurationError(f"{url!r} is no usable address: {error}") from None
    if parts.scheme not in ("ws", "wss") or not host:
        raise ConfigurationError(f"{url!r} is no WebSocket address; write it like wss://api.example.com")
    if parts.scheme == "ws" and not insecure and not _is_loopback(host):
        raise ConfigurationError(
            f"{url} is not encrypted by TLS and {host} is not this machine; use wss://, "
            f"or pass insecure=True if the network itself is trusted"
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
