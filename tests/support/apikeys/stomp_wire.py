"""The gateway's end of a STOMP link, frame by frame, in memory or on a socket."""

from __future__ import annotations

import asyncio
from typing import Any

from cryptoproto.apikeys import Frame, StompConnection
from cryptoproto.apikeys.stomp_frames import FrameParser, encode_frame
from cryptoproto.transport import Closed, Listener, MemoryLink, OpenOptions, Transport, memory_opener

__all__ = ["URL", "Wire", "connected", "connecting", "leave"]

URL = "ws://gateway/stomp/v0"


class Wire:
    """A listener that records frames and sends what a test tells it to, once the client has sent something.

    Attributes:
        kinds: of the messages received, ``text`` or ``binary``.
        options: with which the link in memory was opened.
        closed: set when the link has ended; :attr:`code` is its close code.
    """

    def __init__(self) -> None:
        self.kinds: list[str] = []
        self.options: OpenOptions | None = None
        self.closed = asyncio.Event()
        self.code: int | None = None
        self._heard: asyncio.Queue[Frame | None] = asyncio.Queue()
        self._held: list[bytes | int | None] = []
        self._transport: Transport | None = None
        self._greeted = False
        self._parser = FrameParser()

    async def opener(self, url: str, listener: Listener, options: OpenOptions) -> Transport:
        """A TransportOpener whose links end here."""
        assert url == URL
        self.options = options
        return await memory_opener(lambda: self)(url, listener, options)

    @property
    def link(self) -> Transport:
        """The gateway's end."""
        assert self._transport is not None
        return self._transport

    @property
    def client_link(self) -> MemoryLink:
        """The client's end, of a link in memory."""
        assert isinstance(self.link, MemoryLink)
        assert self.link._peer is not None
        return self.link._peer

    def client_reads(self) -> bool:
        """Whether the client reads from its link in memory."""
        return self.client_link.reading

    # The listener

    def on_open(self, transport: Transport) -> None:
        self._transport = transport
        self._parser = FrameParser()
        self.closed.clear()

    def on_message(self, data: bytes, more: bool = False) -> None:
        self._take("binary", data)

    def on_text(self, text: str) -> None:
        self._take("text", text)

    def on_heard(self) -> None:
        pass

    def on_closed(self, closed: Closed) -> None:
        self.code = closed.code
        self._greeted = False  # what is said now is for the next link
        self.closed.set()

    def _take(self, kind: str, data: bytes | str) -> None:
        self.kinds.append(kind)
        for frame in self._parser.feed(data):
            self._heard.put_nowait(frame)
        self._greeted = True
        held, self._held = self._held, []
        for words in held:
            self._say(words)

    # The script

    async def heard(self, command: str | None) -> Frame:
        frame = await self._heard.get()
        assert (frame.command if frame is not None else None) == command
        return frame or Frame("SEND")

    def says(self, command: str, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        self.says_bytes(encode_frame(Frame(command, headers or {}, body)))

    def says_bytes(self, data: bytes) -> None:
        self._say(data)

    def beats(self) -> None:
        self._say(b"\n")

    def hangs_up(self, code: int | None = 1001) -> None:
        """Close with *code*; without one the link is lost."""
        self._say(code)

    def _say(self, words: bytes | int | None) -> None:
        if self._transport is None or not self._greeted:
            self._held.append(words)
        elif isinstance(words, bytes):
            try:
                self._transport.send_text(words.decode())
            except UnicodeDecodeError:
                self._transport.send(words)
        elif words is None:
            self._transport.abort()
        else:
            self._transport.close(words, "gone", 5.0)


def connecting(wire: Wire, **options: Any) -> Any:
    """A connection to *wire* that is still to be awaited or entered; heart-beats are off by default."""
    options.setdefault("heart_beat_ms", (0, 0))
    return StompConnection.connect(URL, transport=wire.opener, **options)


async def connected(wire: Wire, headers: dict[str, str] | None = None, **options: Any) -> StompConnection:
    """A connection that *wire* has accepted."""
    wire.says("CONNECTED", {"version": "1.2", **(headers or {})})
    connection: StompConnection = await connecting(wire, **options)
    await wire.heard("CONNECT")
    return connection


async def leave(wire: Wire, connection: StompConnection) -> None:
    """Close the connection, with the receipt that it waits for."""
    closing = asyncio.create_task(connection.close())
    frame = await wire.heard("DISCONNECT")
    wire.says("RECEIPT", {"receipt-id": frame.headers["receipt"]})
    await closing
    await wire.closed.wait()
