"""HTTP servers within another program: uvicorn in its event loop, without touching its signal handlers.

Imported only by what needs uvicorn, which comes with extras.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

from ..exceptions import ConfigurationError
from ..extras import needs
from .bind_error import bind_error

with needs("an HTTP server", "server"):
    import uvicorn

__all__ = ["EmbeddedServer", "listening_socket"]


class EmbeddedServer(uvicorn.Server):
    """A server that is only a part of its process.

    Attributes:
        listening: set once it accepts connections.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening: asyncio.Event = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn."""
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the process."""
        yield


def listening_socket(host: str, port: int) -> socket.socket:
    """A socket that is bound to *host* and *port*, for :meth:`EmbeddedServer.serve`.

    Raises:
        ConfigurationError: the address cannot be listened on.
    """
    # Name the protocol: asyncio switches off Nagle's algorithm only on sockets that do.
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ConfigurationError(bind_error(error, host, port)) from error
    return listener
