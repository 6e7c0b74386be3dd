"""Links through the protocol core of ``websockets``, client and server.

The core of that library is sans-I/O: bytes in, events and bytes out. This shell is thinner than the library's own,
because it delivers messages by callback, without a queue and a task in between.
"""

from __future__ import annotations

import asyncio
import ssl as ssl_module
from collections.abc import Callable, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidURI, PayloadTooBig, WebSocketException
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import OPEN, Protocol
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from ..exceptions import ConfigurationError
from .base import Closed, Listener, ListenerFactory, OpenOptions, Transport, subprotocol_refusal
from .dialling import connected_socket
from .opening import upgrade_refused

__all__ = ["open_websockets", "serve_websockets"]


_CLOSE_TIMEOUT: Final = 2.0
"""Seconds for the peer to end the connection after the closing handshake."""


class _Link(asyncio.Protocol):
    """One link: an asyncio protocol that holds a WebSocket core and calls a listener."""

    def __init__(self, core: Protocol, listener: Listener, handshake_timeout: float | None) -> None:
        loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._core = core
        self._listener = listener
        self._handshake_timeout = handshake_timeout
        self._transport: Any = None
        self._timer: asyncio.TimerHandle | None = None
        self._fragments: list[bytes] = []
        self._fragments_are_text = False
        self._is_open = False
        self._reading = True
        self._writable: asyncio.Future[None] | None = None
        self._fault: str | None = None

    # Called by asyncio

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        if self._handshake_timeout is not None:
            self._timer = self._loop.call_later(self._handshake_timeout, self._give_up_handshake)
        if isinstance(self._core, ClientProtocol):
            self._core.send_request(self._core.connect())
            self._flush()

    def data_received(self, data: bytes) -> None:
        self._core.receive_data(data)
        self._flush()
        events = self._core.events_received()
        for left, event in enumerate(events, 1 - len(events)):
            if self._fault is not None:  # in a message before this one
                break
            if isinstance(event, Frame):
                self._on_frame(event, more=left < 0)
            elif isinstance(event, Response):
                self._on_response(event)
            else:
                self._on_request(event)

    def eof_received(self) -> None:
        self._core.receive_eof()
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        core = self._core
        refusal = core.handshake_exc  # the end of the stream, which comes next, would hide that the link was reset
        if not self._eof_seen():
            core.receive_eof()
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        if not self._is_open:
            cause = core.handshake_exc
            if refusal is None and exc is not None:
                self._refuse(ConnectionResetError(f"the connection was lost: {exc}"))
            else:
                self._refuse(upgrade_refused(None, cause, secure=self._is_secure))
            return
        self._listener.on_closed(self._verdict(exc))

    def pause_writing(self) -> None:
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    # Events of the core

    def _on_response(self, response: Response) -> None:
        if self._core.handshake_exc is None:
            self._open()
            return
        status = response.status_code
        refusal = None
        if isinstance(self._core, ClientProtocol) and status == HTTPStatus.SWITCHING_PROTOCOLS:
            offered = self._core.available_subprotocols or ()
            refusal = subprotocol_refusal(offered, response.headers.get_all("Sec-WebSocket-Protocol"))
        self._refuse(refusal or upgrade_refused(status, None, secure=self._is_secure))

    def _on_request(self, request: Request) -> None:
        core = self._core
        if core.eof_sent:  # a close or a fault arrived together with the request: it is too late to answer
            self.abort()
        elif isinstance(core, ServerProtocol):  # pragma: no branch - only servers receive requests
            core.send_response(core.accept(request))
            self._flush()
            if core.state is OPEN:
                self._open()

    def _open(self) -> None:
        self._stop_timer()
        if not self.opened.done():  # its waiter may have been cancelled
            self._is_open = True
            self.opened.set_result(None)
            self._listener.on_open(self)
        else:
            self.abort()

    def _on_frame(self, frame: Frame, *, more: bool) -> None:
        opcode = frame.opcode
        if opcode is Opcode.BINARY and frame.fin:
            self._listener.on_message(bytes(frame.data), more)
        elif opcode in (Opcode.PING, Opcode.PONG, Opcode.CLOSE):
            self._listener.on_heard()
        else:
            self._on_fragment(frame)

    def _on_fragment(self, frame: Frame) -> None:
        if frame.opcode is not Opcode.CONT:
            self._fragments_are_text = frame.opcode is Opcode.TEXT
        self._fragments.append(bytes(frame.data))
        if not frame.fin:
            self._listener.on_heard()
            return
        message = b"".join(self._fragments)
        self._fragments.clear()
        if not self._fragments_are_text:
            self._listener.on_message(message)
            return
        try:
            text = message.decode()
        except UnicodeDecodeError:
            self._fault = "a text message is not valid UTF-8"
            self._core.fail(CloseCode.INVALID_DATA, self._fault)
            self._flush()
        else:
            self._listener.on_text(text)

    def _verdict(self, exc: Exception | None) -> Closed:
        core = self._core
        fault = core.parser_exc
        if self._fault is not None:
            return Closed(None, "", self._fault)
        if isinstance(fault, PayloadTooBig):
            return Closed(None, "", f"a message is larger than the limit: {fault}")
        if isinstance(fault, WebSocketException | UnicodeDecodeError):
            return Closed(None, "", f"the peer broke the WebSocket protocol: {fault}")
        if core.close_rcvd is not None:
            return Closed(core.close_rcvd.code, core.close_rcvd.reason)
        return Closed(None, f"the connection was lost: {exc}" if exc else "the connection was lost")

    def _eof_seen(self) -> bool:
        return self._core.reader.eof

    # Called by the owner

    def send(self, data: bytes) -> None:
        if self._core.state is OPEN:
            self._core.send_binary(data)
            self._flush()

    def send_many(self, messages: Sequence[bytes]) -> None:
        if self._core.state is OPEN:
            for message in messages:
                self._core.send_binary(message)
            self._flush()

    def send_text(self, text: str) -> None:
        if self._core.state is OPEN:
            self._core.send_text(text.encode())
            self._flush()

    def ping(self) -> None:
        if self._core.state is OPEN:
            self._core.send_ping(b"")
            self._flush()

    @property
    def remote_address(self) -> str:
        peer = self._transport.get_extra_info("peername")
        return str(peer[0]) if isinstance(peer, tuple) else ""

    @property
    def writable(self) -> bool:
        return self._writable is None

    async def drain(self) -> None:
        if self._writable is not None:
            await asyncio.shield(self._writable)

    def pause_reading(self) -> None:
        if self._reading and not self._transport.is_closing():
            self._reading = False
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if not self._reading and not self._transport.is_closing():
            self._reading = True
            self._transport.resume_reading()

    def close(self, code: int, reason: str, timeout: float) -> None:
        if self._timer is None and not self._transport.is_closing():
            if self._core.state is OPEN:
                self._core.send_close(code, _short(reason))
            self._timer = self._loop.call_later(timeout, self.abort)
            self._flush()
            self.resume_reading()  # otherwise the peer's answer would not be received

    def abort(self) -> None:
        self._stop_timer()
        self._transport.abort()

    # Internals

    @property
    def _is_secure(self) -> bool:
        return isinstance(self._core, ClientProtocol) and self._core.uri.secure

    def _flush(self) -> None:
        waiting = self._core.data_to_send()
        if len(waiting) > 1 and all(waiting):
            waiting = [b"".join(waiting)]  # one system call
        for data in waiting:
            if data:
                self._transport.write(data)
            elif self._transport.can_write_eof():
                self._transport.write_eof()
            else:  # TLS has no half-close
                self._transport.close()
        if self._timer is None and self._core.close_expected():
            self._timer = self._loop.call_later(_CLOSE_TIMEOUT, self.abort)

    def _give_up_handshake(self) -> None:
        self._refuse(TimeoutError("no answer to the WebSocket handshake in time"))
        self.abort()

    def _refuse(self, error: Exception) -> None:
        if not self.opened.done():
            self.opened.set_exception(error)
            self.opened.exception()  # on a server, or if connecting was cancelled, nothing awaits it

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _short(reason: str) -> str:
    """*reason* cut to the 123 bytes of UTF-8 that fit in a close frame."""
    return reason.encode()[:123].decode("utf-8", "ignore")


