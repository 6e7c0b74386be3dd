"""``connect``: opens a connection, awaited or as a context manager."""

from __future__ import annotations

from collections.abc import Generator
from types import TracebackType
from typing import Any, Unpack

from .connection import Connection
from .options import ConnectArguments, ConnectOptions

__all__ = ["connect"]


class connect:  # noqa: N801 - used like a function, as in `async with connect(...)`
    """Connect to an exchange: ``async with connect(...) as connection`` or ``connection = await connect(...)``.

    Opens the WebSocket, completes the handshake (protocol, "Handshake") and returns a :class:`Connection`. If
    cancelled, everything is closed.

    Args:
        url: ``wss://host[:port][/path]``; ``ws://`` only to a loopback address unless *insecure*.
        client_id: the id that the exchange knows the client by: printable ASCII, short enough for its RSA key.
        private_key: the client's RSA key; the exchange has its public half.
        server_key: the exchange's public key.
        resume_from: the last transaction id that was processed; later events are replayed. 0 = all events,
            -1 = only live events.
        protocol: ``Protocol.SIGNED`` (each frame carries an RSA signature) or ``Protocol.V5``.
        transport: ``"websockets"``, ``"picows"``, ``"auto"`` (picows if it is installed), or a custom opener.
        ssl: a TLS context for ``wss://``; the system's certificates by default.
        open_timeout: seconds for connecting and the handshake together.
        ping_interval: seconds between pings; ``None`` = no pings, and a dead connection is not detected.
        ping_timeout: seconds without any data after which the connection is closed; ``None`` = never.
        request_timeout: default timeout of :meth:`Connection.request`, in seconds.
        max_queue: how many events may wait before reading from the socket stops.
        max_message_size: the largest frame in bytes, in both directions; checked before decryption.
        signer_threads: how many threads may sign at the same time with ``Protocol.SIGNED``. Signing does not hold the
            interpreter lock, so a burst of messages uses as many cores. Threads are started when they are needed.
        throttle: called with the level, request id and order id of a throttling frame; returns for how many seconds
            to hold messages. By default a millisecond for each order above the limit.
        on_event: called with each :class:`Event` when it arrives, instead of the iteration. If it raises, the
            connection is closed.
        insecure: allow ``ws://`` to other machines.
        lock: mark the client id as in use on this machine while the connection is open, and log a warning if it is in
            use already: the exchange closes the older connection.
        exclusive: raise IdentityInUse instead of connecting if the client id is in use on this machine.

    Raises:
        ConfigurationError: an option is not valid.
        HandshakeError: the exchange rejected the client, a key does not match (InvalidKey), the exchange uses another
            version (UnsupportedVersion), or it took too long (OpenTimeout).
        ConnectionClosed: the network connection failed.
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
