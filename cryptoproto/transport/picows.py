"""Links through ``picows``, a WebSocket library in C, the fastest for Python."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl as ssl_module
from base64 import b64encode
from collections.abc import Callable, Sequence
from functools import partial
from struct import Struct
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from ..exceptions import ConfigurationError
from ..extras import needs
from .base import Closed, Listener, ListenerFactory, OpenOptions, Transport, subprotocol_refusal
from .dialling import connected_socket
from .opening import upgrade_refused

with needs("cryptoproto.transport.picows", "fast"):
    from picows import (
        WSCloseCode,
        WSFrame,
        WSHandshakeError,
        WSInvalidURL,
        WSListener,
        WSMsgType,
        WSParsedURL,
        WSProtocolError,
        WSTransport,
        WSUpgradeRequest,
        WSUpgradeResponse,
        ws_connect,
        ws_create_server,
    )

__all__ = ["open_picows", "serve_picows"]

_BINARY = WSMsgType.BINARY
_RECEIVE_BUFFER_BYTES: Final = 256 * 1024
"""The size of a socket's receive buffer, and so the most that one read returns: the same as asyncio's own limit.

picows doubles its buffer until a read no longer fills it. With the system's default that is megabytes: ten thousand
events in one iteration of the event loop, during which nothing else runs, and 10 MiB of memory.
"""
_SHORT_HEADER: Final = Struct(">BB").pack
_HEADER: Final = Struct(">BBH").pack
_LONG_HEADER: Final = Struct(">BBQ").pack
_FAULTS = frozenset({1002, 1007, 1009})
"""The close codes that picows sends itself if the peer breaks the WebSocket protocol."""


class _Link(WSListener):
    """One link: a picows listener that calls ours."""

    writable: bool
    send: Callable[[bytes], None]  # the library's own function: a method around it would add a call to each send

    def __init__(self, listener: Listener, max_message_bytes: int) -> None:
        super().__init__()
        self._listener = listener
        self._on_message = listener.on_message
        self._max_message_bytes = max_message_bytes
        self._loop = asyncio.get_running_loop()
        self._transport: Any = None
        self._fragments: list[bytes] = []
        self._fragments_type: object = None
        self._fragments_bytes = 0
        self._reading = True
        self.writable = True  # an attribute, not a property: it is read after each send
        self._drained: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._own_close = False
        self._fault: str | None = None
        self._end: asyncio.Task[None] | None = None

    # Called by picows

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        self.send = partial(transport.send, _BINARY)
        connected: socket.socket = transport.underlying_transport.get_extra_info("socket")
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
        # picows keeps the reason for ending a link in a future; asyncio complains if nothing reads it.
        self._end = self._loop.create_task(self._read_end(transport))
        self._listener.on_open(self)

    @staticmethod
    async def _read_end(transport: WSTransport) -> None:
        with contextlib.suppress(WSProtocolError):  # on_ws_disconnected reports it to the listener
            await transport.wait_disconnected()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        # The frequent case first. After picows has ended a link because of an oversized message, it still delivers that
        # message and later ones.
        if kind is _BINARY and frame.fin and not self._fragments:
            if self._own_close or not transport.is_close_frame_sent:
                self._on_message(frame.get_payload_as_bytes(), not frame.last_in_buffer)
            return
        if kind == WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
            self._listener.on_heard()
        elif kind == WSMsgType.PONG:
            self._listener.on_heard()
        elif kind == WSMsgType.CLOSE:
            self._on_close_frame(transport)
        elif self._own_close or not transport.is_close_frame_sent:
            self._on_fragment(frame)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        handshake = transport.close_handshake
        received = handshake.recv if handshake else None
        sent = handshake.sent if handshake else None
        if self._fault is None and sent is not None and not self._own_close and _number(sent.code) in _FAULTS:
            self._fault = sent.reason or "the peer broke the WebSocket protocol"
        if received is not None:
            closed = Closed(_number(received.code) or 1005, received.reason or "", self._fault)
        else:
            closed = Closed(None, "" if self._fault else "the connection was lost", self._fault)
        self._listener.on_closed(closed)

    def pause_writing(self) -> None:
        self.writable = False
        self._drained = self._loop.create_future()

    def resume_writing(self) -> None:
        self.writable = True
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._drained = None

    def _on_close_frame(self, transport: WSTransport) -> None:
        if not transport.is_close_frame_sent:
            self._own_close = True  # this is the answer to the peer's close, whatever the code
            received = transport.close_handshake.recv
            code = received.code if received is not None and received.code else WSCloseCode.OK
            transport.send_close(code)
        self._listener.on_heard()
        transport.disconnect()

    def _on_fragment(self, frame: WSFrame) -> None:
        starts = frame.msg_type != WSMsgType.CONTINUATION
        if starts == bool(self._fragments):
            self._fail(1002, "a fragment is out of order")
            return
        if starts:
            self._fragments_type = frame.msg_type
            self._fragments_bytes = 0
        self._fragments.append(frame.get_payload_as_bytes())
        self._fragments_bytes += frame.payload_size
        if self._fragments_bytes > self._max_message_bytes:
            self._fail(1009, f"a message is larger than the limit of {self._max_message_bytes} bytes")
            return
        if not frame.fin:
            self._listener.on_heard()
            return
        message = b"".join(self._fragments)
        self._fragments.clear()
        if self._fragments_type == _BINARY:
            self._on_message(message)
            return
        try:
            text = message.decode()
        except UnicodeDecodeError:
            self._fail(1007, "a text message is not valid UTF-8")
        else:
            self._listener.on_text(text)

    def _fail(self, code: int, fault: str) -> None:
        self._fault = fault
        self._fragments.clear()
        self.close(code, fault, 1.0)
        self._own_close = False  # so that nothing after it is delivered

    # Called by the owner

    def send_many(self, messages: Sequence[bytes]) -> None:
        transport = self._transport
        if transport.is_client_side or len(messages) == 1:  # a client masks each message, which is left to picows
            for message in messages:
                self.send(message)
        elif not (transport.is_close_frame_sent or transport.is_disconnected):
            # picows makes a system call for each frame, which costs as much as an exchange needs for an order.
            parts = [part for message in messages for part in (_header(len(message)), message)]
            transport.underlying_transport.write(b"".join(parts))

    def send_text(self, text: str) -> None:
        self._transport.send(WSMsgType.TEXT, text.encode())

    def ping(self) -> None:
        self._transport.send_ping(b"")

    @property
    def remote_address(self) -> str:
        peer = self._transport.underlying_transport.get_extra_info("peername")
        return str(peer[0]) if isinstance(peer, tuple) else ""

    async def drain(self) -> None:
        if self._drained is not None:
            await asyncio.shield(self._drained)

    def pause_reading(self) -> None:
        if self._reading and not self._transport.is_disconnected:
            self._reading = False
            self._transport.underlying_transport.pause_reading()

    def resume_reading(self) -> None:
        if not self._reading and not self._transport.is_disconnected:
            self._reading = True
            self._transport.underlying_transport.resume_reading()

    def close(self, code: int, reason: str, timeout: float) -> None:
        if self._timer is None and not self._transport.is_disconnected:
            if not self._transport.is_close_frame_sent:
                self._own_close = True
                self._transport.send_close(code, reason.encode()[:123].decode("utf-8", "ignore"))
            self._timer = self._loop.call_later(timeout, self.abort)
            self.resume_reading()  # otherwise the peer's answer would not be received

    def abort(self) -> None:
        if not self._transport.is_disconnected:
            self._transport.disconnect(False)


def _header(size: int) -> bytes:
    """The head of a server's binary frame: final, not masked (RFC 6455, section 5.2)."""
    if size < 126:
        return _SHORT_HEADER(0x82, size)
    return _HEADER(0x82, 126, size) if size < 2**16 else _LONG_HEADER(0x82, 127, size)