async def open_websockets(url: str, listener: Listener, options: OpenOptions) -> Transport:
    """Open a link with ``websockets``; see :class:`~cryptoproto.transport.TransportOpener`."""
    try:
        uri = parse_uri(url)
    except InvalidURI as error:
        raise ConfigurationError(str(error)) from None
    if uri.username is not None:  # the versions of the library do not agree on who decodes them
        parts = urlsplit(url)
        uri = replace(uri, username=unquote(parts.username or ""), password=unquote(parts.password or ""))
    context = (options.ssl or ssl_module.create_default_context()) if uri.secure else None

    def make_link() -> _Link:
        # No extensions: encrypted data cannot be compressed.
        offered = [Subprotocol(name) for name in options.subprotocols] or None
        core = ClientProtocol(uri, subprotocols=offered, max_size=options.max_message_bytes)
        return _Link(core, listener, options.timeout)

    connected = await connected_socket(uri.host, uri.port)  # create_connection would join all errors into one text
    loop, name = asyncio.get_running_loop(), uri.host if uri.secure else None
    _, link = await loop.create_connection(make_link, sock=connected, ssl=context, server_hostname=name)
    try:
        await link.opened
    except BaseException:
        link.abort()
        raise
    return link


async def serve_websockets(
    make_listener: ListenerFactory,
    host: str,
    port: int,
    *,
    ssl: ssl_module.SSLContext | None = None,
    max_message_bytes: int = 2**20,
    handshake_timeout: float = 10.0,
) -> asyncio.Server:
    """Accept links with ``websockets``; *make_listener* is called for each link."""

    def make_link() -> _Link:
        return _Link(ServerProtocol(max_size=max_message_bytes), make_listener(), handshake_timeout)

    factory: Callable[[], asyncio.Protocol] = make_link
    return await asyncio.get_running_loop().create_server(factory, host, port, ssl=ssl)
