"""The link below a connection: what arrives, and every way in which it fails."""

from __future__ import annotations

import asyncio

import pytest

import cryptoproto as cp
from tests.support.peer import Script, ids, settle

V5 = cp.Protocol.V5


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


async def test_a_hello_that_arrives_as_open_is_cancelled(script: Script, alice_key: cp.PrivateKey) -> None:
    script.answer_hello = lambda peer: None
    opening = asyncio.ensure_future(script.connect(alice_key)._open())
    await settle()
    script.peer.accept()
    opening.cancel()  # the future of the handshake is cancelled now, the task runs after the hello
    with pytest.raises(asyncio.CancelledError):
        await opening
    await settle()
    assert not script.peer.live.done(), "no proof was sent"
    assert script.peer.closed is not None


async def test_a_signature_that_is_ready_after_the_end_is_not_sent(script: Script, alice_key: cp.PrivateKey) -> None:
    async with script.connect(alice_key) as connection:
        pump = connection._pump
        draft = pump.session.draft_message(b"{}")
        script.peer.lose()
        await settle()
        pump._dispatch(pump.session.signed_body(draft))
        await settle()
        assert script.peer.messages == []


async def test_pausing_is_idempotent_and_ends_with_the_link(script: Script, alice_key: cp.PrivateKey) -> None:
    connection = cp.Connection(script.connect(alice_key, protocol=V5)._options)
    connection.pause_events()  # not open yet
    connection.resume_events()
    await connection.open()
    connection.pause_events()
    connection.pause_events()
    assert not script.peer.client_reads
    connection.resume_events()
    connection.resume_events()
    script.peer.event(1)
    assert (await anext(connection)).transaction_id == 1
    await connection.close()
    connection.pause_events()
    assert not connection._pump.paused


async def test_sending_needs_an_open_connection(script: Script, alice_key: cp.PrivateKey) -> None:
    connection = cp.Connection(script.connect(alice_key, protocol=V5)._options)
    before = connection.next_sequence
    for call in (connection.send_encoded(b"{}"), connection.request(cp.UserBalanceRequest()), connection.send(b"{}")):
        with pytest.raises(cp.ConfigurationError, match="not open yet"):
            await call
    await connection.close()
    assert connection.next_sequence == before, "no sequence was used"
