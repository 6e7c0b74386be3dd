"""Opening a link: the network connection and the handshake, within a time, with one error for each failure."""

from __future__ import annotations

import asyncio

from ..transport import Listener, OpenOptions, open_within, opener
from .options import ConnectOptions

__all__ = ["open_link"]


async def open_link(options: ConnectOptions, listener: Listener, opened: asyncio.Future[None]) -> None:
    """Connect *listener* to the exchange, and wait until *opened* says that the handshake is complete.

    What a custom opener raises is raised as it is. If this fails or is cancelled, the caller closes the transport.

    Raises:
        OpenTimeout: it took longer than ``open_timeout``.
        ConnectError: the network connection failed.
        CryptoprotoError: what *opened* ended with.
    """
    open_options = OpenOptions(
        ssl=options.ssl, max_message_bytes=options.max_message_size, timeout=options.open_timeout
    )
    open_transport = opener(options.transport)
    await open_within(open_transport, options.url, listener, open_options, opened, "finish the handshake")
