"""The script as a client: what it takes for an error of the exchange."""

from __future__ import annotations

import os

import pytest

import cryptoproto as cp
from cryptoproto.conformance.client_end import ClientEnd
from cryptoproto.transport import MemoryLink, memory_pair
from cryptoproto.wire import ClientHello, ServerSession
from tests.support.links import Recorder

pytestmark = pytest.mark.usefixtures("clean_loop")


async def opened(keys: dict[str, cp.PrivateKey]) -> tuple[ClientEnd, ServerSession, MemoryLink]:
    end = ClientEnd("alice", keys["alice"], keys["exchange"].public_key, cp.Protocol.V5)
    recorder = Recorder()
    there = memory_pair(end, recorder)[1]
    session = ServerSession(keys["exchange"], os.urandom)
    end.send_hello({"resume": 5}, {})
    await recorder.until(lambda: bool(recorder.log))
    hello = recorder.log[0]
    assert isinstance(hello, bytes)
    assert isinstance(session.receive(hello), ClientHello)
    there.send(session.accept(keys["alice"].public_key, 7))
    assert str(await end.next(1)) == "hello last_sequence=7 version=5"
    return end, session, there


async def test_transaction_ids_have_to_grow(keys: dict[str, cp.PrivateKey]) -> None:
    end, session, there = await opened(keys)
    for number in (6, 6):
        there.send(session.transaction(number, 1.0, b'{"@type":"X"}'))
    assert str(await end.next(1)) == "event X [transaction 6] [timestamp 1.0]"
    assert "transaction 6 came after 6" in str(await end.next(1))
    await end.finish()


async def test_an_iv_is_used_once(keys: dict[str, cp.PrivateKey]) -> None:
    end, session, there = await opened(keys)
    frame = session.error(2, "no")
    there.send(frame)
    there.send(frame)
    assert str(await end.next(1)) == "error 2 no"
    assert "the IV of an earlier frame" in str(await end.next(1))
    await end.finish()


async def test_a_proof_needs_a_challenge(keys: dict[str, cp.PrivateKey]) -> None:
    end = ClientEnd("alice", keys["alice"], keys["exchange"].public_key, cp.Protocol.V5)
    with pytest.raises(cp.ConfigurationError, match="no challenge"):
        end.send_proof({})
