"""A NATS cluster with JetStream, in memory: as much of it as gateways and a strategy use.

What fails is the way to it: messages take their time, and a process is cut off, after which what it has published
meanwhile arrives late, or not at all, or twice. And the cluster: without a leader it stores nothing, and what it stored
last was perhaps not acknowledged. Answers are lost, and reads show what was true a while ago.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from types import SimpleNamespace
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
import nats.errors
import nats.js.errors

from tests.support.simulation.processes import SimulatedProcess

__all__ = ["Cluster", "NatsLink"]

T = TypeVar("T")

_WRONG_LAST: Final = {"error": {"code": 400, "err_code": 10071, "description": "wrong last sequence"}}
_TIMEOUT_S: Final = 5.0
_FASTEST_S: Final = 0.0002
_SLOWEST_S: Final = 0.004
_REMEMBERED: Final = 8


class _Written(NamedTuple):
    """A message of a stream, or a value of an entry."""

    at: float
    number: int
    data: bytes


class Cluster:
    """What the servers keep, and how they fail.

    Attributes:
        streams: the messages of each stream, by its subject.
        entries: the values that each entry has had, by bucket and key.
        links: of all processes.
        lag_s: how old what reads show is, at most.
        silence: which share of the requests is lost, and which share of the answers.
    """

    def __init__(self, choice: random.Random, spawn: Callable[..., Any]) -> None:
        self.streams: dict[str, list[_Written]] = {}
        self.entries: dict[tuple[str, str], list[_Written]] = {}
        self.links: list[NatsLink] = []
        self.choice = choice
        self.spawn = spawn
        self.context = copy_context()  # no process of the world
        self.lag_s = 0.0
        self.silence = 0.0
        self._loop = asyncio.get_running_loop()
        self._subjects: dict[str, str] = {}
        self._ids: dict[tuple[str, str], int] = {}
        self._revision = 0
        self._outages = 0
        self._stored_silently = 0

    # Faults

    def lose_leader(self, stored: int) -> None:
        """The server that leads has died. What it stored last, the next *stored* writes, it does not acknowledge."""
        self._outages += 1
        self._stored_silently = stored

    def elect_leader(self) -> None:
        """Another server leads."""
        self._outages -= 1

    def loses(self) -> bool:
        """Whether a request, or an answer, is lost."""
        return bool(self.silence) and self.choice.random() < self.silence

    def _leads(self, *, writes: bool) -> tuple[bool, bool]:
        """Whether a request is carried out, and whether it is answered."""
        if not self._outages:
            return True, True
        is_stored = writes and self._stored_silently > 0
        self._stored_silently -= is_stored
        return is_stored, False

    # What it keeps

    def add_stream(self, name: str, subject: str) -> None:
        self._subjects[name] = subject
        self.streams.setdefault(subject, [])

    def messages(self, subject: str) -> list[bytes]:
        """All messages of a stream."""
        return [each.data for each in self.streams[subject]]

    def read_stream(self, subject: str) -> list[_Written]:
        """The messages of a stream, as the server sees it that is asked."""
        return self._seen(self.streams[subject])

    def read_entry(self, bucket: str, key: str) -> _Written | None:
        """The value of an entry, as the server sees it that is asked."""
        values = self._seen(self.entries.get((bucket, key), []))
        return values[-1] if values else None

    def _seen(self, written: list[_Written]) -> list[_Written]:
        if not self.lag_s:
            return written
        until = self._loop.time() - self.choice.uniform(0.0, self.lag_s)
        return [each for each in written if each.at <= until]

    def value_at(self, bucket: str, key: str, revision: int) -> bytes | None:
        """What was written with *revision*."""
        values = self.entries.get((bucket, key), [])
        return next((each.data for each in values if each.number == revision), None)

    def subject_of(self, stream: str) -> str:
        """The subject of a stream.

        Raises:
            NotFoundError: there is no such stream.
        """
        if stream not in self._subjects:
            raise nats.js.errors.NotFoundError
        return self._subjects[stream]

    def put(self, bucket: str, key: str, value: bytes, last: int) -> int:
        """Compare and set.

        Raises:
            KeyWrongLastSequenceError: the entry has another revision.
        """
        values = self.entries.setdefault((bucket, key), [])
        if last != (values[-1].number if values else 0):
            raise nats.js.errors.KeyWrongLastSequenceError("wrong last sequence")
        self._revision += 1
        values.append(_Written(self._loop.time(), self._revision, value))
        self.deliver(f"$KV.{bucket}.{key}", value, "")
        return self._revision

    def publish(self, subject: str, data: bytes, reply: str, headers: dict[str, str]) -> None:
        """A message has arrived."""
        stored = self.streams.get(subject)
        if stored is None:
            self.deliver(subject, data, reply)
            return
        is_stored, is_answered = self._leads(writes=True)
        if not is_stored or self.loses():
            return
        message_id = headers.get("Nats-Msg-Id", "")
        answer: dict[str, Any]
        if (known := self._ids.get((subject, message_id))) is not None:
            answer = {"seq": known, "duplicate": True}
        elif int(headers.get("Nats-Expected-Last-Sequence", len(stored))) != len(stored):
            answer = _WRONG_LAST
        else:
            stored.append(_Written(self._loop.time(), len(stored) + 1, data))
            answer = {"seq": len(stored)}
            if message_id:
                self._ids[subject, message_id] = len(stored)
        if is_answered and not self.loses():
            self.deliver(reply, msgspec.json.encode({"stream": "", **answer}), "")

    def answer(self, do: Callable[[], T], *, writes: bool) -> Callable[[asyncio.Future[T]], None] | None:
        """Carry out a request; returns what passes the result on, or ``None`` if there is no answer."""
        is_done, is_answered = self._leads(writes=writes)
        if not is_done or self.loses():
            return None
        try:
            result = do()
        except nats.errors.Error as error:
            refused = error
            return (lambda answer: answer.set_exception(refused)) if is_answered and not self.loses() else None
        return (lambda answer: answer.set_result(result)) if is_answered and not self.loses() else None

    def deliver(self, subject: str, data: bytes, reply: str) -> None:
        """Pass a message on to everybody who has subscribed."""
        for link in self.links:
            link.arrive(subject, data, reply)


class NatsLink:
    """The connection of one process, in the place of nats-py's.

    Args:
        cluster: to which it leads.
        name: of the process.
        process: what can be stopped; ``None`` = nothing.

    Attributes:
        is_gone: whether its process was killed.
        is_cut: whether nothing gets through.
    """

    def __init__(self, cluster: Cluster, name: str, process: SimulatedProcess | None = None) -> None:
        self._cluster = cluster
        self._name = name
        self._process = process
        self._context = cluster.context if process is None else process.context
        self._loop = asyncio.get_running_loop()
        self._subscriptions: dict[str, Callable[[Any], None]] = {}
        self._inboxes = 0
        self._due = {"up": 0.0, "down": 0.0}
        self._buffer: list[Callable[[], None]] = []
        self._sent: deque[Callable[[], None]] = deque(maxlen=_REMEMBERED)
        self.is_gone = False
        self.is_cut = False
        cluster.links.append(self)

    def leave(self) -> None:
        """The process was killed, or has left. What it has sent still arrives."""
        self.is_gone = True
        if self in self._cluster.links:
            self._cluster.links.remove(self)

    def cut(self) -> None:
        """Nothing gets through any more."""
        self.is_cut = True

    def restore(self, *, resend: bool, again: int = 0) -> None:
        """It is connected again.

        Args:
            resend: whether what it has published meanwhile is sent now.
            again: how many of the messages that it sent last are sent a second time.
        """
        self.is_cut = False
        buffer, self._buffer = self._buffer, []
        repeated = list(self._sent)[-again:] if again else []
        for message in (*repeated, *(buffer if resend else ())):
            self._write(message)

    # As nats-py's connection

    def new_inbox(self) -> str:
        self._inboxes += 1
        return f"_INBOX.{self._name}.{self._inboxes}"

    def jetstream(self, timeout: float) -> NatsLink:
        return self

    async def subscribe(self, subject: str, cb: Callable[[Any], Awaitable[None]]) -> Any:
        return await self.listen(
            subject, lambda message: self._cluster.spawn(cb(message), f"{self._name} {message.subject}")
        )

    async def listen(self, subject: str, take: Callable[[Any], None]) -> Any:
        self._subscriptions[subject] = take

        async def unsubscribe() -> None:
            self._subscriptions.pop(subject, None)

        return SimpleNamespace(unsubscribe=unsubscribe)

    async def publish(
        self, subject: str, payload: bytes, reply: str = "", headers: dict[str, str] | None = None
    ) -> None:
        self.post(subject, payload, reply, headers)

    def post(self, subject: str, payload: bytes, reply: str = "", headers: dict[str, str] | None = None) -> None:
        self._send(lambda: self._cluster.publish(subject, payload, reply, headers or {}))

    async def flush(self) -> None:
        """The server that it is connected to answers, whether or not there is a leader."""

        def served() -> Callable[[asyncio.Future[None]], None]:
            return lambda answer: answer.set_result(None)

        await self._ask(served)

    # As its JetStream context

    async def request(self, do: Callable[[], T], *, writes: bool = False) -> T:
        """Have the servers do something, and wait for the answer.

        Raises:
            TimeoutError: none comes. Perhaps it was done.
        """
        return await self._ask(lambda: self._cluster.answer(do, writes=writes))

    async def stream_info(self, stream: str) -> Any:
        def state() -> Any:
            count = len(self._cluster.read_stream(self._cluster.subject_of(stream)))
            return SimpleNamespace(state=SimpleNamespace(messages=count, first_seq=1, last_seq=count))

        return await self.request(state)

    async def add_stream(self, config: Any) -> None:
        await self.request(lambda: self._cluster.add_stream(config.name, config.subjects[0]), writes=True)

    async def get_msg(self, stream: str, seq: int) -> Any:
        def message() -> Any:
            stored = self._cluster.read_stream(self._cluster.subject_of(stream))
            if seq > len(stored):  # the server that answers is behind
                raise nats.js.errors.NotFoundError
            return SimpleNamespace(data=stored[seq - 1].data)

        return await self.request(message)

    async def purge_stream(self, stream: str, seq: int) -> None:
        await self.request(lambda: None)  # nothing is deleted

    async def pull_subscribe(self, subject: str, stream: str, config: Any) -> Any:
        await self.request(lambda: None)
        return _Consumer(self, self._cluster, subject)

    async def key_value(self, name: str) -> Any:
        await self.request(lambda: None)
        return _Bucket(self, self._cluster, name)

    # The network

    def arrive(self, subject: str, data: bytes, reply: str) -> None:
        """Something was published; it is passed on if somebody here has subscribed to it."""
        take = self._subscriptions.get(subject) or self._subscriptions.get(f"{subject.rpartition('.')[0]}.*")
        if take is None:
            return

        def taken(message: Any) -> None:
            take(message)
            if self._process is not None and subject.startswith(f"_INBOX.{self._name}."):
                self._process.on_acknowledged()

        self._pass_on(taken, SimpleNamespace(subject=subject, data=data, reply=reply, headers=None))

    def _pass_on(self, take: Callable[[Any], None], message: Any) -> None:
        """It reaches the process after a while, unless the way is cut; one that is stopped finds it when it goes on."""

        def land() -> None:
            if not self.is_gone and not self.is_cut:
                self._loop.call_soon(take, message, context=self._context.copy())

        self._later("down", land)

    def _send(self, message: Callable[[], None]) -> None:
        """Something leaves the process: *message* is called when it arrives."""
        if self._process is None:
            self._write(message)
        else:
            self._process.send("nats", lambda: self._write(message))

    def _write(self, message: Callable[[], None]) -> None:
        if self.is_gone:
            return
        if self.is_cut:
            self._buffer.append(message)
        else:
            self._sent.append(message)
            self._later("up", message)

    def _later(self, way: str, callback: Callable[[], None]) -> None:
        """Call it after a while, and not before what was sent the same way earlier."""
        due = self._loop.time() + self._cluster.choice.uniform(_FASTEST_S, _SLOWEST_S)
        self._due[way] = max(self._due[way] + 1e-6, due)
        self._loop.call_at(self._due[way], callback, context=self._cluster.context)

    async def _ask(self, served: Callable[[], Callable[[asyncio.Future[T]], None] | None]) -> T:
        answer: asyncio.Future[T] = self._loop.create_future()

        def settle(result: Callable[[asyncio.Future[T]], None]) -> None:
            if not answer.done():
                result(answer)

        def serve() -> None:
            result = served()
            if result is not None:
                self._pass_on(settle, result)

        self._send(serve)
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                return await answer
        except TimeoutError:
            raise nats.errors.TimeoutError from None


class _Consumer:
    """As a pull subscription to all of a stream."""

    def __init__(self, link: NatsLink, cluster: Cluster, subject: str) -> None:
        self._link = link
        self._cluster = cluster
        self._subject = subject
        self._next = 0

    async def fetch(self, batch: int, timeout: float) -> list[Any]:
        stored = self._cluster.streams[self._subject]
        messages = await self._link.request(lambda: stored[self._next : self._next + batch])
        self._next += len(messages)
        return [
            SimpleNamespace(data=each.data, metadata=SimpleNamespace(sequence=SimpleNamespace(stream=each.number)))
            for each in messages
        ]

    async def unsubscribe(self) -> None:
        pass


class _Bucket:
    """As a key-value bucket."""

    def __init__(self, link: NatsLink, cluster: Cluster, name: str) -> None:
        self._link = link
        self._cluster = cluster
        self._name = name

    async def get(self, key: str) -> Any:
        def read() -> Any:
            found = self._cluster.read_entry(self._name, key)
            if found is None:
                raise nats.js.errors.KeyNotFoundError
            return SimpleNamespace(value=found.data, revision=found.number)

        return await self._link.request(read)

    async def update(self, key: str, value: bytes, last: int) -> int:
        return await self._link.request(lambda: self._cluster.put(self._name, key, value, last), writes=True)
