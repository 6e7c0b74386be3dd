"""The client of this package as a peer under test: takes the actions of scripts and reports what happens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

from ..connection import Connection, ConnectOptions
from ..exceptions import (
    ConfigurationError,
    ConnectionClosed,
    CryptoprotoError,
    DecodeError,
    HandshakeError,
    HeartbeatTimeout,
    HistoryRewound,
    InvalidKey,
    OpenTimeout,
    RequestTimeout,
    ServerError,
    UnsupportedVersion,
)
from ..keys import PrivateKey, PublicKey
from ..transport import TransportKind, TransportOpener
from ..wire import Protocol

__all__ = ["ClientDriver", "reason_of"]

_REASONS: Final[tuple[tuple[type[CryptoprotoError], str], ...]] = (
    (ServerError, "error"),
    (HeartbeatTimeout, "heartbeat"),
    (HistoryRewound, "rewound"),
    (DecodeError, "unreadable"),
    (InvalidKey, "key"),
    (UnsupportedVersion, "version"),
    (OpenTimeout, "timeout"),
    (RequestTimeout, "timeout"),
    (HandshakeError, "refused"),
    (ConnectionClosed, "closed"),
)


def reason_of(error: CryptoprotoError) -> str:
    """The word for *error* in a report; see docs/conformance.md."""
    return next((word for kind, word in _REASONS if isinstance(error, kind)), type(error).__name__)


class ClientDriver:
    """One client, driven by actions.

    Args:
        report: called with each report.
        transport: how to open connections.
        read_key: returns the keys that a ``connect`` names; from files by default.
    """

    def __init__(
        self,
        report: Callable[[dict[str, Any]], None],
        transport: TransportKind | TransportOpener = "auto",
        read_key: Callable[[str, str], tuple[PrivateKey, PublicKey]] | None = None,
    ) -> None:
        self._report = report
        self._transport = transport
        self._read_key = read_key or (lambda private, public: (PrivateKey.load(private), PublicKey.load(public)))
        self._connection: Connection | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def do(self, action: Mapping[str, Any]) -> str | None:
        """Begin an action; ``None``, or why this client cannot take it.

        Raises:
            ConfigurationError: the action is not complete, or cannot be taken now.
        """
        try:
            return await self._do(action)
        except KeyError as error:
            raise ConfigurationError(f"the action {action.get('do')} needs {error}") from None

    async def _do(self, action: Mapping[str, Any]) -> str | None:
        what = action["do"]
        if what == "connect":
            await self._reset()
            private_key, server_key = self._read_key(action["private_key"], action["server_key"])
            options = ConnectOptions(
                url=action["url"],
                client_id=action["client_id"],
                private_key=private_key,
                server_key=server_key,
                protocol=Protocol(action["protocol"]),
                resume_from=action["resume"],
                transport=self._transport,
                lock=False,
            )
            self._start(self._live(Connection(options)))
        elif what == "send":
            self._start(self._send(self._live_connection(), action["message"]))
        elif what == "request":
            self._start(self._request(self._live_connection(), action))
        elif what == "close":
            self._start(self._live_connection().close())
        elif what == "reset":
            await self._reset()
        else:
            return f"this client cannot {what}"
        return None

    def _live_connection(self) -> Connection:
        if self._connection is None:
            raise ConfigurationError("the client is not connected")
        return self._connection

    def _start(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _live(self, connection: Connection) -> None:
        """Connect, and report everything until the end."""
        try:
            await connection.open()
            self._connection = connection
            self._report({"report": "connected", "last_sequence": connection.last_sequence})
            async for event in connection:
                if event.transaction_id is None:
                    self._report({"report": "broadcast", "message": event.payload})
                else:
                    report = {"report": "event", "transaction": event.transaction_id, "message": event.payload}
                    self._report(report)
            self._report({"report": "ended", "reason": "closed here"})
        except CryptoprotoError as error:
            self._report({"report": "ended", "reason": reason_of(error), **_details(error)})
        finally:
            await connection.close(1.0)

    async def _send(self, connection: Connection, message: Mapping[str, Any]) -> None:
        try:
            await connection.send(message)
        except CryptoprotoError as error:
            self._report({"report": "failed", "reason": reason_of(error), "sent": error.sent})

    async def _request(self, connection: Connection, action: Mapping[str, Any]) -> None:
        tag = action.get("tag")
        try:
            reply = await connection.request(action["message"], timeout=action.get("timeout"), raw=True)
        except CryptoprotoError as error:
            self._report({"report": "failed", "tag": tag, "reason": reason_of(error)})
        else:
            self._report({"report": "response", "tag": tag, "message": reply})

    async def _reset(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close(1.0)
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _details(error: CryptoprotoError) -> dict[str, Any]:
    if isinstance(error, ServerError):
        return {"error_type": error.error_type, "text": error.text}
    return {"code": error.code} if isinstance(error, ConnectionClosed) else {"text": str(error)}
