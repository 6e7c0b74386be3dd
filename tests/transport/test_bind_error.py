"""The words for an address that cannot be listened on."""

from __future__ import annotations

import errno
import socket

import pytest

from cryptoproto.transport.bind_error import bind_error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (socket.gaierror(-2, "Name or service not known"), "this host name is not known"),
        (OSError(errno.EADDRINUSE, "asyncio's words"), "another program uses this port"),
        (OSError(errno.EADDRNOTAVAIL, "asyncio's words"), "this machine does not have this address"),
        (OSError("could not bind on any address out of [('10.0.0.1', 80)]"), "this machine does not have this address"),
        (OSError(errno.EACCES, "asyncio's words"), "permission denied; choose a port above 1023"),
        (OSError(errno.EMFILE, "asyncio's words"), "Too many open files"),
        (OSError("something else"), "something else"),
    ],
)
def test_the_words(error: OSError, words: str) -> None:
    assert bind_error(error, "10.0.0.1", 80).startswith(f"cannot listen on 10.0.0.1 port 80: {words}")
