"""One live connection: opening, events in order, and every way in which it ends."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.transport import Listener, MemoryLink, OpenOptions, Transport
from cryptoproto.wire import ServerHello
from cryptoproto.wire.handshake import server_hello
from tests.support.peer import Peer, Script, changed, settle, until_raised
from tests.support.virtual_time import virtual

V5 = cp.Protocol.V5


def ids(events: list[cp.Event]) -> list[int | None]:
    return [event.transaction_id for event in events]


def is_open(connection: cp.Connection) -> bool:
    """The property, each time anew in the type checker's eyes."""
    return connection.is_open


# Opening


async def test_connect_is_awaitable_and_a_context_manager(
    script: Script, alice_key: cp.PrivateKey, protocol: cp.Protocol
) -> None:
    script.last_sequence = 41
    connection = await script.connect(alice_key, protocol=protocol, resume_from=17)
    assert is_open(connection)
    assert connection.error is None
    assert connection.last_sequence == 41
    assert connection.protocol is protocol
    assert repr(connection) == "<Connection alice to ws://127.0.0.1:1, open>"
    await script.peer.until(script.peer.live.done)
    assert script.peer.hello is not None
    assert (script.peer.hello.client_id, script.peer.hello.last_seen_order) == ("alice", 17)
    assert script.peer.hello.version == protocol.version
    await connection.close()
    assert not is_open(connection)
    assert connection.error is None
    assert repr(connection).endswith("closed>")
    async with script.connect(alice_key, protocol=protocol) as second:
        assert is_open(second)
    assert not is_open(second)
    async with await script.connect(alice_key, protocol=protocol) as third:
        assert is_open(third)
    assert not is_open(third)


async def test_a_body_that_raises_closes_the_connection_and_keeps_its_exception(
    script: Script, alice_key: cp.PrivateKey
) -> None:
    with pytest.raises(ZeroDivisionError):
        async with script.connect(alice_key) as connection:
            raise ZeroDivisionError
    assert not is_open(connection)
    await connection.wait_closed()
    assert script.peer.closed is not None
    assert script.peer.closed.code == 1000


async def test_each_connection_of_one_connect_is_its_own(script: Script, alice_key: cp.PrivateKey) -> None:
    connecting = script.connect(alice_key, protocol=V5)
    first, second = await connecting, await connecting
    assert first is not second
    assert len(script.peers) == 2
    await first.close()
    assert is_open(second)
    await second.close()


async def test_the_next_sequence_follows_what_the_exchange_has_seen(
    script: Script, alice_key: cp.PrivateKey, protocol: cp.Protocol
) -> None:
    script.last_sequence = 2**40
    async with script.connect(alice_key, protocol=protocol) as connection:
        sent = [await connection.send(cp.CancelAllOrders()) for _ in range(3)]
        assert sent == [2**40 + 1, 2**40 + 2, 2**40 + 3]
        await script.peer.until(lambda: script.peer.sequences == sent)


async def test_typed_messages_mappings_and_json_are_sent_as_they_are(
    script: Script, alice_key: cp.PrivateKey, protocol: cp.Protocol
) -> None:
    async with script.connect(alice_key, protocol=protocol) as connection:
        await connection.send(cp.PlaceBuyLimitOrder(trade_pair="BTC_USD", amount="1", price="15000", client_order_id=7))
        await connection.send({"@type": "CancelOrder", "order_id": 5})
        await connection.send(b'{"@type": "CancelAllOrders"}')
        await script.peer.until(lambda: len(script.peer.messages) == 3)
        payloads = [payload for _, payload in script.peer.messages]
        assert payloads[0]["@type"] == "PlaceBuyLimitOrder"
        assert (payloads[0]["amount"], payloads[0]["price"], payloads[0]["client_order_id"]) == ("1", "15000", 7)
        assert payloads[1:] == [{"@type": "CancelOrder", "order_id": 5}, {"@type": "CancelAllOrders"}]


@pytest.mark.parametrize("stage", ["network", "hello"])
def test_open_timeout_covers_every_stage(
    stage: str, protocol: cp.Protocol, script: Script, alice_key: cp.PrivateKey
) -> None:
    @virtual
    async def check() -> None:
        loop = asyncio.get_running_loop()
        if stage == "network":
            script.before_open = loop.create_future  # awaited, and never done
        else:
            script.answer_hello = lambda peer: None
        before = loop.time()
        with pytest.raises(cp.OpenTimeout, match=r"did not finish the handshake within 2\.5 s") as caught:
            await script.connect(alice_key, protocol=protocol, open_timeout=2.5)
        assert loop.time() - before == pytest.approx(2.5)
        assert isinstance(caught.value, TimeoutError | cp.HandshakeError)
        if stage == "hello":
            await settle()
            assert script.peer.closed is not None, "the link was left open"

    check()


