"""The script as an exchange: what it takes for an error of the client."""

from __future__ import annotations

import os

import pytest

import cryptoproto as cp
from cryptoproto.conformance.exchange_end import ExchangeEnd
from cryptoproto.transport import MemoryLink, memory_pair
from cryptoproto.wire import ClientSession, Opened
from tests.support.links import Recorder

pytestmark = pytest.mark.usefixtures("clean_loop")


async def opened(
    keys: dict[str, cp.PrivateKey], protocol: cp.Protocol
) -> tuple[ExchangeEnd, ClientSession, MemoryLink]:
    end = ExchangeEnd(keys["exchange"], keys["alice"].public_key, protocol)
    recorder = Recorder()
    there, _ = memory_pair(recorder, end)
    session = ClientSession(
        client_id="alice", private_key=keys["alice"], server_key=keys["exchange"].public_key, random=os.urandom,
        protocol=protocol,
    )  # fmt: skip
    there.send(session.hello())
    assert (await end.next(1)) is not None
    end.send_hello({"last_sequence": 4}, {})
    await recorder.until(lambda: bool(recorder.log))
    frame = recorder.log[0]
    assert isinstance(frame, bytes)
    answer = session.receive(frame)
    assert isinstance(answer, Opened)
    there.send(answer.proof)
    assert str(await end.next(1)) == "proof"
    return end, session, there


async def test_sequences_have_to_be_consecutive(keys: dict[str, cp.PrivateKey]) -> None:
    end, session, there = await opened(keys, cp.Protocol.V5)
    there.send(session.message_frame(b'{"@type":"X"}')[1])
    assert str(await end.next(1)) == "message X [sequence 5]"
    session.next_sequence = 7
    there.send(session.message_frame(b'{"@type":"X"}')[1])
    assert "sequence 7 came where 6 is the next one" in str(await end.next(1))
    await end.finish()


async def test_request_ids_in_flight_have_to_differ(keys: dict[str, cp.PrivateKey]) -> None:
    end, session, there = await opened(keys, cp.Protocol.V5)
    for _ in range(2):
        session._next_request_id = 3
        there.send(session.request_frame(b'{"@type":"X"}')[1])
    assert str(await end.next(1)) == "request X [request 3]"
    assert "request id 3 is already in flight" in str(await end.next(1))
    end.send_response(b"{}", {})
    with pytest.raises(cp.ConfigurationError, match="no request is in flight"):
        end.send_response(b"{}", {})
    await end.finish()


async def test_signatures_and_ivs_are_checked(keys: dict[str, cp.PrivateKey]) -> None:
    end, session, there = await opened(keys, cp.Protocol.SIGNED)
    draft = session.draft_message(b'{"@type":"X"}')
    body = session.signed_body(draft)
    there.send(session.seal_body(body[:4] + bytes(256) + body[260:]))  # the signature is an opaque of 256 bytes
    assert "the signature of a frame is not valid" in str(await end.next(1))
    frame = session.seal_body(body)
    there.send(frame)
    there.send(frame)
    assert str(await end.next(1)) == "message X [sequence 5]"
    assert "the IV of an earlier frame" in str(await end.next(1))
    await end.finish()


async def test_the_form_of_the_hello_is_checked(keys: dict[str, cp.PrivateKey]) -> None:
    end = ExchangeEnd(keys["exchange"], keys["alice"].public_key, cp.Protocol.SIGNED)
    there, _ = memory_pair(Recorder(), end)
    session = ClientSession(
        client_id="alice", private_key=keys["alice"], server_key=keys["exchange"].public_key, random=os.urandom,
        protocol=cp.Protocol.V5,
    )  # fmt: skip
    there.send(session.hello())
    assert "version 5 came where None was asked for" in str(await end.next(1))
    await end.finish()


async def test_the_hello_of_the_client_comes_first(keys: dict[str, cp.PrivateKey]) -> None:
    end = ExchangeEnd(keys["exchange"], keys["alice"].public_key, cp.Protocol.V5)
    with pytest.raises(cp.ConfigurationError, match="expect the hello of the client"):
        end.send_hello({}, {})
