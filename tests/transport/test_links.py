"""Links over real sockets: both libraries on both ends, and what a broken peer does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

import cryptoproto as cp
from cryptoproto.transport import Closed, OpenOptions, TransportKind, opener
from tests.support.links import KINDS, Recorder, linked, listening


@pytest.mark.parametrize("server_kind", KINDS)
@pytest.mark.parametrize("client_kind", KINDS)
async def test_messages_cross_whole_and_in_order(client_kind: TransportKind, server_kind: TransportKind) -> None:
    messages = [b"", b"x", b"y" * 125, b"z" * 126, b"0" * 65536, bytes(range(256)) * 100]
    async with linked(client_kind, server_kind) as (client, link, server, there):
        for message in messages:
            link.send(message)
        link.send_text("Grüße")
        await server.until(lambda: len(server.log) == 7)
        assert server.log == [*messages, "Grüße"]
        for message in messages:
            there.send(message)
        there.send_text("zurück")
        await client.until(lambda: len(client.log) == 7)
        assert client.log == [*messages, "zurück"]


@pytest.mark.parametrize("server_kind", KINDS)
@pytest.mark.parametrize("client_kind", KINDS)
async def test_many_messages_are_as_those_that_are_sent_one_by_one(
    client_kind: TransportKind, server_kind: TransportKind
) -> None:
    messages = [b"", b"x", b"y" * 125, b"z" * 126, b"Z" * 65535, b"0" * 65536, bytes(range(256)) * 100]
    async with linked(client_kind, server_kind) as (client, link, server, there):
        for sender, receiver in ((link, server), (there, client)):
            sender.send(b"before")
            sender.send_many(messages)
            sender.send_many([b"alone"])
            sender.send_many([])
            sender.send(b"after")
            await receiver.until(lambda receiver=receiver: len(receiver.log) == len(messages) + 3)  # type: ignore[misc]
            assert receiver.log == [b"before", *messages, b"alone", b"after"]


@pytest.mark.parametrize("server_kind", KINDS)
@pytest.mark.parametrize("client_kind", KINDS)
@pytest.mark.parametrize("code", [1000, 1012, 4000, 4001, 4009])
async def test_close_codes_arrive(client_kind: TransportKind, server_kind: TransportKind, code: int) -> None:
    async with linked(client_kind, server_kind) as (client, link, server, there):
        there.close(code, "because", 5.0)
        there.close(code, "twice", 5.0)
        assert await client.closed == Closed(code, "because")
        assert (await server.closed).code == code
        for end in (link, there):
            end.send(b"into the void")
            end.send_many([b"into", b"the void"])
            end.send_text("into the void")
        link.ping()
        link.close(1000, "", 1.0)
        link.pause_reading()
        link.resume_reading()
        link.abort()


@pytest.mark.parametrize("kind", KINDS)
async def test_client_closes(kind: TransportKind) -> None:
    async with linked(kind, kind) as (client, link, server, _):
        link.close(1000, "done", 5.0)
        assert await server.closed == Closed(1000, "done")
        assert (await client.closed).code == 1000


@pytest.mark.parametrize("kind", KINDS)
async def test_sending_on_a_lost_link_does_nothing(kind: TransportKind) -> None:
    """It must not raise: an exchange sends an event to one link after the other, and the others get theirs."""
    async with linked(kind, kind) as (client, link, server, there):
        link.abort()
        while not server.closed.done():  # before it is noticed, and while
            there.send(b"x" * 100_000)
            there.send_many([b"x", b"y" * 100_000])
            there.ping()
            await asyncio.sleep(0)
        there.send(b"afterwards")
        there.send_many([b"after", b"wards"])
        there.ping()
        await there.drain()
        await client.closed


@pytest.mark.parametrize("kind", KINDS)
async def test_lost_link_has_no_code(kind: TransportKind) -> None:
    async with linked(kind, kind) as (client, _, _, there):
        there.abort()
        closed = await client.closed
        assert closed.code is None
        assert closed.fault is None
        assert "lost" in closed.reason


@pytest.mark.parametrize("server_kind", KINDS)
@pytest.mark.parametrize("client_kind", KINDS)
async def test_pings_are_answered_and_noticed(client_kind: TransportKind, server_kind: TransportKind) -> None:
    async with linked(client_kind, server_kind) as (client, link, server, there):
        link.ping()
        await client.until(lambda: client.heard == 1)
        await server.until(lambda: server.heard == 1)
        there.ping()
        await server.until(lambda: server.heard == 2)
        await client.until(lambda: client.heard == 2)


@pytest.mark.parametrize("kind", KINDS)
async def test_oversized_message_is_a_fault_of_the_peer(kind: TransportKind) -> None:
    async with listening("websockets") as (url, ends):
        client = Recorder()
        await opener(kind)(url, client, OpenOptions(max_message_bytes=1000))
        await ends[0].until(lambda: ends[0].transport is not None)
        assert ends[0].transport is not None
        ends[0].transport.send(b"x" * 1001)
        closed = await client.closed
        assert closed.fault is not None
        assert "1000" in closed.fault
        assert client.log == []
        assert (await ends[0].closed).code == 1009


@pytest.mark.parametrize("kind", KINDS)
async def test_paused_link_takes_nothing_in(kind: TransportKind) -> None:
    async with linked(kind, kind) as (client, link, server, there):
        link.pause_reading()
        link.pause_reading()
        for _ in range(2000):
            there.send(b"x" * 10_000)
            if not there.writable:
                break
        assert not there.writable, "the peer never felt it"
        draining = asyncio.ensure_future(there.drain())
        # A round trip on the other direction proves that the loop had every chance to deliver.
        link.send(b"still alive")
        await server.until(lambda: server.log == [b"still alive"])
        assert client.log == []
        assert not draining.done()
        link.resume_reading()
        await draining
        await client.until(lambda: len(client.log) > 0)


@pytest.mark.parametrize("kind", KINDS)
async def test_drain_ends_with_the_link(kind: TransportKind) -> None:
    async with linked(kind, kind) as (_, link, server, there):
        link.pause_reading()
        while there.writable:
            there.send(b"x" * 100_000)
        draining = asyncio.ensure_future(there.drain())
        there.abort()
        await draining
        await server.closed


@pytest.mark.parametrize("kind", KINDS)
async def test_silent_peer_cannot_hold_a_close(kind: TransportKind) -> None:
    async with linked(kind, kind) as (client, link, _, there):
        there.pause_reading()
        link.close(1000, "", 0.01)
        assert (await client.closed).code is None


@pytest.mark.parametrize("kind", KINDS)
async def test_fragments_are_joined(kind: TransportKind) -> None:
    async with raw_server(
        kind, frames=[(0x02, False, b"one "), (0x09, True, b""), (0x00, False, b"two "), (0x80, True, b"")]
    ) as client:
        await client.until(lambda: client.log == [b"one two "])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("last", ["message", "text", "ping", "fragment", "close", "half a message"])
async def test_who_promises_more_keeps_it(kind: TransportKind, last: str) -> None:
    """Within the same turn of the event loop, whatever is at the end of what was read."""
    ends: dict[str, tuple[int, bool, bytes]] = {
        "message": (0x02, True, b"z"),
        "text": (0x01, True, b"z"),
        "ping": (0x09, True, b"z"),
        "fragment": (0x02, False, b"z"),
        "close": (0x08, True, b"\x03\xe8"),
    }
    messages = [(0x02, True, b"%d" % number) for number in range(200)]
    frames = [*messages, *([ends[last]] if last in ends else [])]
    async with raw_server(kind, frames=frames, tail=b"" if last in ends else b"\x82\x05half") as client:
        await client.until(lambda: len(client.log) >= 200)
        for _ in range(3):
            await asyncio.sleep(0)
        assert client.promises > 100, "all of it came in a few reads"
        assert client.broken_promises == 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "frames",
    [
        [(0x00, True, b"continues nothing")],
        [(0x02, False, b"begins"), (0x02, True, b"begins again")],
        [(0x02, False, b"x" * 700), (0x00, False, b"x" * 700)],
        [(0x03, True, b"reserved opcode")],
        [(0x01, True, b"\xff\xfe not UTF-8")],
    ],
)
async def test_broken_websocket_frames_are_a_fault(kind: TransportKind, frames: list[tuple[int, bool, bytes]]) -> None:
    async with raw_server(kind, frames=frames, max_bytes=1000) as client:
        closed = await client.closed
        assert closed.fault is not None
        assert client.log == []


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def tcp_server(handle: Handler) -> AsyncIterator[str]:
    """A plain TCP server whose connections are over when it is."""
    tasks: list[asyncio.Task[None]] = []

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await handle(reader, writer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.append(asyncio.ensure_future(run(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()
        await asyncio.gather(*tasks)


@asynccontextmanager
async def upgrading(headers: bytes = b"", then: bytes = b"") -> AsyncIterator[tuple[str, list[str]]]:
    """A server that answers the upgrade by hand, with *headers* beside the usual ones, and sends *then*."""
    from websockets.utils import accept_key

    heads: list[str] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        key = next(line for line in heads[-1].split("\r\n") if line.lower().startswith("sec-websocket-key"))
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            + f"Sec-WebSocket-Accept: {accept_key(key.split(': ')[1])}\r\n".encode()
            + headers
            + b"\r\n"
            + then
        )
        await writer.drain()
        await reader.read(65536)  # the client's close frame, or its end

    async with tcp_server(handle) as url:
        yield url, heads


@asynccontextmanager
async def raw_server(
    kind: TransportKind, *, frames: list[tuple[int, bool, bytes]], tail: bytes = b"", max_bytes: int = 2**20
) -> AsyncIterator[Recorder]:
    """A client of a server that sends *frames*: opcode, fin, payload; and then *tail*."""
    sent = tail
    for opcode, fin, payload in reversed(frames):
        size = bytes([len(payload)]) if len(payload) < 126 else b"\x7e" + len(payload).to_bytes(2, "big")
        sent = bytes([(0x80 if fin else 0) | (opcode & 0x0F)]) + size + payload + sent
    async with upgrading(then=sent) as (url, _):
        client = Recorder()
        link = await opener(kind)(url, client, OpenOptions(max_message_bytes=max_bytes))
        try:
            yield client
        finally:
            link.abort()
            await client.closed


OFFERED = ("v12.stomp", "v11.stomp")


def header(request: str, name: str) -> list[str]:
    """The values of the header *name* in a request."""
    lines = [line.partition(":") for line in request.split("\r\n")]
    return [value.strip() for key, _, value in lines if key.lower() == name.lower()]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "answer", [b"", b"Sec-WebSocket-Protocol: v12.stomp\r\n", b"sec-websocket-protocol:v11.stomp\r\n"]
)
async def test_a_subprotocol_is_agreed_or_omitted(kind: TransportKind, answer: bytes) -> None:
    async with upgrading(answer, then=b"\x81\x02hi") as (url, requests):
        client = Recorder()
        link = await opener(kind)(url, client, OpenOptions(subprotocols=OFFERED))
        await client.until(lambda: client.log == ["hi"])
        link.abort()
        await client.closed
    assert header(requests[0], "Sec-WebSocket-Protocol") == ["v12.stomp, v11.stomp"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("offered", "answer", "words"),
    [
        (OFFERED, b"mqtt", "subprotocol 'mqtt', and we offered v12.stomp and v11.stomp"),
        (OFFERED, b"V12.STOMP", "subprotocol 'V12.STOMP', and we offered v12.stomp"),
        (OFFERED, b"v12.stomp, v11.stomp", "subprotocol 'v12.stomp, v11.stomp', and we offered v12.stomp"),
        (OFFERED, b"v12.stomp\r\nSec-WebSocket-Protocol: v11.stomp", "subprotocol 'v12.stomp, v11.stomp', and we"),
        (OFFERED, b"", "subprotocol '', and we offered v12.stomp"),
        ((), b"v12.stomp", "subprotocol 'v12.stomp', and we offered none"),
    ],
)
async def test_another_subprotocol_than_offered_is_refused(
    kind: TransportKind, offered: tuple[str, ...], answer: bytes, words: str
) -> None:
    async with upgrading(b"Sec-WebSocket-Protocol: " + answer + b"\r\n", then=b"\x81\x02hi") as (url, requests):
        client = Recorder()
        with pytest.raises(cp.HandshakeError, match=words):
            await opener(kind)(url, client, OpenOptions(subprotocols=offered))
    assert client.transport is None
    assert client.log == []
    assert len(header(requests[0], "Sec-WebSocket-Protocol")) == bool(offered)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_name_and_a_password_in_the_address_become_a_header(kind: TransportKind) -> None:
    async with upgrading() as (url, requests):
        client = Recorder()
        link = await opener(kind)(url.replace("ws://", "ws://me:s%20cret@") + "/a?b=c", client, OpenOptions())
        link.abort()
        await client.closed
        with pytest.raises(cp.ConfigurationError, match="password"):
            await opener(kind)(url.replace("ws://", "ws://me@"), client, OpenOptions())
    assert header(requests[0], "Authorization") == ["Basic bWU6cyBjcmV0"]
    assert header(requests[0], "Host") == [url.removeprefix("ws://")]
    assert requests[0].startswith("GET /a?b=c HTTP/1.1")


@pytest.mark.parametrize("kind", KINDS)
async def test_redirects_are_not_followed(kind: TransportKind) -> None:
    async with upgrading() as (elsewhere, requests):

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(f"HTTP/1.1 307 Moved\r\nLocation: {elsewhere}\r\nContent-Length: 0\r\n\r\n".encode())
            await writer.drain()

        async with tcp_server(handle) as url:
            with pytest.raises(cp.HandshakeError, match="HTTP status 307"):
                await opener(kind)(url, Recorder(), OpenOptions())
    assert requests == []


@pytest.mark.parametrize("kind", KINDS)
async def test_a_text_in_fragments_is_one_text(kind: TransportKind) -> None:
    """Even where a character is cut."""
    frames = [(0x01, False, b"Gr\xc3"), (0x09, True, b""), (0x00, False, b"\xbc\xc3"), (0x00, True, b"\x9fe")]
    async with raw_server(kind, frames=frames) as client:
        await client.until(lambda: client.log == ["Grüße"])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "fault",
    [
        [(0x01, True, b"x" * 1001)],
        [(0x01, False, b"x" * 600), (0x00, True, b"x" * 600)],
        [(0x01, True, b"\xff")],
        [(0x01, False, b"\xc3"), (0x00, True, b"\xff")],
    ],
)
async def test_nothing_is_delivered_behind_a_fault(kind: TransportKind, fault: list[tuple[int, bool, bytes]]) -> None:
    behind = [(0x01, True, b"text"), (0x02, True, b"bytes"), (0x01, False, b"part"), (0x00, True, b"ed")]
    async with raw_server(kind, frames=[(0x01, True, b"before"), *fault, *behind], max_bytes=1000) as client:
        closed = await client.closed
        assert closed.fault is not None
        assert client.log in (["before"], [])  # picows keeps back what came right before


@pytest.mark.parametrize("kind", KINDS)
async def test_a_server_that_is_no_websocket_server(kind: TransportKind) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async with tcp_server(handle) as url:
        with pytest.raises(cp.HandshakeError, match="does not speak WebSocket here: HTTP status 404"):
            await opener(kind)(url, Recorder(), OpenOptions())


@pytest.mark.parametrize("kind", KINDS)
async def test_nobody_listens(kind: TransportKind, unused_tcp_port: int) -> None:
    with pytest.raises(OSError, match=r"refused|failed"):
        await opener(kind)(f"ws://127.0.0.1:{unused_tcp_port}", Recorder(), OpenOptions())


@pytest.mark.parametrize("kind", KINDS)
async def test_a_server_that_never_answers(kind: TransportKind) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(-1)

    async with tcp_server(handle) as url:
        with pytest.raises(TimeoutError):
            await opener(kind)(url, Recorder(), OpenOptions(timeout=0.05))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "greeting", [b"rubbish\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"POST / HTTP/1.1\r\nHost: x\r\n\r\n", b""]
)
async def test_a_client_that_is_no_websocket_client(kind: TransportKind, greeting: bytes) -> None:
    async with listening(kind) as (url, ends):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))
        writer.write(greeting)
        writer.write_eof()
        answer = await reader.read(-1)
        assert b"101" not in answer
        writer.close()
        await writer.wait_closed()
        # And the server goes on serving others.
        client = Recorder()
        link = await opener("websockets")(url, client, OpenOptions())
        link.close(1000, "", 5.0)
        await client.closed
        assert sum(end.transport is not None for end in ends) == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "frame",
    [
        b"\x88\x80\x00\x00\x00\x00",  # a close
        b"\x89\x80\x00\x00\x00\x00",  # a ping
        b"\x82\x81\x00\x00\x00\x00x",  # a message
        b"\x83\x80\x00\x00\x00\x00",  # nothing that there is
        b"\x82\x7f\xff",  # part of a head
    ],
)
async def test_frames_that_come_along_with_the_request(kind: TransportKind, frame: bytes) -> None:
    """Before it is answered, which is too early; the server stays well, and serves others."""
    async with listening(kind) as (url, ends):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))
        writer.write(
            b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n" + frame
        )
        writer.write_eof()
        with contextlib.suppress(ConnectionError):
            await reader.read(-1)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        client = Recorder()
        link = await opener("websockets")(url, client, OpenOptions())
        link.close(1000, "", 5.0)
        await client.closed
        assert len(ends) >= 1
