"""Connections to NATS that come back by themselves."""

from __future__ import annotations

import asyncio
import logging
import os
import ssl as ssl_module
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary

import nats.errors
import nkeys
from nats.aio.client import Client as Nats
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.aio.transport import Transport
from nats.protocol.command import hpub_cmd, pub_cmd

from ..arguments import redacted
from ..exceptions import ConfigurationError, GatewayError
from ..private_file import read_private
from .direct_reader import DirectReader

__all__ = [
    "NatsConnection",
    "cancellable",
    "cannot_start",
    "close_nats",
    "flush_nats",
    "open_nats",
    "to_the_end",
    "unsubscribe",
]

T = TypeVar("T")

logger: logging.Logger = logging.getLogger("cryptoproto.gateway")

_OPEN_S: Final = 10.0
_RECONNECT_S: Final = 0.2
_CANCELS: Final = 5
_NOT_TAKEN: Final = "a message on %r could not be taken"
_MAX_PENDING: Final = 2 * 1024 * 1024
"""How many bytes may wait to be written: when nats-py makes those wait who publish."""


async def cancellable(call: Coroutine[Any, Any, T]) -> T:
    """The result of *call*, a call of nats-py; cancelling always works.

    nats-py waits with :func:`asyncio.wait_for`, which before Python 3.12 loses a cancellation that comes together with
    the answer. A task that was to end would go on, and whoever waits for its end would wait forever.
    """
    task = asyncio.ensure_future(call)
    try:
        await asyncio.wait((task,))
    except asyncio.CancelledError:
        task.cancel()
        task.add_done_callback(_retrieve)
        raise
    return task.result()


async def to_the_end(call: Coroutine[Any, Any, None]) -> None:
    """Do all of *call*, however often the caller is cancelled meanwhile; the cancellation is raised afterwards.

    For what ends an ownership: the lease may end meanwhile, and half of an ownership would go on answering.
    """
    task = asyncio.ensure_future(call)
    is_cancelled = False
    while not task.done():
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError:
            is_cancelled = True
    task.result()
    if is_cancelled:
        raise asyncio.CancelledError


def _retrieve(task: asyncio.Task[Any]) -> None:
    """Look at how *task* has ended; nobody waits for it any more."""
    if not task.cancelled():
        task.exception()


