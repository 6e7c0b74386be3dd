"""Connecting to NATS: what cannot be used is named at once. Keys that a server refuses are in ``test_rights.py``."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import nats.errors
import pytest
from nats.aio.client import Client as Nats
from nats.aio.msg import Msg
from nats.aio.transport import TcpTransport
from nats.errors import Error, OutboundBufferLimitError

import cryptoproto as cp
from cryptoproto.gateway import nats_connection
from cryptoproto.gateway.nats_connection import (
    NatsConnection,
    cancellable,
    cannot_start,
    close_nats,
    flush_nats,
    open_nats,
    to_the_end,
    unsubscribe,
)
from tests.support.nats_server import NatsServer


async def test_several_addresses(nats: NatsServer) -> None:
    nc = Nats()
    await open_nats(nc, f"nats://127.0.0.1:1, {nats.url}", "test", inbox="_INBOX.test")
    assert nc.is_connected
    assert nc.new_inbox().startswith("_INBOX.test.")
    await close_nats(nc)


async def test_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nats_connection, "_OPEN_S", 0.3)
    words = r"nats://\*\*\*@127\.0\.0\.1:1 cannot be used: nobody answers; is nats-server running"
    with pytest.raises(cp.GatewayError, match=words):
        await open_nats(Nats(), "nats://user:secret@127.0.0.1:1", "test", inbox="_INBOX.test")


@pytest.mark.parametrize(
    ("content", "mode", "match"),
    [
        (None, 0o600, "there is no such nkey seed"),
        ("SUAAA", 0o600, "this is not an nkey seed"),
        ("\xff\n", 0o600, "this is not an nkey seed"),
        ("", 0o600, "this is not an nkey seed"),
        ("x", 0o644, "gives other users access"),
    ],
    ids=["missing", "broken", "binary", "empty", "readable"],
)
async def test_a_seed_that_cannot_be_used(tmp_path: Path, content: str | None, mode: int, match: str) -> None:
    path = tmp_path / "seed.nk"
    if content is not None:
        path.write_bytes(content.encode("latin-1"))
        path.chmod(mode)
    with pytest.raises(cp.ConfigurationError, match=match):
        await open_nats(Nats(), "nats://127.0.0.1:1", "test", inbox="_INBOX.test", nkey_seed=path)


async def test_closing_without_a_server_leaves_nothing(nats: NatsServer) -> None:
    nc = Nats()
    await open_nats(nc, nats.url, "test", inbox="_INBOX.test")
    nats.kill()
    with pytest.raises(Error):
        await nc.request("nobody", timeout=0.1)
    await close_nats(nc)


@pytest.mark.parametrize("call", ["request", "flush"])
async def test_a_cancellation_that_comes_with_the_answer_is_not_lost(
    call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As nats-py waits: before Python 3.12, wait_for() returns the answer and forgets the cancellation."""
    answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def ask(*_: object, **__: object) -> None:
        await asyncio.wait_for(answer, 5)

    monkeypatch.setattr(Nats, call, ask)
    nc = NatsConnection()
    asking = asyncio.ensure_future(nc.request("subject") if call == "request" else nc.flush())
    for _ in range(3):
        await asyncio.sleep(0)  # it waits now
    answer.set_result(None)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await asyncio.sleep(0)


async def test_a_flush_that_was_cancelled_does_not_end_the_connection(nc: NatsConnection) -> None:
    flushing = asyncio.ensure_future(nc.flush())
    while not nc._pongs:  # noqa: ASYNC110 - nats-py tells nobody
        await asyncio.sleep(0)
    flushing.cancel()
    await asyncio.wait([flushing])
    taken: asyncio.Future[Msg] = asyncio.get_running_loop().create_future()
    await nc.listen("here", taken.set_result)
    await flush_nats(nc)
    nc.post("here", b"data")
    async with asyncio.timeout(10):
        assert (await taken).data == b"data"


