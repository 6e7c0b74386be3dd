"""JetStream streams with one writer: each message says which one is before it, so a second writer fails."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec
import nats.errors
import nats.js.errors
from nats.aio.client import Client as Nats
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, Header, RetentionPolicy, StorageType, StreamConfig

from ..exceptions import GatewayError, OwnershipLost
from .nats_connection import cancellable

__all__ = [
    "Stored",
    "StreamWriter",
    "ensure_stream",
    "first_since",
    "last_message",
    "last_number",
    "purge_before",
    "read_stream",
]

logger: logging.Logger = logging.getLogger("cryptoproto.gateway")

_WRONG_LAST_SEQUENCE: Final = frozenset((10071, 10164))
_FETCH: Final = 1_000
_FETCH_TIMEOUT_S: Final = 5.0


class Stored(NamedTuple):
    """A message of a stream, and its number there."""

    number: int
    data: bytes


class _Error(msgspec.Struct, frozen=True):
    err_code: int = 0
    description: str = ""


class _Ack(msgspec.Struct, frozen=True):
    """JetStream's reply to a message."""

    seq: int = 0
    error: _Error | None = None


class _Refused(Exception):
    """JetStream has refused a message."""

    def __init__(self, error: _Error) -> None:
        super().__init__(error.description)
        self.code = error.err_code


