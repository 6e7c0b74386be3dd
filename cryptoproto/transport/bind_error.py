"""Why an address cannot be listened on, in words that say what to try."""

from __future__ import annotations

import errno
import os
import socket

__all__ = ["bind_error"]


def bind_error(error: OSError, host: str, port: int) -> str:
    """A sentence for the *error* of listening on *host* and *port*."""
    return f"cannot listen on {host} port {port}: {_reason(error)}"


def _reason(error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return "this host name is not known; use an address of this machine, 127.0.0.1 or 0.0.0.0"
    if error.errno == errno.EADDRINUSE:
        return "another program uses this port; choose another one, or 0 for any free port"
    # aiofastnet leaves out the number if it has tried all addresses of the host
    if error.errno == errno.EADDRNOTAVAIL or "could not bind on any address" in str(error):
        return "this machine does not have this address; use 127.0.0.1, or 0.0.0.0 for all of its addresses"
    if error.errno == errno.EACCES:
        return "permission denied; choose a port above 1023"
    return os.strerror(error.errno) if error.errno else str(error)
