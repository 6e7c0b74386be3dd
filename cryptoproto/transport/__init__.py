"""WebSocket links: the only room that touches a socket. It does not know what the messages contain.

Links use one of two libraries, ``websockets`` (always installed) or ``picows`` (extra ``fast``). Tests also use links
in memory. All have the same interface: see :class:`Transport` and :class:`Listener`.
"""

from __future__ import annotations

import asyncio
import importlib.util
import ssl as ssl_module
from typing import Literal, TypeAlias

from ..exceptions import ConfigurationError
from ..extras import missing_extra
from .base import Closed, Listener, ListenerFactory, OpenOptions, Transport, TransportOpener
from .heartbeat import Heartbeat
from .memory import MemoryLink, memory_opener, memory_pair
from .opening import open_within
from .sans_io import open_websockets, serve_websockets

__all__ = [
    "Closed",
    "Heartbeat",
    "Listener",
    "ListenerFactory",
    "MemoryLink",
    "OpenOptions",
    "Transport",
    "TransportKind",
    "TransportOpener",
    "memory_opener",
    "memory_pair",
    "open_within",
    "opener",
    "serve",
]

TransportKind: TypeAlias = Literal["auto", "websockets", "picows"]
"""The WebSocket library to use; ``"auto"`` is picows if it is installed."""


def _resolve(kind: str) -> str:
    if kind not in ("auto", "websockets", "picows"):
        raise ConfigurationError(f'transport={kind!r} is not known; choose "auto", "websockets" or "picows"')
    installed = importlib.util.find_spec("picows") is not None
    if kind == "picows" and not installed:
        raise missing_extra('transport="picows"', "picows", "fast")
    return kind if kind != "auto" else "picows" if installed else "websockets"


def opener(kind: TransportKind | TransportOpener) -> TransportOpener:
    """The opener for *kind*; ``"auto"`` is picows if it is installed.

    Raises:
        ConfigurationError: the kind is unknown, or its package is not installed.
    """
    if not isinstance(kind, str):
        return kind
    if _resolve(kind) == "websockets":
        return open_websockets
    from .picows import open_picows

    return open_picows


async def serve(
    make_listener: ListenerFactory,
    host: str,
    port: int,
    *,
    kind: TransportKind = "auto",
    ssl: ssl_module.SSLContext | None = None,
    max_message_bytes: int = 2**20,
    handshake_timeout: float = 10.0,
) -> asyncio.Server:
    """Accept links on *host* and *port*; *make_listener* is called for each link.

    Raises:
        ConfigurationError: the kind is unknown, or its package is not installed.
        OSError: the address cannot be listened on.
    """
    if _resolve(kind) == "websockets":
        start = serve_websockets
    else:
        from .picows import serve_picows

        start = serve_picows
    return await start(
        make_listener, host, port, ssl=ssl, max_message_bytes=max_message_bytes, handshake_timeout=handshake_timeout
    )
