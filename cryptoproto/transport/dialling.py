"""TCP connections to the first address of a host that answers."""

from __future__ import annotations

import asyncio
import socket

__all__ = ["connected_socket"]


async def connected_socket(host: str, port: int) -> socket.socket:
    """A socket that is connected to *host*. Cancelling leaves nothing behind.

    Raises:
        OSError: none of the addresses answered; the error of the last one.
    """
    loop = asyncio.get_running_loop()
    failure: OSError = OSError(f"{host} has no address")
    for family, kind, protocol, _, address in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        made = socket.socket(family, kind, protocol)
        try:
            made.setblocking(False)
            await loop.sock_connect(made, address)
        except OSError as error:
            made.close()
            failure = error
        except asyncio.CancelledError:
            made.close()
            raise
        else:
            return made
    raise failure
