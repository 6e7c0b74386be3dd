"""A NATS cluster with JetStream, in memory: as much of it as gateways and a strategy use.

The cluster itself never fails. What fails is the way to it: messages take their time, and a process is cut off, after
which what it has published meanwhile arrives late or not at all.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, Final

import msgspec
import nats.errors
import nats.js.errors

__all__ = ["Cluster", "NatsLink"]

_WRONG_LAST: Final = {"error": {"code": 400, "err_code": 10071, "description": "wrong last sequence"}}
_TIMEOUT_S: Final = 5.0
_FASTEST_S: Final = 0.0002
_SLOWEST_S: Final = 0.004


class Cluster:
    """What the servers keep.

    Attributes:
        streams: the messages of each stream, by its subject.
        entries: the value and revision of each entry, by bucket and key.
        history: the values that each entry has had, by revision.
        links: of all processes.
    """

    def __init__(self, choice: random.Random, spawn: Callable[..., Any]) -> None:
        self.streams: dict[str, list[bytes]] = {}
        self.entries: dict[tuple[str, str], tuple[bytes, int]] = {}
        self.history: dict[tuple[str, str], dict[int, bytes]] = {}
        self.links: list[NatsLink] = []
        self.choice = choice
        self.spawn = spawn
        self._subjects: dict[str, str] = {}
        self._ids: dict[tuple[str, str], int] = {}
        self._revision = 0

    def add_stream(self, name: str, subject: str) -> None:
        self._subjects[name] = subject
        self.streams[subject] = []

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
        if last != self.entries.get((bucket, key), (b"", 0))[1]:
            raise nats.js.errors.KeyWrongLastSequenceError("wrong last sequence")
        self._revision += 1
        self.entries[bucket, key] = value, self._revision
        self.history.setdefault((bucket, key), {})[self._revision] = value
        self.deliver(f"$KV.{bucket}.{key}", value, "")
        return self._revision

    def publish(self, subject: str, data: bytes, reply: str, headers: dict[str, str]) -> None:
        """A message has arrived."""
        stored = self.streams.get(subject)
        if stored is None:
            self.deliver(subject, data, reply)
            return
        message_id = headers.get("Nats-Msg-Id", "")
        answer: dict[str, Any]
        if (known := self._ids.get((subject, message_id))) is not None:
            answer = {"seq": known, "duplicate": True}
        elif int(headers.get("Nats-Expected-Last-Sequence", len(stored))) != len(stored):
            answer = _WRONG_LAST
        else:
            stored.append(data)
            answer = {"seq": len(stored)}
            if message_id:
                self._ids[subject, message_id] = len(stored)
        self.deliver(reply, msgspec.json.encode({"stream": "", **answer}), "")

    def deliver(self, subject: str, data: bytes, reply: str) -> None:
        """Pass a message on to everybody who has subscribed."""
        for link in self.links:
            link.arrive(subject, data, reply)


class NatsLink:
    """The connection of one process, in the place of nats-py's.

    Attributes:
        is_gone: whether its process was killed.
        is_cut: whether nothing gets through.
    """

    def __init__(self, cluster: Cluster, name: str) -> None:
        self._cluster = cluster
        self._name = name
        self._loop = asyncio.get_running_loop()
        self._subscriptions: dict[str, Callable[[Any], Awaitable[None]]] = {}
        self._inboxes = 0
        self._due = {"up": 0.0, "down": 0.0}
        self._buffer: list[tuple[str, bytes, str, dict[str, str]]] = []
        self.is_gone = False
        self.is_cut = False
        cluster.links.append(self)

    def leave(self) -> None:
        """The process was killed, or has left."""
        self.is_gone = True
        if self in self._cluster.links:
            self._cluster.links.remove(self)

    def cut(self) -> None:
        """Nothing gets through any more."""
        self.is_cut = True

    def restore(self, *, resend: bool) -> None:
        """It is connected again; *resend* says whether what it has published meanwhile is sent now."""
        self.is_cut = False
        buffer, self._buffer = self._buffer, []
        for message in buffer if resend else ():
            self._send(*message)

    # As nats-py's connection

    def new_inbox(self) -> str:
        self._inboxes += 1
        return f"_INBOX.{self._name}.{self._inboxes}"

    def jetstream(self, timeout: float) -> NatsLink:
        return self

    async def subscribe(self, subject: str, cb: Callable[[Any], Awaitable[None]]) -> Any:
        self._subscriptions[subject] = cb

        async def unsubscribe() -> None:
            self._subscriptions.pop(subject, None)

        return SimpleNamespace(unsubscribe=unsubscribe)

    async def listen(self, subject: str, take: Callable[[Any], None]) -> Any:
        async def take_soon(message: Any) -> None:
            take(message)

        return await self.subscribe(subject, take_soon)

    async def publish(
        self, subject: str, payload: bytes, reply: str = "", headers: dict[str, str] | None = None
    ) -> None:
        self.post(subject, payload, reply, headers)

    def post(self, subject: str, payload: bytes, reply: str = "", headers: dict[str, str] | None = None) -> None:
        if self.is_cut:
            self._buffer.append((subject, payload, reply, headers or {}))
        else:
            self._send(subject, payload, reply, headers or {})

    async def flush(self) -> None:
        await self._round_trip()

    # As its JetStream context

    async def stream_info(self, stream: str) -> Any:
        await self._round_trip()
        count = len(self._cluster.streams[self._cluster.subject_of(stream)])
        return SimpleNamespace(state=SimpleNamespace(messages=count, first_seq=1, last_seq=count))

    async def add_stream(self, config: Any) -> None:
        await self._round_trip()
        self._cluster.add_stream(config.name, config.subjects[0])

    async def get_last_msg(self, stream: str, subject: str) -> Any:
        await self._round_trip()
        if not (stored := self._cluster.streams[subject]):
            raise nats.js.errors.NotFoundError
        return SimpleNamespace(seq=len(stored), data=stored[-1])

    async def purge_stream(self, stream: str, seq: int) -> None:
        await self._round_trip()  # nothing is deleted

    async def pull_subscribe(self, subject: str, stream: str, config: Any) -> Any:
        await self._round_trip()
        return _Consumer(self, self._cluster.streams[subject])

    async def key_value(self, name: str) -> Any:
        await self._round_trip()
        return _Bucket(self, self._cluster, name)

    # The network

    def arrive(self, subject: str, data: bytes, reply: str) -> None:
        """Something was published; it is passed on if somebody here has subscribed to it."""
        callback = self._subscriptions.get(subject) or self._subscriptions.get(f"{subject.rpartition('.')[0]}.*")
        if callback is not None and not self.is_cut:
            message = SimpleNamespace(subject=subject, data=data, reply=reply, headers=None)
            self._later("down", self._receive, callback, message)

    def _receive(self, callback: Callable[[Any], Awaitable[None]], message: Any) -> None:
        if not self.is_gone and not self.is_cut:
            self._cluster.spawn(callback(message), f"{self._name} {message.subject}")

    def _send(self, subject: str, payload: bytes, reply: str, headers: dict[str, str]) -> None:
        self._later("up", self._sent, subject, payload, reply, headers)

    def _sent(self, *message: Any) -> None:
        if not self.is_gone:
            self._cluster.publish(*message)

    def _later(self, way: str, callback: Callable[..., None], *arguments: Any) -> None:
        """Call it after a while, and not before what was sent the same way earlier."""
        due = self._loop.time() + self._cluster.choice.uniform(_FASTEST_S, _SLOWEST_S)
        self._due[way] = max(self._due[way] + 1e-6, due)
        self._loop.call_at(self._due[way], callback, *arguments)

    async def _round_trip(self) -> None:
        """Wait for an answer.

        Raises:
            TimeoutError: none comes.
        """
        await asyncio.sleep(2 * self._cluster.choice.uniform(_FASTEST_S, _SLOWEST_S))
        if self.is_cut or self.is_gone:
            await asyncio.sleep(_TIMEOUT_S)
            raise nats.errors.TimeoutError


class _Consumer:
    """As a pull subscription to all of a stream."""

    def __init__(self, link: NatsLink, stored: list[bytes]) -> None:
        self._link = link
        self._stored = stored
        self._next = 0

    async def fetch(self, batch: int, timeout: float) -> list[Any]:
        await self._link._round_trip()
        messages = self._stored[self._next : self._next + batch]
        begin, self._next = self._next, self._next + len(messages)
        return [
            SimpleNamespace(data=data, metadata=SimpleNamespace(sequence=SimpleNamespace(stream=number)))
            for number, data in enumerate(messages, begin + 1)
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
        await self._link._round_trip()
        found = self._cluster.entries.get((self._name, key))
        if found is None:
            raise nats.js.errors.KeyNotFoundError
        return SimpleNamespace(value=found[0], revision=found[1])

    async def update(self, key: str, value: bytes, last: int) -> int:
        half = self._cluster.choice.uniform(_FASTEST_S, _SLOWEST_S)
        await asyncio.sleep(half)
        if self._link.is_cut or self._link.is_gone:
            await asyncio.sleep(_TIMEOUT_S)
            raise nats.errors.TimeoutError
        revision = self._cluster.put(self._name, key, value, last)
        await self._link._round_trip()  # the answer may be lost although it was written
        return revision
