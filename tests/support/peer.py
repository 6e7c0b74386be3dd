"""The exchange's end of links in memory, as a script: it says what a test tells it to, and keeps what it hears."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from typing import Any

import cryptoproto as cp
from cryptoproto.transport import Closed, MemoryLink, OpenOptions, Transport, TransportOpener, memory_opener
from cryptoproto.wire import ClientHello, MessageFrame, Proven, RequestFrame, ServerSession

__all__ = ["Peer", "Script", "balance", "changed", "ids", "settle", "until_raised"]

DEADLINE_S = 20.0


async def settle() -> None:
    """Let everything happen that can happen without time passing or a thread's help."""
    for _ in range(50):
        await asyncio.sleep(0)


def balance(account_id: int) -> bytes:
    """A response whose account id tells the call it is for."""
    return b'{"@type":"UserBalanceResponse","account_id":%d,"balances":{}}' % account_id


def changed(number: int) -> bytes:
    """An event's JSON, told from others by *number*."""
    return b'{"@type":"OrderNotFound","order_id":%d}' % number


def ids(events: list[cp.Event]) -> list[int | None]:
    """The transaction ids of *events*."""
    return [event.transaction_id for event in events]


async def until_raised(connection: cp.Connection) -> tuple[list[cp.Event], cp.CryptoprotoError]:
    """All events that are left, and what the iteration raises then."""
    events: list[cp.Event] = []
    try:
        async for event in connection:
            events.append(event)  # noqa: PERF401 - what came before the error counts
    except cp.CryptoprotoError as error:
        return events, error
    raise AssertionError("the iteration ended without an error")


class Peer:
    """One link, seen from the exchange.

    Attributes:
        messages: what the client sent, sequence and payload.
        requests: the requests, id and payload.
        closed: how the link ended.
        live: done once the handshake is over.
    """

    def __init__(self, script: Script) -> None:
        loop = asyncio.get_running_loop()
        self.session = ServerSession(script.private_key, os.urandom)
        self.messages: list[tuple[int, dict[str, Any]]] = []
        self.requests: list[tuple[int, dict[str, Any]]] = []
        self.hello: ClientHello | None = None
        self.closed: Closed | None = None
        self.heard = 0
        self.live: asyncio.Future[None] = loop.create_future()
        self.auto_reply = False
        self._script = script
        self._link: MemoryLink | None = None
        self._waiters: list[asyncio.Future[None]] = []

    # The listener

    def on_open(self, transport: Transport) -> None:
        assert isinstance(transport, MemoryLink)
        self._link = transport

    def on_message(self, data: bytes, more: bool = False) -> None:
        received = self.session.receive(data)
        if isinstance(received, ClientHello):
            self.hello = received
            if self._script.answer_hello is not None:
                self._script.answer_hello(self)
            else:
                self.accept()
        elif isinstance(received, Proven):
            self.live.set_result(None)
            for frame in self._script.greeting:
                frame(self)
        elif isinstance(received, MessageFrame):
            self.messages.append((received.sequence, json.loads(received.payload)))
        elif isinstance(received, RequestFrame):
            self.requests.append((received.request_id, json.loads(received.payload)))
            if self.auto_reply:
                self.reply(received.request_id)
        self._wake()

    def on_text(self, text: str) -> None:
        raise AssertionError(f"the client sent a text message: {text}")

    def on_heard(self) -> None:
        self.heard += 1
        self._wake()

    def on_closed(self, closed: Closed) -> None:
        self.closed = closed
        self._wake()

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something that this end hears makes *condition* true."""
        async with asyncio.timeout(DEADLINE_S):
            while not condition():
                waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._waiters.append(waiter)
                await waiter

    # The script

    @property
    def link(self) -> MemoryLink:
        assert self._link is not None
        return self._link

    @property
    def client_link(self) -> MemoryLink:
        """The client's end."""
        peer = self.link._peer
        assert peer is not None
        return peer

    @property
    def client_reads(self) -> bool:
        """Whether the client takes anything from its link."""
        return self.client_link.reading

    @property
    def sequences(self) -> list[int]:
        return [sequence for sequence, _ in self.messages]

    def accept(self) -> None:
        self.link.send(self.session.accept(self._script.client_key, self._script.last_sequence))

    def event(self, transaction_id: int, payload: bytes | None = None) -> None:
        payload = changed(transaction_id) if payload is None else payload
        self.link.send(self.session.transaction(transaction_id, 1.7e9 + transaction_id, payload))

    def events(self, first: int, last: int) -> None:
        for transaction_id in range(first, last + 1):
            self.event(transaction_id)

    def reply(self, request_id: int, payload: bytes | None = None) -> None:
        self.link.send(self.session.response(request_id, balance(request_id) if payload is None else payload))

    def throttle(self, level: int, request_id: int = 0, order_id: int = 0) -> None:
        self.link.send(self.session.throttling(level, request_id, order_id))

    def error(self, error_type: int, text: str) -> None:
        self.link.send(self.session.error(error_type, text))

    def broadcast(self, payload: bytes) -> None:
        self.link.send(self.session.broadcast(payload))

    def close(self, code: int, reason: str = "") -> None:
        self.link.close(code, reason, 1.0)

    def lose(self) -> None:
        """The network is gone: no code, no farewell."""
        self.link.abort()


class Script:
    """A host for :class:`Peer`; each connection to it gets a new one.

    Attributes:
        answer_hello: done in place of accepting the client.
        greeting: what is said right after the handshake.
        before_open: awaited before a link is there, as a network that takes its time.
    """

    def __init__(self, client_key: cp.PublicKey, private_key: cp.PrivateKey) -> None:
        self.client_key = client_key
        self.private_key = private_key
        self.last_sequence = 0
        self.peers: list[Peer] = []
        self.answer_hello: Callable[[Peer], None] | None = None
        self.greeting: list[Callable[[Peer], None]] = []
        self.before_open: Callable[[], Any] | None = None

    @property
    def peer(self) -> Peer:
        """The latest."""
        return self.peers[-1]

    def opener(self) -> TransportOpener:
        open_memory = memory_opener(self._make_peer)

        async def open_after_a_while(url: str, listener: Any, options: OpenOptions) -> Transport:
            if self.before_open is not None:
                await self.before_open()
            return await open_memory(url, listener, options)

        return open_after_a_while

    def _make_peer(self) -> Peer:
        self.peers.append(Peer(self))
        return self.peer

    def connect(self, client_key: cp.PrivateKey, **options: Any) -> cp.connect:
        """``cp.connect`` to this script."""
        arguments: dict[str, Any] = {
            "client_id": "alice",
            "private_key": client_key,
            "server_key": self.private_key.public_key,
            "transport": self.opener(),
        }
        return cp.connect("ws://127.0.0.1:1", **(arguments | options))


def placed(client_order_id: int, order_id: int = 1) -> bytes:
    """The JSON of an order that was accepted."""
    return (
        b'{"@type":"BuyOrderPlaced","order_id":%d,"client_order_id":%d,"trade_pair":"BTC_USD","price":"1",'
        b'"initial_amount":"1","amount":"1","closed_inline":false,"time":[1,2]}' % (order_id, client_order_id)
    )


def cancelled(client_order_id: int, order_id: int = 1) -> bytes:
    """The JSON of an order that was cancelled."""
    return b'{"@type":"BuyOrderCancelled","order_id":%d,"client_order_id":%d,"trade_pair":"BTC_USD","time":[1,2]}' % (
        order_id,
        client_order_id,
    )