@pytest.mark.parametrize(
    ("code", "reason", "error", "words"),
    [
        (1008, "client id 'alice' is not registered", cp.InvalidKey, "client id 'alice' is not registered"),
        (1008, "", cp.InvalidKey, "rejected the handshake: no reason given"),
        (1002, "version 3 is not spoken", cp.HandshakeError, "code 1002: version 3 is not spoken"),
        (1000, "", cp.HandshakeError, "code 1000: no reason given"),
        (1012, "restart", cp.ServerRestart, "restart"),
        (4000, "", cp.ConcurrentConnection, "4000"),
        (4001, "", cp.InvalidSequence, "4001"),
        (None, "", cp.HandshakeError, "lost during the handshake"),
    ],
)
async def test_refusals_of_the_handshake(
    code: int | None, reason: str, error: type[Exception], words: str, script: Script, alice_key: cp.PrivateKey
) -> None:
    script.answer_hello = lambda peer: peer.lose() if code is None else peer.close(code, reason)
    with pytest.raises(error, match=words):
        await script.connect(alice_key)


async def test_an_answer_for_another_key(script: Script, alice_key: cp.PrivateKey, bob_key: cp.PrivateKey) -> None:
    script.client_key = bob_key.public_key
    with pytest.raises(cp.InvalidKey, match="it knows another public key for this client id"):
        await script.connect(alice_key)
    await settle()
    assert script.peer.closed is not None
    assert script.peer.closed.code == 1002


@pytest.mark.parametrize("version", [0, 2, 3, 4, 6])
async def test_an_exchange_of_another_version(
    version: int, script: Script, alice_key: cp.PrivateKey, protocol: cp.Protocol
) -> None:
    hello = ServerHello(bytes(32), 0, bytes(32), version)
    script.answer_hello = lambda peer: peer.link.send(server_hello(hello, alice_key.public_key))
    with pytest.raises(cp.UnsupportedVersion, match=f"speaks version {version} of the protocol"):
        await script.connect(alice_key, protocol=protocol)


@pytest.mark.parametrize("frame", [b"", b"x", bytes(256), b"y" * 2**20, b"z" * (2**20 + 1)], ids=len)
async def test_rubbish_for_a_hello(frame: bytes, script: Script, alice_key: cp.PrivateKey) -> None:
    script.answer_hello = lambda peer: peer.link.send(frame)
    with pytest.raises((cp.InvalidKey, cp.DecodeError)):
        await script.connect(alice_key)
    await settle()
    assert script.peer.closed is not None


async def test_nobody_at_the_address(script: Script, alice_key: cp.PrivateKey) -> None:
    async def refuse() -> None:
        raise ConnectionRefusedError(111, "Connection refused")

    script.before_open = refuse
    with pytest.raises(
        cp.ConnectionClosed, match=r"cannot connect to ws://127\.0\.0\.1:1: Connection refused"
    ) as caught:
        await script.connect(alice_key)
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)
    assert caught.value.code is None


async def test_what_an_opener_of_ones_own_raises_is_not_hidden_and_leaves_no_link(
    script: Script, alice_key: cp.PrivateKey
) -> None:
    inner = script.opener()

    async def faulty(url: str, listener: Listener, options: OpenOptions) -> Transport:
        await inner(url, listener, options)
        raise KeyError("by design")

    with pytest.raises(KeyError):
        await script.connect(alice_key, transport=faulty)
    await settle()
    assert script.peer.closed is not None


async def test_closed_before_and_while_it_is_opened(script: Script, alice_key: cp.PrivateKey) -> None:
    connecting = script.connect(alice_key)
    connection = cp.Connection(connecting._options)
    with pytest.raises(cp.ConfigurationError, match="not open yet"):
        await connection.send(cp.CancelAllOrders())
    await connection.close()
    await connection.wait_closed()
    with pytest.raises(cp.ConnectionClosed):
        await connection.open()
    await settle()
    assert script.peer.closed is not None

    script.answer_hello = lambda peer: None
    connection = cp.Connection(connecting._options)
    opening = asyncio.create_task(connection.open())
    await settle()
    await connection.close()
    with pytest.raises(cp.ConnectionClosed):
        await opening


# Events