async def test_an_error_after_a_cancellation_is_nobodys() -> None:
    failing: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def ask() -> None:
        try:
            await failing
        except asyncio.CancelledError:
            raise Error("too late") from None

    asking = asyncio.ensure_future(cancellable(ask()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await asyncio.sleep(0)


@pytest.mark.parametrize("error", [ConnectionResetError, TypeError])
async def test_a_connection_that_is_lost_while_it_is_closed(
    nats: NatsServer, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    """What is left to be written cannot be; which error says so depends on the version of Python."""

    def lost(data: object) -> None:
        raise error

    nc = Nats()
    await open_nats(nc, nats.url, "test", inbox="_INBOX.test")
    monkeypatch.setattr(nc._transport, "writelines", lost)
    nc._pending, nc._pending_data_size = [b"PUB a 0\r\n\r\n"], 11
    await close_nats(nc)
    assert nc.is_closed


async def test_what_has_to_be_done_to_the_end_is_not_interrupted() -> None:
    goes_on, steps = asyncio.Event(), []

    async def leave() -> None:
        steps.append("begun")
        await goes_on.wait()
        steps.append("done")

    leaving = asyncio.ensure_future(to_the_end(leave()))
    for _ in range(3):
        await asyncio.sleep(0)
        leaving.cancel()
    await asyncio.sleep(0)
    assert (steps, leaving.done()) == (["begun"], False)
    goes_on.set()
    await asyncio.wait([leaving])
    assert (steps, leaving.cancelled()) == (["begun", "done"], True)
    steps.clear()
    await to_the_end(leave())
    assert steps == ["begun", "done"]


async def test_a_message_is_written_and_taken_without_a_task(nc: NatsConnection) -> None:
    taken: asyncio.Future[Msg] = asyncio.get_running_loop().create_future()
    subscription = await nc.listen("here", taken.set_result)
    await flush_nats(nc)
    nc.post("here", b"data", "there", {"name": "value"})
    assert nc.pending_data_size == 0, "it is written"
    message = await taken
    assert (message.subject, message.reply, message.data) == ("here", "there", b"data")
    assert message.headers == {"name": "value"}
    await unsubscribe(subscription)
    nc.post("here", b"nobody takes this")
    await flush_nats(nc)


async def test_messages_of_one_turn_are_written_together(nc: NatsConnection) -> None:
    taken: asyncio.Queue[Msg] = asyncio.Queue()
    await nc.listen("here", taken.put_nowait)
    await flush_nats(nc)
    for number in range(5):
        nc.post("here", b"%d" % number)
    assert nc.pending_data_size == 4 * len(b"PUB here  1\r\n0\r\n"), "all but the first"
    assert [(await taken.get()).data for _ in range(5)] == [b"0", b"1", b"2", b"3", b"4"]
    nc.post("here", b"next turn")
    assert nc.pending_data_size == 0


async def test_a_message_that_cannot_be_taken_does_not_end_the_connection(
    nc: NatsConnection, caplog: pytest.LogCaptureFixture
) -> None:
    taken: asyncio.Future[Msg] = asyncio.get_running_loop().create_future()
    await nc.listen("here", taken.set_result)
    await nc.listen("here", lambda message: taken.set_result(message) if not taken.done() else None)
    nc.post("here", b"1")
    assert (await taken).data == b"1"
    nc.post("here", b"2")
    await flush_nats(nc)
    assert "a message on b'here' could not be taken" in caplog.text
    assert nc.is_connected


@pytest.mark.parametrize(
    "rubbish",
    [
        b"PUB here \xff 1\r\nx\r\n",
        b"HPUB here \xff 12 13\r\nNATS/1.0\r\n\r\nx\r\n",
        b"HPUB here 16 17\r\nNATS/1.0 \xff\xff\xff\r\n\r\nx\r\n",
        b"HPUB here 4 5\r\n\r\n\r\nx\r\n",
    ],
    ids=["reply", "reply-and-headers", "status", "empty-headers"],
)
@pytest.mark.parametrize("how", ["listened to", "subscribed to"])
async def test_rubbish_does_not_end_the_connection(
    nats: NatsServer, nc: NatsConnection, rubbish: bytes, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The server passes on reply subjects and headers as they are, and nats-py would read nothing any more."""
    taken: asyncio.Queue[bytes] = asyncio.Queue()

    async def take(message: Msg) -> None:
        taken.put_nowait(message.data)

    if how == "listened to":
        await nc.listen("here", lambda message: taken.put_nowait(message.data))
    else:
        await nc.subscribe("here", cb=take)
    await flush_nats(nc)
    _, writer = await asyncio.open_connection("127.0.0.1", nats.port)
    writer.write(b'CONNECT {"verbose":false,"headers":true}\r\n' + rubbish + b"PUB here 4\r\nnext\r\n")
    async with asyncio.timeout(10):
        assert await taken.get() == b"next"
    assert "a message on b'here' could not be taken" in caplog.text
    writer.close()
    await writer.wait_closed()


async def test_a_message_without_headers_is_taken_before_it_is_parsed(
    nats: NatsServer, nc: NatsConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[bytes] = []
    process = NatsConnection._process_msg

    async def note(nc: NatsConnection, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> None:
        parsed.append(data)
        await process(nc, sid, subject, reply, data, headers)

    monkeypatch.setattr(NatsConnection, "_process_msg", note)
    taken: asyncio.Queue[Msg] = asyncio.Queue()
    await nc.listen("here", taken.put_nowait)
    await flush_nats(nc)
    nc.post("here", b"plain", "there")
    message = await taken.get()
    assert (message.subject, message.reply, message.data, message.headers) == ("here", "there", b"plain", None)
    nc.post("here", b"with headers", headers={"name": "value"})
    assert (await taken.get()).data == b"with headers"
    nats.kill()
    nats.start()
    async with asyncio.timeout(10):
        while not (nc.is_connected and nc.stats["reconnects"]):  # noqa: ASYNC110 - nats-py tells nobody else
            await asyncio.sleep(0.01)
    await flush_nats(nc)
    nc.post("here", b"after a reconnect")
    assert (await taken.get()).data == b"after a reconnect"
    assert parsed == [b"with headers"]


class OtherTransport:
    """As that of a later version, or the one over WebSocket."""

    def __init__(self) -> None:
        self.inner: Any = TcpTransport()  # type: ignore[no-untyped-call]

    def __bool__(self) -> bool:
        return bool(self.inner)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.inner, name)


@pytest.mark.parametrize("missing", ["methods", "transport"])
async def test_without_the_internals_of_nats_py_messages_take_the_usual_way(
    nats: NatsServer, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a version that calls other methods, or reads in another way."""
    if missing == "methods":
        for name in ("_process_msg", "_flush_pending", "_read_loop"):
            monkeypatch.setattr(NatsConnection, name, getattr(Nats, name))
    else:
        monkeypatch.setattr("nats.aio.client.TcpTransport", OtherTransport)
    nc = NatsConnection()
    await open_nats(nc, nats.url, "test", inbox="_INBOX.test")
    taken: asyncio.Future[Msg] = asyncio.get_running_loop().create_future()
    await nc.listen("here", taken.set_result)
    nc.post("here", b"data")
    assert (await taken).data == b"data"
    await close_nats(nc)


async def test_what_the_socket_does_not_take_is_written_later(nc: NatsConnection) -> None:
    received: list[bytes] = []
    all_received = asyncio.Event()
    large = b"x" * 500_000

    def take(message: Msg) -> None:
        received.append(message.data)
        if message.data == b"last":
            all_received.set()

    await nc.listen("here", take)
    while nc.pending_data_size <= 2 * 1024 * 1024:
        nc.post("here", large)
    with pytest.raises(OutboundBufferLimitError):
        nc.post("here", b"too much waits")
    while nc.pending_data_size:
        await nc.flush()
    nc.post("here", b"last")
    await all_received.wait()
    assert set(received[:-1]) == {large}


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (nats.errors.TimeoutError(), "does not answer what a feed asks JetStream; a cluster needs a majority"),
        (TimeoutError(), "does not answer what a feed asks JetStream"),
        (nats.errors.Error("no rights"), "refuses what a feed needs: no rights"),
    ],
)
def test_a_start_that_fails_says_why(error: Exception, words: str) -> None:
    reason = str(cannot_start("nats://user:secret@127.0.0.1:4222", "feed", error))
    assert words in reason
    assert "secret" not in reason
