"""``connect``: how a connection is asked for."""

from __future__ import annotations

from collections.abc import Generator
from types import TracebackType
from typing import Any, Unpack

from .connection import Connection
from .options import ConnectArguments, ConnectOptions

__all__ = ["connect"]


class connect:  # noqa: N801 - used like a function, as in `async with connect(...)`
    """Connect to an exchange: ``async with connect(...) as connection`` or ``connection = await connect(...)``.

    Opens the WebSocket, shakes hands (protocol, "Handshake") and returns a :class:`Connection`. Cancelling leaves
    nothing behind.

    Args:
        url: ``wss://host[:port][/path]``; ``ws://`` only to a loopback address unless *insecure*.
        client_id: who we are to the exchange: printable ASCII, short enough for its RSA key.
        private_key: our RSA key, whose public half the exchange knows.
        server_key: the exchange's public key.
        resume_from: the last transaction id that was processed: what comes after it is replayed. 0 = everything,
            -1 = live events alone.
        protocol: ``Protocol.SIGNED`` (each frame carries an RSA signature) or ``Protocol.V5``.
        transport: ``"websockets"``, ``"picows"``, ``"auto"`` (picows where it is installed), or an opener of one's own.
        ssl: a TLS context for ``wss://``; the system's certificates by default.
        open_timeout: seconds for connecting and the handshake together.
        ping_interval: seconds between pings; ``None`` = no pings, and a dead link is not noticed.
        ping_timeout: seconds of silence after which the link is given up; ``None`` = never.
        request_timeout: default deadline of :meth:`Connection.request`, in seconds.
        max_queue: how many events may wait before the socket is no longer read.
        max_message_size: largest frame in bytes, either way; checked before anything is decrypted.
        throttle: called with level, request id and order id of a throttling frame; returns for how many seconds to
            hold sends. A millisecond for each order too many by default.
        on_event: called with each :class:`Event` the moment it arrives, in place of the iteration. What it raises ends
            the connection.
        insecure: allow ``ws://`` to other machines.
        lock: mark the client id as in use on this machine while the connection is open, and log a warning if it is in
            use already: the exchange closes the older connection.
        exclusive: raise IdentityInUse instead of connecting if the client id is in use on this machine.

    Raises:
        ConfigurationError: an option cannot be used.
        HandshakeError: the exchange refused, or a key does not fit (InvalidKey), or it speaks another version
            (UnsupportedVersion), or it took too long (OpenTimeout).
        ConnectionClosed: nobody answers at the address.
        DecodeError: the exchange's hello is malformed.
    """

    def __init__(self, url: str, **options: Unpack[ConnectArguments]) -> None:
        self._options = ConnectOptions(url=url, **options)
        self._connection: Connection | None = None

    async def _open(self) -> Connection:
        self._connection = connection = Connection(self._options)
        await connection.open()
        return connection

    def __await__(self) -> Generator[Any, None, Connection]:
        return self._open().__await__()

    async def __aenter__(self) -> Connection:
        return await self._open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._connection is not None:
            await self._connection.close()