async def test_events_come_in_order_with_all_that_was_sent(
    script: Script, alice_key: cp.PrivateKey, protocol: cp.Protocol
) -> None:
    async with script.connect(alice_key, protocol=protocol) as connection:
        script.peer.event(3)
        script.peer.broadcast(b'{"@type":"TradesDisabledOnPairs","trade_pairs":["BTC_USD"]}')
        script.peer.event(10, b'{"@type":"FromTheFuture","x":[1]}')
        script.peer.event(11, b'{"@type":"OrderNotFound","order_id":4,"colour":"red"}')
        events = [await anext(connection) for _ in range(4)]
        assert ids(events) == [3, None, 10, 11]
        assert events[0].message == cp.OrderNotFound(order_id=3)
        assert events[0].timestamp == 1.7e9 + 3
        assert events[0].raw == changed(3)
        assert events[0].received_ns > 1.6e18
        assert events[1].message == cp.TradesDisabledOnPairs(trade_pairs=["BTC_USD"])
        assert events[1].timestamp is None
        assert events[1].at is None
        assert events[2].message == cp.Unknown(type="FromTheFuture", payload={"@type": "FromTheFuture", "x": [1]})
        assert events[3].payload["colour"] == "red"
        assert connection.queued == 0


async def test_what_was_processed_before_is_skipped(
    script: Script, alice_key: cp.PrivateKey, protocol: cp.Protocol
) -> None:
    async with script.connect(alice_key, protocol=protocol, resume_from=5) as connection:
        for transaction_id in (1, 5, 6, 6, 2, 9, 7, 10):
            script.peer.event(transaction_id)
        assert ids([await anext(connection) for _ in range(3)]) == [6, 9, 10]
        await settle()
        assert connection.queued == 0


async def test_events_that_follow_the_handshake_at_once_are_not_lost(
    script: Script, alice_key: cp.PrivateKey, protocol: cp.Protocol
) -> None:
    script.greeting = [lambda peer: peer.events(1, 100)]
    async with script.connect(alice_key, protocol=protocol) as connection:
        assert ids([await anext(connection) for _ in range(100)]) == list(range(1, 101))


async def test_on_event_is_called_in_order_in_place_of_the_iteration(
    script: Script, alice_key: cp.PrivateKey, protocol: cp.Protocol
) -> None:
    seen: list[cp.Event] = []
    script.greeting = [lambda peer: peer.events(1, 10)]
    async with script.connect(alice_key, protocol=protocol, on_event=seen.append) as connection:
        await script.peer.until(script.peer.live.done)
        script.peer.events(11, 20)
        await settle()
        assert ids(seen) == list(range(1, 21))
        assert connection.queued == 0
        with pytest.raises(cp.ConfigurationError, match="events go to on_event"):
            aiter(connection)


@pytest.mark.parametrize("exception", [ValueError("by design"), asyncio.CancelledError()])
async def test_on_event_that_raises_ends_the_connection_with_its_cause(
    exception: BaseException, script: Script, alice_key: cp.PrivateKey, protocol: cp.Protocol
) -> None:
    seen: list[int | None] = []

    def callback(event: cp.Event) -> None:
        seen.append(event.transaction_id)
        if event.transaction_id == 2:
            raise exception

    async with script.connect(alice_key, protocol=protocol, on_event=callback) as connection:
        request = asyncio.create_task(connection.request(cp.UserBalanceRequest()))
        await script.peer.until(lambda: len(script.peer.requests) == 1)
        script.peer.events(1, 5)
        with pytest.raises(cp.ConnectionClosed, match=f"callback raised {type(exception).__name__}") as caught:
            await request
        assert caught.value.__cause__ is exception
        assert caught.value.position == 2
        assert caught.value.sent is True
        assert seen == [1, 2]
        assert connection.error is not None
        assert connection.error.__cause__ is exception
        await connection.wait_closed()


async def test_a_second_iterator_is_refused(script: Script, alice_key: cp.PrivateKey) -> None:
    async with script.connect(alice_key, protocol=V5) as connection:
        first = asyncio.ensure_future(anext(connection))
        await settle()
        with pytest.raises(cp.ConfigurationError, match="let one task iterate"):
            await anext(connection)
        script.peer.event(1)
        assert (await first).transaction_id == 1


