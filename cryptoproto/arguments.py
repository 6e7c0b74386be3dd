"""Checks of arguments that several rooms share, so that bad arguments fail early and with the same words."""

from __future__ import annotations

import inspect
import ipaddress
import re
import ssl as ssl_module
from typing import Final
from urllib.parse import urlsplit

from .exceptions import ConfigurationError

__all__ = [
    "SMALLEST_LIMIT",
    "check_count",
    "check_http_url",
    "check_plain_function",
    "check_seconds",
    "check_tls",
    "check_url",
    "redacted",
]

SMALLEST_LIMIT: Final = 4096
"""The lower bound of max_message_size: twice what a handshake frame under the largest RSA key, 16,384 bits, needs."""

_CREDENTIALS: Final = re.compile(r"//[^/?#]*@")


def check_seconds(name: str, seconds: object) -> None:
    """Check a duration.

    Raises:
        ConfigurationError: it is not a number greater than zero.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0:
        raise ConfigurationError(f"{name}={seconds!r} must be a number of seconds, greater than zero")


def check_count(name: str, count: object, least: int) -> None:
    """Check a whole number.

    Raises:
        ConfigurationError: it is not an int of at least *least*.
    """
    if isinstance(count, bool) or not isinstance(count, int) or count < least:
        raise ConfigurationError(f"{name}={count!r} must be a whole number, {least} or more")


def check_plain_function(name: str, function: object) -> None:
    """Check a callback that is called from the event loop.

    Raises:
        ConfigurationError: it is not callable, or it is a coroutine function, whose result would never be awaited.
    """
    if not callable(function) or inspect.iscoroutinefunction(function):
        raise ConfigurationError(f"{name}={function!r} must be a plain function: it is called, and not awaited")


def check_tls(context: object, *, wanted: bool) -> None:
    """Check a TLS context; ``None`` is always valid.

    Raises:
        ConfigurationError: it is not an ``ssl.SSLContext``, or it would not be used because the address is ``ws://``.
    """
    if context is None:
        return
    if not isinstance(context, ssl_module.SSLContext):
        raise ConfigurationError(f"ssl must be an ssl.SSLContext, not {type(context).__name__}")
    if not wanted:
        raise ConfigurationError("ssl= is given, and the address is ws://, which does not use it; use wss://")


def check_url(url: str, *, insecure: bool = False) -> None:
    """Check the address of a WebSocket server.

    Raises:
        ConfigurationError: it is not a WebSocket address, or it is plain ``ws://`` to another machine and *insecure* is
            false.
    """
    if not isinstance(url, str):
        raise ConfigurationError(f"the address must be a str, not {type(url).__name__}")
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port  # raises if the port is invalid
        _ = (host or "").encode("idna")  # raises if the name cannot be looked up
    except ValueError as error:
        raise ConfigurationError(f"{redacted(url)!r} is not a valid address: {redacted(str(error))}") from None
    if parts.scheme not in ("ws", "wss") or not host:
        raise ConfigurationError(f"{redacted(url)!r} is not a WebSocket address; write it like wss://api.example.com")
    if parts.scheme == "ws" and not insecure and not _is_loopback(host):
        raise ConfigurationError(
            f"{redacted(url)} is not encrypted by TLS and {host} is not this machine; use wss://, "
            f"or pass insecure=True if the network is trusted"
        )


def check_http_url(url: str) -> None:
    """Check the address of an HTTP server.

    Raises:
        ConfigurationError: it is not a complete ``http://`` or ``https://`` address.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port  # raises if the port is invalid
        _ = (host or "").encode("idna")
    except ValueError as error:
        raise ConfigurationError(f"{redacted(url)!r} is not a valid address: {redacted(str(error))}") from None
    if parts.scheme not in ("http", "https") or not host or " " in url:
        raise ConfigurationError(f"{redacted(url)!r} is not an HTTP address; write it like http://localhost:8099/path")


def redacted(url: str) -> str:
    """*url* for logs and errors: a name and password in it are replaced by ``***``."""
    return _CREDENTIALS.sub("//***@", url)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