class NatsConnection(Nats):
    """A connection for messages that somebody waits for, and whose questions can be cancelled at any moment.

    nats-py hands each message from task to task: a sent one to the task that writes, a received one from the task that
    reads and parses through a queue to the task of its subscription. An order passes through the gateway in a few
    hundred microseconds, and each step from task to task takes about twenty. :meth:`post` and :meth:`listen` do without
    these steps. They override internal methods of nats-py. If a later version has no such methods, the messages take
    its usual way.
    """

    def __init__(self) -> None:
        super().__init__()
        self._listeners: WeakKeyDictionary[Subscription, Callable[[Msg], None]] = WeakKeyDictionary()
        self._is_posting = False
        self._turn_is_used = False

    async def request(self, *args: Any, **kwargs: Any) -> Msg:
        """See :meth:`nats.aio.client.Client.request`."""
        return await cancellable(super().request(*args, **kwargs))

    async def flush(self, timeout: int = 10) -> None:
        """See :meth:`nats.aio.client.Client.flush`."""
        await cancellable(super().flush(timeout))

    def post(self, subject: str, payload: bytes, reply: str = "", headers: dict[str, str] | None = None) -> None:
        """Publish a message; the first one in a turn of the event loop is written before this returns.

        The others are written together at the end of the turn, or when the socket has taken what was written before.

        Raises:
            nats.errors.Error: it cannot be sent, or too much waits to be written.
        """
        transport = self._transport
        # As publish(), without its checks and its list of what is to be written: orders and their replies come here.
        if not self._pending and transport is not None and self._may_write(transport, len(payload)):
            transport.write(_command(subject, payload, reply, headers))
            self._use_turn()
            return
        if self._pending_data_size > _MAX_PENDING:
            raise nats.errors.OutboundBufferLimitError
        publishing = self.publish(subject, payload, reply, headers)
        self._is_posting = True
        try:
            publishing.send(None)
        except StopIteration:
            return
        finally:
            self._is_posting = False
        publishing.close()  # it waits for the task that writes; the message is already in the list of that task

    async def _flush_pending(self, force_flush: bool = False) -> Any:
        transport = self._transport
        if self._is_posting and transport is not None and self._may_write(transport):
            transport.writelines(self._pending)
            self._pending, self._pending_data_size = [], 0
            self._use_turn()
            return None
        return await super()._flush_pending(force_flush)

    def _may_write(self, transport: Transport, size: int = 0) -> bool:
        """Whether a message of *size* bytes may be written now; if not, ``publish()`` says why, or lets it wait."""
        is_usable = self.is_connected and not self.is_draining_pubs and size <= self.max_payload
        return is_usable and not self._turn_is_used and not _has_to_wait(transport)

    def _use_turn(self) -> None:
        self._turn_is_used = True
        asyncio.get_running_loop().call_soon(self._on_next_turn)

    def _on_next_turn(self) -> None:
        self._turn_is_used = False

    async def listen(self, subject: str, take: Callable[[Msg], None]) -> Subscription:
        """Subscribe: *take* is called with each message as soon as it is read. It must not raise.

        Ended with :func:`unsubscribe`.
        """

        async def take_later(message: Msg) -> None:
            take(message)

        subscription = await self.subscribe(subject, cb=take_later)
        self._listeners[subscription] = take
        return subscription

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> None:
        take = self._listener(sid)
        try:
            if take is None:
                await super()._process_msg(sid, subject, reply, data, headers)
            else:
                take(self._build_message(sid, subject, reply, data, await self._process_headers(headers)))
        except Exception:  # it would end the task that reads everything
            logger.exception(_NOT_TAKEN, subject)

    async def _process_pong(self) -> None:
        if self._pongs and self._pongs[0].done():  # of a flush() that was cancelled: nats-py would stop reading
            self._pongs[0] = asyncio.get_running_loop().create_future()
        await super()._process_pong()

    async def _read_loop(self) -> None:
        self._read_directly()
        await super()._read_loop()

    def _read_directly(self) -> None:
        """Put a :class:`DirectReader` before the stream of a new connection."""
        transport: Any = self._transport
        parser: Any = getattr(self, "_ps", None)
        writer: Any = getattr(transport, "_io_writer", None)
        reader: Any = getattr(transport, "_io_reader", None)
        if writer is None or not hasattr(reader, "_waiter") or not hasattr(parser, "buf"):
            return  # over WebSocket, or in another version, everything goes through the stream

        def is_idle() -> bool:
            """Whether the task that reads the stream waits, and has nothing left of a message."""
            return reader._waiter is not None and not parser.buf

        behind = writer.transport.get_protocol()
        writer.transport.set_protocol(DirectReader(behind, is_idle, self._take_directly))

    def _take_directly(self, sid: int, subject: bytes, reply: bytes, data: bytes) -> bool:
        take = self._listener(sid)
        if take is None:
            return False
        try:
            take(self._build_message(sid, subject, reply, data, None))
        except Exception:  # it would end the connection
            logger.exception(_NOT_TAKEN, subject)
        return True

    def _listener(self, sid: int) -> Callable[[Msg], None] | None:
        subscription = self._subs.get(sid)
        return None if subscription is None else self._listeners.get(subscription)


def _command(subject: str, payload: bytes, reply: str, headers: dict[str, str] | None) -> bytes:
    """What publishes a message."""
    if headers is None:
        return pub_cmd(subject, reply, payload)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return hpub_cmd(subject, reply, f"NATS/1.0\r\n{lines}\r\n".encode(), payload)


def _has_to_wait(transport: Transport) -> bool:
    """Whether the socket has not taken everything so far: the task of nats-py that writes waits until it has."""
    writer = getattr(transport, "_io_writer", None)  # none over WebSocket
    return writer is None or writer.transport.is_closing() or writer.transport.get_write_buffer_size() > 0