# The end


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (1000, cp.ConnectionClosed),
        (1001, cp.ConnectionClosed),
        (1008, cp.ConnectionClosed),
        (1011, cp.ConnectionClosed),
        (1012, cp.ServerRestart),
        (1013, cp.ConnectionClosed),
        (3999, cp.ConnectionClosed),
        (4000, cp.ConcurrentConnection),
        (4001, cp.InvalidSequence),
        (4002, cp.ConnectionClosed),
        (4009, cp.RateLimited),
        (4999, cp.ConnectionClosed),
    ],
)
async def test_every_close_code_has_its_class(
    code: int, error: type[cp.ConnectionClosed], script: Script, alice_key: cp.PrivateKey
) -> None:
    async with script.connect(alice_key, protocol=V5) as connection:
        script.peer.events(1, 2)
        script.peer.close(code, "because")
        events, caught = await until_raised(connection)
        assert ids(events) == [1, 2]
        assert type(caught) is error
        assert isinstance(caught, ConnectionError)
        assert (caught.code, caught.reason, caught.position) == (code, "because", 2)
        assert type(connection.error) is error


async def test_a_lost_link(script: Script, alice_key: cp.PrivateKey, protocol: cp.Protocol) -> None:
    async with script.connect(alice_key, protocol=protocol, resume_from=7) as connection:
        script.peer.lose()
        with pytest.raises(cp.ConnectionClosed, match="without a close code: the connection was lost") as caught:
            await anext(connection)
        assert caught.value.position == 7, "where it resumed from, as nothing came since"


@pytest.mark.parametrize(
    ("number", "text", "error"),
    [
        (-1, "oh", cp.UnknownServerError),
        (1, "id 7", cp.DuplicateClientOrderId),
        (2, "no price", cp.InvalidPayload),
        (3, "BTC_USD", cp.TradesDisabled),
        (99, "new", cp.UnknownServerError),
    ],
)
async def test_error_frames(
    number: int, text: str, error: type[cp.ServerError], script: Script, alice_key: cp.PrivateKey, protocol: cp.Protocol
) -> None:
    async with script.connect(alice_key, protocol=protocol) as connection:
        script.peer.event(1)
        script.peer.error(number, text)
        script.peer.event(2)
        script.peer.close(1008, "see the error frame")
        assert (await anext(connection)).transaction_id == 1, "what came before the error comes first"
        with pytest.raises(error) as caught:
            await anext(connection)
        assert type(caught.value) is error
        assert (caught.value.error_type, caught.value.text) == (number, text)
        await connection.wait_closed()
        assert type(connection.error) is error, "the close that follows does not hide it"


async def test_the_exchange_missed_our_heartbeat(script: Script, alice_key: cp.PrivateKey) -> None:
    async with script.connect(alice_key) as connection:
        script.peer.error(-1, "TimeoutError()")
        with pytest.raises(cp.HeartbeatTimeout, match="the exchange missed our heartbeat"):
            await anext(connection)


@pytest.mark.parametrize("frame", [b"", b"x", bytes(16), bytes(31), bytes(48), b"q" * (2**20 + 16)], ids=len)
async def test_rubbish_after_the_handshake(
    frame: bytes, script: Script, alice_key: cp.PrivateKey, protocol: cp.Protocol
) -> None:
    async with script.connect(alice_key, protocol=protocol) as connection:
        script.peer.event(1)
        script.peer.link.send(frame)
        assert (await anext(connection)).transaction_id == 1
        with pytest.raises(cp.DecodeError):
            await anext(connection)
        await connection.wait_closed()
        await settle()
        assert script.peer.closed is not None
        assert script.peer.closed.code == 1002


@pytest.mark.parametrize(
    "payload", [b"", b"{", b"[]", b"\xff", b'{"@type":"OrderNotFound"}', b'{"@type":5}', b"[" * 9999]
)
async def test_rubbish_for_json(
    payload: bytes, script: Script, alice_key: cp.PrivateKey, protocol: cp.Protocol
) -> None:
    async with script.connect(alice_key, protocol=protocol) as connection:
        script.peer.event(1)
        script.peer.event(2, payload)
        assert (await anext(connection)).transaction_id == 1
        with pytest.raises(cp.DecodeError):
            await anext(connection)
        await connection.wait_closed()


async def test_a_text_message(script: Script, alice_key: cp.PrivateKey) -> None:
    async with script.connect(alice_key) as connection:
        script.peer.link.send_text("hello")
        with pytest.raises(cp.DecodeError, match="received a text message; frames are binary"):
            await anext(connection)


