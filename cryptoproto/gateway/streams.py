"""JetStream streams with one writer: each message says which one is before it, so a second writer fails."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec
import nats.errors
import nats.js.errors
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    Header,
    RetentionPolicy,
    StorageType,
    StreamConfig,
    StreamState,
)
from nats.js.kv import KeyValue

from ..exceptions import GatewayError, OwnershipLost
from .nats_connection import NatsConnection, cancellable, unsubscribe

__all__ = [
    "Stored",
    "StreamWriter",
    "ensure_bucket",
    "ensure_stream",
    "first_since",
    "last_stored",
    "purge_before",
    "read_stream",
    "state_of",
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


_acks: Final = msgspec.json.Decoder(_Ack)


class _Waiting(NamedTuple):
    """A message that is not acknowledged yet: until when it should be, and those who wait for that."""

    deadline: float
    acks: list[asyncio.Future[int]]


class StreamWriter:
    """Appends to a stream that only this process writes to.

    Messages may be on their way at the same time; they arrive in order. Once one of them was refused or not
    acknowledged, no later call succeeds: what the stream contains is not certain any more, and the owner has to begin
    anew. What has to be stored together, or not at all, belongs into one message: if somebody else writes in between,
    one message can be refused and the next one accepted.

    It has its own acknowledgements, because ``publish_async()`` of nats-py passes no refusal on.

    Args:
        nc: the connection.
        subject: of the messages.
        last: the number of the message that is last in the stream.
        timeout_s: how long to wait for an acknowledgement.
    """

    def __init__(self, nc: NatsConnection, subject: str, last: int, timeout_s: float) -> None:
        self._nc = nc
        self._subject = subject
        self._last = last
        self._timeout_s = timeout_s
        self._loop = asyncio.get_running_loop()
        self._lock = asyncio.Lock()
        self._error: OwnershipLost | None = None
        self._failed = asyncio.Event()
        self._inbox: str = nc.new_inbox()
        self._waiting: dict[int, _Waiting] = {}  # by the number of the message, in order
        self._timer: asyncio.TimerHandle | None = None  # for the first one that waited when it was set
        self._all_settled = asyncio.Event()
        self._all_settled.set()
        self._subscription: Any = None

    async def wait_failed(self) -> None:
        """Wait until something was refused or not acknowledged.

        Raises:
            OwnershipLost: why.
        """
        await self._failed.wait()
        raise self._failure()

    @property
    def last(self) -> int:
        """The number of the last message that was handed to NATS."""
        return self._last

    async def append(self, payload: bytes, message_id: str = "") -> int:
        """Append a message and wait until it is acknowledged. Cancelling ends only the wait.

        Returns its number in the stream.

        Args:
            payload: the message.
            message_id: by which NATS ignores what it has stored already; without one, nothing is ignored.

        Raises:
            OwnershipLost: somebody else has written, or NATS did not acknowledge it in time.
        """
        if self._subscription is None:
            async with self._lock:
                if self._subscription is None:
                    try:
                        self._subscription = await self._nc.listen(f"{self._inbox}.*", self._on_ack)
                    except nats.errors.Error as error:
                        raise OwnershipLost(f"nothing can be written to {self._subject}: {error}") from error
        return await self.stored(self.send(payload, message_id))

    def send(self, payload: bytes, message_id: str = "") -> int:
        """Hand a message to NATS, as :meth:`append` does, which has to be called before; returns its number.

        What fails is raised by :meth:`stored`.
        """
        if self._error is not None:
            return self._last + 1
        number = self._last = self._last + 1
        headers = {Header.EXPECTED_LAST_SEQUENCE.value: str(number - 1)}
        if message_id:
            headers[Header.MSG_ID.value] = message_id
        self._waiting[number] = _Waiting(self._loop.time() + self._timeout_s, [])
        if self._timer is None:
            self._set_timer()
        self._all_settled.clear()
        try:
            self._nc.post(self._subject, payload, f"{self._inbox}.{number}", headers)
        except nats.errors.Error as error:
            self._settle(number, f"a message to {self._subject} could not be sent: {error}")
        return number

    def stored(self, number: int) -> asyncio.Future[int]:
        """Message *number* is acknowledged; a new future for each call, whose cancellation ends only that wait.

        Its exception is OwnershipLost: somebody else has written, or NATS did not acknowledge the message in time.
        """
        ack: asyncio.Future[int] = self._loop.create_future()
        waiting = self._waiting.get(number)
        if waiting is None:
            self._complete(ack, number)
        else:
            waiting.acks.append(ack)
        return ack

    def _complete(self, ack: asyncio.Future[int], number: int) -> None:
        if ack.done():
            return  # its caller has left
        if self._error is None:
            ack.set_result(number)
        else:
            ack.set_exception(self._failure())
            ack.exception()  # perhaps nobody waits for it any more

    async def close(self) -> None:
        """Wait until every message is acknowledged or refused."""
        await self._all_settled.wait()
        if self._timer is not None:
            self._timer.cancel()
        await unsubscribe(self._subscription)

    def _on_ack(self, message: Msg) -> None:
        number = int(message.subject.rpartition(".")[2])
        if not message.data:  # only a header, which says that nobody has subscribed
            self._settle(number, f"NATS refused a message to {self._subject}: no stream takes it")
            return
        reply = _acks.decode(message.data)
        if reply.error is None and reply.seq == number:
            self._settle(number)
        elif reply.error is None:
            self._settle(number, f"a message to {self._subject} was ignored, because its id is known")
        elif reply.error.err_code in _WRONG_LAST_SEQUENCE:
            self._settle(number, f"another process has written to {self._subject}")
        else:
            self._settle(number, f"NATS refused a message to {self._subject}: {reply.error.description}")

    def _set_timer(self) -> None:
        """For the message that has waited longest. One timer for all: hardly any message is late."""
        first = next(iter(self._waiting.values()), None)
        self._timer = None if first is None else self._loop.call_at(first.deadline, self._on_timer)

    def _on_timer(self) -> None:
        now = self._loop.time()
        for number in [each for each, waiting in self._waiting.items() if waiting.deadline <= now]:
            self._settle(number, f"NATS did not acknowledge a message to {self._subject} within {self._timeout_s:g} s")
        self._set_timer()

    def _settle(self, number: int, failure: str = "") -> None:
        """What became of a message is known, also if its caller has left. A failure ends the others, too."""
        settled = self._waiting.pop(number, None)
        if failure and self._error is None:
            self._error = OwnershipLost(failure)
            self._failed.set()
        if settled is not None:
            for ack in settled.acks:
                self._complete(ack, number)
        if not self._waiting:
            self._all_settled.set()

    def _failure(self) -> OwnershipLost:
        return OwnershipLost(str(self._error))


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


async def ensure_bucket(js: JetStreamContext, name: str, replicas: int) -> KeyValue:
    """The key-value bucket *name*, made if there is none of its name.

    Raises:
        nats.errors.Error, TimeoutError: NATS refuses it, or does not answer.
    """
    try:
        return await js.key_value(name)
    except nats.js.errors.BucketNotFoundError:
        return await js.create_key_value(bucket=name, history=1, replicas=replicas)


async def state_of(js: JetStreamContext, stream: str) -> StreamState:
    """How many messages a stream has, and the numbers of the first and the last."""
    return (await js.stream_info(stream)).state


async def last_stored(js: JetStreamContext, stream: str) -> Stored:
    """The last message that a stream has had: without data if it was deleted, number 0 if there was none.

    Both belong together, although a server may be behind: whoever appends after this number is refused then. Two
    questions, for the number and for the last message, could be answered by two servers.
    """
    state = await state_of(js, stream)
    if not state.messages:
        return Stored(state.last_seq, b"")
    return Stored(state.last_seq, (await js.get_msg(stream, state.last_seq)).data or b"")


async def first_since(js: JetStreamContext, stream: str, since: datetime) -> int:
    """The number of the first message of *stream* that was stored at *since* or later; the last one if none was."""
    state = await state_of(js, stream)
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


async def read_stream(js: JetStreamContext, stream: str, subject: str, state: StreamState) -> AsyncIterator[Stored]:
    """All messages of a stream, from the first to the one that was the last in *state*."""
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