async def open_nats(
    nc: Nats,
    address: str,
    name: str,
    *,
    inbox: str,
    nkey_seed: str | os.PathLike[str] | None = None,
    tls: ssl_module.SSLContext | None = None,
) -> None:
    """Connect *nc*.

    Args:
        nc: a new connection.
        address: of a server, or of several, separated by commas.
        name: shown by the server to its operators.
        inbox: the prefix of the subjects on which this process receives replies.
        nkey_seed: the path of the file with the nkey seed of this user.
        tls: for servers that ask for TLS with certificates that the system does not trust.

    Raises:
        GatewayError: nobody answers at *address*, or it refuses this user.
        ConfigurationError: the file with the seed cannot be used.
    """
    seed = None if nkey_seed is None else _seed(nkey_seed)
    is_open = False

    async def on_error(error: Any) -> None:
        """What goes wrong in the background; those who wait for an answer get an error of their own."""
        logger.debug("NATS: %s", error)
        if not is_open and "authorization" in str(error).lower():
            raise _Refused(str(error))  # out of connect(), which would try again without end

    try:
        async with asyncio.timeout(_OPEN_S):
            await nc.connect(
                servers=[each.strip() for each in address.split(",")],
                name=name,
                inbox_prefix=inbox,
                nkeys_seed_str=seed,
                tls=tls,
                connect_timeout=2,
                max_reconnect_attempts=-1,  # without end
                reconnect_time_wait=_RECONNECT_S,  # type: ignore[arg-type]  # seconds, which may be a fraction
                error_cb=on_error,
            )
    except (nats.errors.Error, OSError, TimeoutError, ValueError) as error:
        await close_nats(nc)
        reason = str(error) or "nobody answers"
        advice = "is nkey_seed right?" if isinstance(error, _Refused) else "is nats-server running?"
        raise GatewayError(f"NATS at {redacted(address)} cannot be used: {reason}; {advice}") from error
    is_open = True


def cannot_start(nats_url: str, what: str, error: Exception) -> GatewayError:
    """Why *what*, a gateway or a feed, cannot begin: the first questions to NATS ended with *error*."""
    where = redacted(nats_url)
    if isinstance(error, TimeoutError):
        return GatewayError(
            f"NATS at {where} does not answer what a {what} asks JetStream; a cluster needs a majority of its servers, "
            "and some seconds after one was lost. Try again"
        )
    return GatewayError(f"NATS at {where} refuses what a {what} needs: {error}")


async def flush_nats(nc: Nats) -> None:
    """Wait until the server has processed everything so far, such as subscriptions.

    The ping of nats-py overtakes what waits to be written; a second one, after the answer to the first, does not.
    """
    await nc.flush()
    await nc.flush()


async def unsubscribe(subscription: Any) -> None:
    """End *subscription*, if it is one; if the connection is closed, it has ended already."""
    if subscription is not None:
        try:
            await subscription.unsubscribe()
        except nats.errors.Error as error:
            logger.debug("unsubscribing: %s", error)


async def close_nats(nc: Nats) -> None:
    """Close *nc*, and end its attempts to reconnect: nats-py cancels them once, and they may go on."""
    try:
        await nc.close()
    # The connection has just been lost, and close() of nats-py stops half-way. A TypeError is what writelines() of the
    # first releases of Python 3.12 and 3.13 raises then.
    except (OSError, TypeError):
        nc._pending, nc._pending_data_size, nc._status = [], 0, Nats.DISCONNECTED
        await nc.close()
    attempt: asyncio.Task[None] | None = nc._reconnection_task
    for _ in range(_CANCELS):
        if attempt is not None and not attempt.done():
            attempt.cancel()
            await asyncio.wait([attempt], timeout=_RECONNECT_S)


class _Refused(nats.errors.Error):
    """The server does not know this user."""


def _seed(path: str | os.PathLike[str]) -> str:
    try:
        data = read_private(path, what="nkey seed")
    except FileNotFoundError:
        raise ConfigurationError(
            f"{os.fspath(path)}: there is no such nkey seed; cryptoproto gateway config writes it"
        ) from None
    try:
        text = data.decode("ascii").strip()
        nkeys.from_seed(text.encode()).wipe()
    except (nkeys.NkeysError, ValueError):
        raise ConfigurationError(f"{os.fspath(path)}: this is not an nkey seed") from None
    return text
