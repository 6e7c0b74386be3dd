"""Opening a link: the network connection and the handshake, within a time, with one error for each failure."""

from __future__ import annotations

import asyncio

from ..arguments import redacted
from ..exceptions import ConnectError, CryptoprotoError, OpenTimeout
from ..transport import Listener, OpenOptions, opener
from .options import ConnectOptions

__all__ = ["open_link"]


async def open_link(options: ConnectOptions, listener: Listener, opened: asyncio.Future[None]) -> None:
    """Connect *listener* to the exchange, and wait until *opened* says that the handshake is complete.

    What a custom opener raises is raised as it is. If this fails or is cancelled, the caller closes the transport.

    Raises:
        OpenTimeout: it took longer than ``open_timeout``.
        ConnectionClosed: the network connection failed.
        CryptoprotoError: what *opened* ended with.
    """
    open_options = OpenOptions(
        ssl=options.ssl, max_message_bytes=options.max_message_size, timeout=options.open_timeout
    )
    try:
        async with asyncio.timeout(options.open_timeout):
            await opener(options.transport)(options.url, listener, open_options)
            await opened
    except TimeoutError:
        raise OpenTimeout(
            f"{redacted(options.url)} did not finish the handshake within {options.open_timeout:g} s"
        ) from None
    except CryptoprotoError:  # some of them are also an OSError
        raise
    except OSError as error:
        raise ConnectError(None, f"cannot connect to {redacted(options.url)}: {error.strerror or error}") from error