def _number(code: Any) -> int:
    """*code* as an int: picows declares an enum, but returns a number if the enum has no name for it."""
    return int(code)


def _without_user(url: str) -> tuple[str, dict[str, str]]:
    """*url* without name and password, which picows would write into ``Host``, and the header that carries them."""
    parts = urlsplit(url)
    user, at, place = parts.netloc.rpartition("@")
    if not at:
        return url, {}
    name, colon, password = user.partition(":")
    if not colon:
        raise ConfigurationError("the address has a user name but no password; write it like wss://name:password@host")
    credentials = f"{unquote(name)}:{unquote(password)}".encode()
    return parts._replace(netloc=place).geturl(), {"Authorization": f"Basic {b64encode(credentials).decode()}"}


async def open_picows(url: str, listener: Listener, options: OpenOptions) -> Transport:
    """Open a link with ``picows``; see :class:`~cryptoproto.transport.TransportOpener`."""
    url, headers = _without_user(url)
    if options.subprotocols:
        headers["Sec-WebSocket-Protocol"] = ", ".join(options.subprotocols)
    secure = urlsplit(url).scheme == "wss"
    context = options.ssl or (ssl_module.create_default_context() if secure else None)
    sockets: list[socket.socket] = []

    async def connected(parsed: WSParsedURL) -> socket.socket:
        sockets.append(await connected_socket(parsed.host, parsed.port))
        return sockets[-1]

    def make_link(_request: WSUpgradeRequest, response: WSUpgradeResponse) -> _Link:
        refusal = subprotocol_refusal(options.subprotocols, response.headers.getall("Sec-WebSocket-Protocol", ()))
        if refusal is not None:
            raise refusal
        return _Link(listener, options.max_message_bytes)

    try:
        _, link = await ws_connect(
            make_link,
            url,
            ssl_context=context,
            websocket_handshake_timeout=options.timeout,
            enable_auto_pong=False,  # the link answers pings and reports them to the listener
            max_frame_size=options.max_message_bytes,
            extra_headers=headers,
            max_redirects=0,
            socket_factory=connected,
        )
    except asyncio.CancelledError:
        # picows would keep the socket open until its own timeout. A shutdown ends it within a few loop iterations.
        for opened in sockets:
            with contextlib.suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)
        raise
    except WSInvalidURL as error:
        raise ConfigurationError(str(error)) from None
    except WSHandshakeError as error:
        status = int(error.response.status) if error.response is not None else None
        raise upgrade_refused(status, error, secure=secure) from None
    if not isinstance(link, _Link):  # picows returns None if the server has closed the connection
        raise upgrade_refused(None, "the server closed the connection without an answer", secure=secure)
    return link


async def serve_picows(
    make_listener: ListenerFactory,
    host: str,
    port: int,
    *,
    ssl: ssl_module.SSLContext | None = None,
    max_message_bytes: int = 2**20,
    handshake_timeout: float = 10.0,
) -> asyncio.Server:
    """Accept links with ``picows``; *make_listener* is called for each link."""

    def make_link(_request: WSUpgradeRequest) -> _Link:
        return _Link(make_listener(), max_message_bytes)

    return await ws_create_server(
        make_link,
        host,
        port,
        ssl=ssl,
        websocket_handshake_timeout=handshake_timeout,
        enable_auto_pong=False,
        max_frame_size=max_message_bytes,
    )