class StreamWriter:
    """Appends to a stream that only this process writes to.

    Messages may be on their way at the same time; they arrive in order. Once one of them was refused or not
    acknowledged, no later call succeeds: what the stream contains is not certain any more, and the owner has to begin
    anew.

    It has its own acknowledgements, because ``publish_async()`` of nats-py passes no refusal on.

    Args:
        nc: the connection.
        subject: of the messages.
        last: the number of the message that is last in the stream.
        timeout_s: how long to wait for an acknowledgement.
    """

    def __init__(self, nc: Nats, subject: str, last: int, timeout_s: float) -> None:
        self._nc = nc
        self._subject = subject
        self._last = last
        self._timeout_s = timeout_s
        self._lock = asyncio.Lock()
        self._tasks: set[asyncio.Task[int]] = set()
        self._error: OwnershipLost | None = None
        self._failed = asyncio.Event()
        self._inbox: str = nc.new_inbox()
        self._acks: dict[int, asyncio.Future[int]] = {}  # by the number of the message
        self._subscription: Any = None

    async def wait_failed(self) -> None:
        """Wait until something was refused or not acknowledged.

        Raises:
            OwnershipLost: why.
        """
        await self._failed.wait()
        self._check()

    @property
    def last(self) -> int:
        """The number of the last message that was handed to NATS."""
        return self._last

    async def append(self, payloads: Sequence[bytes], ids: Sequence[str] = ()) -> int:
        """Append messages and wait until all of them are acknowledged. Cancelling ends only the wait.

        Returns the number of the first one in the stream.

        Args:
            payloads: the messages.
            ids: one for each, by which NATS ignores one that it has stored already; or none.

        Raises:
            OwnershipLost: somebody else has written, or NATS did not acknowledge them in time.
        """
        task = asyncio.ensure_future(self._append(payloads, ids))
        self._tasks.add(task)
        task.add_done_callback(self._on_done)
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Wait until every message is acknowledged or refused."""
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._subscription is not None:
            try:
                await self._subscription.unsubscribe()
            except nats.errors.Error as error:
                logger.debug("unsubscribing: %s", error)

    async def _append(self, payloads: Sequence[bytes], ids: Sequence[str]) -> int:
        acks: list[asyncio.Future[int]] = []
        first = 0
        try:
            async with asyncio.timeout(self._timeout_s):
                async with self._lock:
                    self._check()
                    if self._subscription is None:
                        self._subscription = await self._nc.subscribe(f"{self._inbox}.*", cb=self._on_ack)
                    first = self._last + 1
                    for number, payload in enumerate(payloads, first):
                        headers = {Header.EXPECTED_LAST_SEQUENCE.value: str(number - 1)}
                        if ids:
                            headers[Header.MSG_ID.value] = ids[number - first]
                        acks.append(ack := asyncio.get_running_loop().create_future())
                        self._acks[number] = ack
                        await self._nc.publish(self._subject, payload, f"{self._inbox}.{number}", headers)
                        self._last = number
                numbers = [await ack for ack in acks]
        except (TimeoutError, nats.errors.Error, _Refused) as error:
            self._fail(self._why(error))
            self._check()
        finally:
            for number, ack in enumerate(acks, first):
                self._acks.pop(number, None)
                if not ack.cancel() and not ack.cancelled():
                    ack.exception()  # the first one was raised; the others follow from it
        if numbers != list(range(first, first + len(acks))):
            self._fail(f"messages to {self._subject} were ignored, because their ids are known")
        self._check()
        return first

    def _fail(self, reason: str) -> None:
        if self._error is None:
            self._error = OwnershipLost(reason)
            self._failed.set()

    async def _on_ack(self, message: Msg) -> None:
        ack = self._acks.get(int(message.subject.rpartition(".")[2]))
        if ack is None or ack.done():
            return
        if not message.data:  # only a header, which says that nobody has subscribed
            ack.set_exception(_Refused(_Error(description="no stream takes it")))
            return
        reply = msgspec.json.decode(message.data, type=_Ack)
        if reply.error is None:
            ack.set_result(reply.seq)
        else:
            ack.set_exception(_Refused(reply.error))

    def _on_done(self, task: asyncio.Task[int]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # its caller may have left

    def _check(self) -> None:
        if self._error is not None:
            raise OwnershipLost(str(self._error))

    def _why(self, error: Exception) -> str:
        if isinstance(error, _Refused):
            if error.code in _WRONG_LAST_SEQUENCE:
                return f"another process has written to {self._subject}"
            return f"NATS refused a message to {self._subject}: {error}"
        return f"NATS did not acknowledge a message to {self._subject} within {self._timeout_s:g} s: {error}"


async def ensure_stream(js: JetStreamContext, config: StreamConfig) -> None:
    """Create the stream *config* if there is none of its name; an existing one is left as it is.

    Raises:
        GatewayError: NATS refuses it.
    """
    try:
        try:
            await js.stream_info(config.name or "")
        except nats.js.errors.NotFoundError:
            config.retention = RetentionPolicy.LIMITS
            config.storage = StorageType.FILE
            await js.add_stream(config)
    except nats.js.errors.APIError as error:
        raise GatewayError(f"the stream {config.name} cannot be used: {error.description}") from error


async def last_message(js: JetStreamContext, stream: str, subject: str) -> Stored | None:
    """The last message of a stream; ``None`` if it is empty."""
    try:
        found = await js.get_last_msg(stream, subject)
    except nats.js.errors.NotFoundError:
        return None
    return Stored(found.seq or 0, found.data or b"")


async def last_number(js: JetStreamContext, stream: str) -> int:
    """The number of the last message that a stream has ever had, also if it was deleted; 0 = none."""
    return (await js.stream_info(stream)).state.last_seq


async def first_since(js: JetStreamContext, stream: str, since: datetime) -> int:
    """The number of the first message of *stream* that was stored at *since* or later; the last one if none was."""
    state = (await js.stream_info(stream)).state
    low, high = state.first_seq, state.last_seq
    while low < high:
        middle = (low + high) // 2
        stored = (await js.get_msg(stream, middle)).time
        if stored is None or stored >= since:
            high = middle
        else:
            low = middle + 1
    return low


async def purge_before(js: JetStreamContext, stream: str, number: int) -> None:
    """Delete the messages before *number*. If NATS does not answer, they are deleted with the next ones."""
    if number <= 1:  # a purge without a number would delete everything
        return
    try:
        await js.purge_stream(stream, seq=number)
    except (nats.errors.Error, TimeoutError) as error:
        logger.info("messages of %s could not be deleted yet: %s", stream, error)


async def read_stream(js: JetStreamContext, stream: str, subject: str) -> AsyncIterator[Stored]:
    """All messages of a stream, from the first to the one that is last now."""
    state = (await js.stream_info(stream)).state
    if not state.messages:
        return
    config = ConsumerConfig(
        deliver_policy=DeliverPolicy.ALL, ack_policy=AckPolicy.NONE, mem_storage=True, inactive_threshold=30
    )
    consumer = await js.pull_subscribe(subject, stream=stream, config=config)
    try:
        while True:
            for message in await cancellable(consumer.fetch(_FETCH, timeout=_FETCH_TIMEOUT_S)):
                number = message.metadata.sequence.stream
                yield Stored(number, message.data)
                if number >= state.last_seq:
                    return
    finally:
        await consumer.unsubscribe()
