"""Opening a link within a time, with one error for each failure, which names the likely cause."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from typing import Final
from urllib.parse import urlsplit

from ..arguments import redacted
from ..exceptions import ConnectError, CryptoprotoError, HandshakeError, OpenTimeout
from .base import Listener, OpenOptions, TransportOpener

__all__ = ["open_within", "upgrade_refused"]

_TLS_OF_ANOTHER: Final = frozenset(
    {"WRONG_VERSION_NUMBER", "UNEXPECTED_MESSAGE", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"}
)
"""What OpenSSL calls an answer that is not TLS; which of them depends on its first bytes and on the version."""
_UNTRUSTED: Final = (
    "; to trust a certificate that is not signed by a known authority, pass ssl= or set SSL_CERT_FILE to its file"
)
_BAD_CERTIFICATE: Final = (
    ("mismatch", "; the certificate is for another name: use a name or address that it is for, or get one for this"),
    ("expired", "; the other end has to renew its certificate, or the clock of this machine is wrong"),
    ("not yet valid", "; the certificate is not valid yet, or the clock of this machine is wrong"),
    ("", _UNTRUSTED),
)
"""What to do, by a word of OpenSSL's text: the libraries agree on these words, and not all of them give the code."""
_BAD_REQUEST: Final = 400  # nginx and others answer so if a TLS port receives plain HTTP


async def open_within(
    open_transport: TransportOpener,
    url: str,
    listener: Listener,
    options: OpenOptions,
    ready: asyncio.Future[None],
    what: str,
    advice: str = "",
) -> None:
    """Open a link to *url*, and wait until *ready* is done.

    What a custom opener raises is raised as it is. If this fails or is cancelled, the caller closes the transport.

    Args:
        open_transport: opens the link.
        url: the address.
        listener: receives what happens on the link.
        options: how to open it; their ``timeout`` covers everything.
        ready: becomes done when the peer has done *what*.
        what: such as "finish the handshake", for the error.
        advice: what to check if the link was opened, but *ready* did not become done in time.

    Raises:
        OpenTimeout: it took too long.
        ConnectError: the network connection failed.
        CryptoprotoError: the WebSocket was refused, or what *ready* ended with.
    """
    opened = False
    try:
        async with asyncio.timeout(options.timeout):
            await open_transport(url, listener, options)
            opened = True
            await ready
    except TimeoutError:
        hint = advice and f"; {advice}" if opened else _without_tls(url)
        raise OpenTimeout(f"{redacted(url)} did not {what} within {options.timeout:g} s{hint}") from None
    except CryptoprotoError:  # some of them are also an OSError
        raise
    except OSError as error:
        not_tls = isinstance(error, ConnectionResetError) or (
            isinstance(error, ssl.SSLError) and getattr(error, "reason", None) in _TLS_OF_ANOTHER
        )
        hint = _without_tls(url) if not_tls else _advice(error)
        if isinstance(error, ssl.SSLCertVerificationError):
            hint = next(advice for word, advice in _BAD_CERTIFICATE if word in str(error).lower())
        raise ConnectError(None, f"cannot connect to {redacted(url)}: {_words(error)}{hint}") from error


def upgrade_refused(status: int | None, cause: object, *, secure: bool) -> HandshakeError:
    """The error if a server does not answer the request for a WebSocket with one.

    Args:
        status: the HTTP status of its answer, ``None`` if there was no such answer.
        cause: what happened, if there was no answer.
        secure: whether the address is ``wss://``.
    """
    if status is None:
        text = f"the WebSocket handshake failed: {cause}" if cause else "the WebSocket handshake failed"
    else:
        text = f"the server does not speak WebSocket here: HTTP status {status}"
    if not secure and status in (None, _BAD_REQUEST):
        text += "; if this port expects TLS, use wss:// instead of ws://"
    return HandshakeError(text)


def _words(error: OSError) -> str:
    """What the operating system calls the error. asyncio writes its own words, and aiofastnet none at all."""
    if error.errno is not None and error.errno > 0 and not isinstance(error, ssl.SSLError):
        return os.strerror(error.errno)
    return error.strerror or str(error) or "the other end closed the connection"


def _advice(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "; nothing listens there: check the address and the port, and whether the exchange runs"
    if isinstance(error, socket.gaierror):
        return "; check the host name"
    return ""


def _without_tls(url: str) -> str:
    return "; if this port does not use TLS, use ws:// instead of wss://" if urlsplit(url).scheme == "wss" else ""