async def test_everybody_gets_an_exception_of_their_own(script: Script, alice_key: cp.PrivateKey) -> None:
    async with script.connect(alice_key, protocol=V5) as connection:
        requests = [asyncio.ensure_future(connection.request(cp.UserBalanceRequest())) for _ in range(3)]
        iterating = asyncio.ensure_future(anext(connection))
        await settle()
        script.peer.close(1012)
        errors = await asyncio.gather(*requests, iterating, return_exceptions=True)
        for call in (connection.send, connection.request):
            with pytest.raises(cp.ServerRestart) as caught:
                await call(cp.UserBalanceRequest())
            errors.append(caught.value)
        for _ in range(2):
            with pytest.raises(cp.ServerRestart) as caught:
                await anext(connection)
            errors.append(caught.value)
        assert {type(error) for error in errors} == {cp.ServerRestart}
        assert len({id(error) for error in errors}) == len(errors) == 8
        assert [getattr(error, "sent", 0) for error in errors] == [True, True, True, None, False, False, None, None]


# Closing


async def test_after_close_what_came_is_iterated_and_then_the_end(
    script: Script, alice_key: cp.PrivateKey, protocol: cp.Protocol
) -> None:
    connection = await script.connect(alice_key, protocol=protocol)
    script.peer.events(1, 5)
    await settle()
    await connection.close()
    assert ids([event async for event in connection]) == [1, 2, 3, 4, 5]
    assert [event async for event in connection] == []
    with pytest.raises(cp.ConnectionClosed, match="closed by this end") as caught:
        await connection.send(cp.CancelAllOrders())
    assert type(caught.value) is cp.ConnectionClosed
    assert caught.value.sent is False


async def test_close_ends_the_calls_and_the_iteration(
    script: Script, alice_key: cp.PrivateKey, protocol: cp.Protocol
) -> None:
    connection = await script.connect(alice_key, protocol=protocol)
    iterating = asyncio.ensure_future(anext(connection, None))
    request = asyncio.ensure_future(connection.request(cp.UserBalanceRequest()))
    await script.peer.until(lambda: len(script.peer.requests) == 1)
    await connection.close()
    with pytest.raises(cp.ConnectionClosed) as caught:
        await request
    assert caught.value.sent is True
    assert await iterating is None


async def test_close_is_idempotent_and_may_be_called_by_many(script: Script, alice_key: cp.PrivateKey) -> None:
    connection = await script.connect(alice_key)
    waiting = asyncio.create_task(connection.wait_closed())
    await asyncio.gather(*(connection.close() for _ in range(5)))
    await connection.close()
    await waiting
    assert connection.error is None


async def test_close_after_the_end_keeps_the_error(script: Script, alice_key: cp.PrivateKey) -> None:
    connection = await script.connect(alice_key)
    script.peer.close(4000)
    await connection.wait_closed()
    await connection.close()
    assert isinstance(connection.error, cp.ConcurrentConnection)
    with pytest.raises(cp.ConcurrentConnection):
        await anext(connection)


class SilentLink(MemoryLink):
    """A link whose peer never answers a close."""

    def close(self, code: int, reason: str, timeout: float) -> None:
        self._loop.call_later(timeout, self.abort)


def silent(script: Script) -> Any:
    async def open_silent(url: str, listener: Listener, options: OpenOptions) -> Transport:
        peer = Peer(script)
        script.peers.append(peer)
        here, there = SilentLink(listener), MemoryLink(peer)
        here.join(there)
        peer.on_open(there)
        listener.on_open(here)
        return here

    return open_silent


@virtual
async def test_close_is_bounded_where_the_peer_is_silent(script: Script, alice_key: cp.PrivateKey) -> None:
    loop = asyncio.get_running_loop()
    for timeout in (0.5, 3.0):
        connection = await script.connect(alice_key, protocol=V5, transport=silent(script))
        before = loop.time()
        await connection.close(timeout)
        assert loop.time() - before == pytest.approx(timeout)
    connection = await script.connect(alice_key, protocol=V5, transport=silent(script))
    before = loop.time()
    await connection.close()
    assert loop.time() - before == pytest.approx(5.0)


@virtual
async def test_a_close_has_its_own_timeout_where_the_link_is_closing_already(
    script: Script, alice_key: cp.PrivateKey
) -> None:
    loop = asyncio.get_running_loop()
    connection = await script.connect(alice_key, protocol=V5, transport=silent(script))
    patient = asyncio.create_task(connection.close(60.0))
    await settle()
    before = loop.time()
    await connection.close(0.25)
    await patient
    assert loop.time() - before == pytest.approx(0.25)


@virtual
async def test_a_cancelled_close_goes_on(script: Script, alice_key: cp.PrivateKey) -> None:
    loop = asyncio.get_running_loop()
    connection = await script.connect(alice_key, protocol=V5, transport=silent(script))
    before = loop.time()
    closing = asyncio.create_task(connection.close(2.0))
    await settle()
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    await connection.wait_closed()
    assert loop.time() - before == pytest.approx(2.0)
