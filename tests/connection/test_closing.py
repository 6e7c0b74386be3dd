"""How a connection ends: what each close means, and closing within a time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.connection.closing import ClosedHere, ending, own
from cryptoproto.transport import Closed, Listener, MemoryLink, OpenOptions, Transport
from tests.support.peer import Peer, Script, ids, settle, until_raised
from tests.support.virtual_time import virtual

V5 = cp.Protocol.V5


@pytest.mark.parametrize("opened", [False, True])
def test_a_fault_of_the_transport_is_a_decode_error(opened: bool) -> None:
    error = ending(Closed(1002, "", fault="a frame of 9 GB"), opened=opened)
    assert type(error) is cp.DecodeError
    assert str(error) == "a frame of 9 GB"


@pytest.mark.parametrize(
    ("error", "sent"), [(cp.ServerRestart(1012, "restart", position=7), True), (cp.DecodeError("no"), None)]
)
def test_each_caller_gets_a_copy_with_its_cause(error: cp.CryptoprotoError, sent: bool | None) -> None:
    error.__cause__ = ZeroDivisionError()
    copies = [own(error, sent=sent) for _ in range(2)]
    assert copies[0] is not copies[1]
    for each in copies:
        assert (type(each), str(each), each.sent, each.__cause__) == (type(error), str(error), sent, error.__cause__)
        assert getattr(each, "position", None) == getattr(error, "position", None)
    assert error.sent is None


def test_a_copy_of_the_own_close_is_an_ordinary_error() -> None:
    error = own(ClosedHere(1000, "closed by this end", position=3), sent=False)
    assert isinstance(error, cp.ConnectionClosed)
    assert (type(error), error.code, error.reason, error.position) == (
        cp.ConnectionClosed,
        1000,
        "closed by this end",
        3,
    )


@pytest.mark.parametrize(
    ("code", "reason", "error", "words"),
    [
        (1008, "client id 'alice' is not registered", cp.InvalidKey, "client id 'alice' is not registered"),
        (1008, "", cp.HandshakeError, "code 1008: no reason given"),
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


async def test_each_caller_gets_a_separate_exception(script: Script, alice_key: cp.PrivateKey) -> None:
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
async def test_a_cancelled_close_continues(script: Script, alice_key: cp.PrivateKey) -> None:
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
