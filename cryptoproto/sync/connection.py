"""``connect`` without ``await``."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Literal, Self, Unpack, overload

from .. import connection as asynchronous
from ..connection import Event
from ..connection.options import ConnectArguments
from ..exceptions import CryptoprotoError
from ..messages import Message, Outgoing, Unknown
from ..wire import Protocol
from .loop_thread import LoopThread
from .prepared import PreparedMessage
from .stream import Stream

__all__ = ["Connection", "connect"]

_CLOSE_TIMEOUT_S = 5.0


def connect(url: str, **options: Unpack[ConnectArguments]) -> Connection:
    """Connect: ``with sync.connect(...) as connection`` or ``connection = sync.connect(...)``.

    The arguments and errors are those of :func:`cryptoproto.connect`.
    """
    thread = LoopThread("connection")
    thread.start()

    async def opening() -> asynchronous.Connection:
        return await asynchronous.connect(url, **options)

    try:
        return Connection(thread, thread.run(opening))
    except BaseException:
        thread.close(None, 0)
        raise


class Connection:
    """One live connection; see :class:`cryptoproto.Connection`. Iterate over it for the events, in order."""

    def __init__(self, thread: LoopThread, connection: asynchronous.Connection) -> None:
        self._thread = thread
        self._connection = connection
        self._events: Stream[Event] | None = None

    @property
    def last_sequence(self) -> int:
        """The last sequence of this client that the exchange had seen at the handshake."""
        return self._connection.last_sequence

    @property
    def protocol(self) -> Protocol:
        """Which form of the protocol the connection uses."""
        return self._connection.protocol

    @property
    def hold(self) -> float:
        """For how many more seconds throttling holds sends; 0.0 if it does not."""
        return self._connection.hold

    @property
    def in_flight(self) -> int:
        """How many requests are waiting for a response."""
        return self._connection.in_flight

    @property
    def queued(self) -> int:
        """How many events are waiting to be read."""
        return self._connection.queued

    @property
    def is_open(self) -> bool:
        """Whether the connection is open."""
        return self._thread.is_running and self._connection.is_open

    @property
    def error(self) -> CryptoprotoError | None:
        """The error that ended the connection; ``None`` while it is open, and after :meth:`close`."""
        return self._connection.error

    def send(self, message: Outgoing, *, urgent: bool = False) -> int:
        """Send a client message and return its sequence; see :meth:`cryptoproto.Connection.send`."""
        return self._thread.run(lambda: self._connection.send(message, urgent=urgent))

    def prepare(self, message: Outgoing) -> PreparedMessage:
        """Encode and sign a client message that is sent later; see :meth:`cryptoproto.Connection.prepare`."""
        return PreparedMessage(self._thread, self._thread.run(lambda: self._connection.prepare(message)))

    @overload
    def request(
        self, message: Outgoing, *, timeout: float | None = None, raw: Literal[False] = False
    ) -> Message | Unknown: ...
    @overload
    def request(self, message: Outgoing, *, timeout: float | None = None, raw: Literal[True]) -> dict[str, Any]: ...

    def request(
        self, message: Outgoing, *, timeout: float | None = None, raw: bool = False
    ) -> Message | Unknown | dict[str, Any]:
        """Send an RPC request and return its response; see :meth:`cryptoproto.Connection.request`."""
        if raw:
            return self._thread.run(lambda: self._connection.request(message, timeout=timeout, raw=True))
        return self._thread.run(lambda: self._connection.request(message, timeout=timeout))

    def events(self, *, timeout: float | None = None) -> Stream[Event]:
        """The events; with *timeout*, the iteration ends after so many seconds without one."""
        return Stream(self._thread, self._connection.__aiter__, "events", timeout=timeout)

    def __iter__(self) -> Stream[Event]:
        if self._events is None:
            self._events = self.events()
        return self._events

    def close(self, timeout: float = _CLOSE_TIMEOUT_S) -> None:
        """Close the connection within *timeout* seconds, and end the thread. Idempotent."""
        self._thread.close(lambda: self._connection.close(timeout), timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self._thread.abandon(self._connection.close, _CLOSE_TIMEOUT_S)

    def __repr__(self) -> str:
        return repr(self._connection).replace("<", "<sync.", 1)
