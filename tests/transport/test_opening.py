"""Opening a link within a time: what each failure is called, and the likely cause that it names."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from pathlib import Path

import pytest

import cryptoproto as cp
from cryptoproto.transport import Listener, OpenOptions, Transport, TransportKind, TransportOpener, open_within, opener
from cryptoproto.transport.opening import upgrade_refused
from tests.support.certificates import self_signed
from tests.support.leaks import loop_reports
from tests.support.links import KINDS, Recorder, listening
from tests.support.virtual_time import virtual

USE_WSS = r"if this port expects TLS, use wss:// instead of ws://$"
USE_WS = r"if this port does not use TLS, use ws:// instead of wss://$"


def raising(error: Exception) -> TransportOpener:
    async def open_nothing(url: str, listener: Listener, options: OpenOptions) -> Transport:
        raise error

    return open_nothing


async def never(url: str, listener: Listener, options: OpenOptions) -> Transport:
    await asyncio.get_running_loop().create_future()
    raise AssertionError


async def silent(url: str, listener: Listener, options: OpenOptions) -> Transport:
    return None  # type: ignore[return-value]


async def attempt(open_transport: TransportOpener, url: str, advice: str = "") -> str:
    """The text of the error that an attempt ends with."""
    ready = asyncio.get_running_loop().create_future()
    with pytest.raises(cp.CryptoprotoError) as caught:
        await open_within(open_transport, url, Recorder(), OpenOptions(timeout=2.5), ready, "say hello", advice)
    return str(caught.value)


def test_only_a_link_over_tls_that_was_not_opened_in_time_may_need_none() -> None:
    @virtual
    async def check() -> None:
        late = "://example.com did not say hello within 2.5 s"
        assert await attempt(never, "wss://example.com") == (
            f"wss{late}; if this port does not use TLS, use ws:// instead of wss://"
        )
        assert await attempt(never, "ws://example.com") == f"ws{late}"
        assert await attempt(silent, "wss://example.com") == f"wss{late}"
        assert await attempt(silent, "wss://example.com", "wrong port?") == f"wss{late}; wrong port?"

    check()


async def test_a_network_error_has_a_text_and_no_password() -> None:
    url = "wss://user:geheim@example.com"
    refused = ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed ('10.0.0.1', 443)")
    assert await attempt(raising(refused), url) == (
        "cannot connect to wss://***@example.com: Connection refused; nothing listens there: check the address and the "
        "port, and whether the exchange runs"
    )
    unknown = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    assert await attempt(raising(unknown), url) == (
        "cannot connect to wss://***@example.com: Name or service not known; check the host name"
    )
    assert await attempt(raising(OSError(errno.ENETUNREACH, "x")), url) == (
        "cannot connect to wss://***@example.com: Network is unreachable"
    )
    empty = await attempt(raising(ConnectionResetError()), url)
    assert empty.startswith(
        "cannot connect to wss://***@example.com: the other end closed the connection; if this port"
    )
    assert "if" not in await attempt(raising(ConnectionResetError()), "ws://example.com")


@pytest.mark.parametrize(("reason", "named"), [("WRONG_VERSION_NUMBER", True), ("CERTIFICATE_VERIFY_FAILED", False)])
async def test_only_a_peer_without_tls_is_called_so(reason: str, named: bool) -> None:
    error = ssl.SSLError(1, f"[SSL: {reason}]")
    error.reason = reason
    assert ("does not use TLS" in await attempt(raising(error), "wss://example.com")) == named


async def test_errors_of_the_package_are_raised_as_they_are() -> None:
    assert await attempt(raising(cp.HandshakeError("no WebSocket")), "wss://example.com") == "no WebSocket"
    assert await attempt(raising(cp.ServerRestart(1012, "soon")), "wss://example.com") == str(
        cp.ServerRestart(1012, "soon")
    )


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("self-signed certificate", "set SSL_CERT_FILE to its file"),
        ("Hostname mismatch, certificate is not valid for 'example.com'.", "the certificate is for another name"),
        ("IP address mismatch, certificate is not valid for '127.0.0.1'.", "the certificate is for another name"),
        ("certificate has expired", "has to renew its certificate, or the clock of this machine is wrong"),
        ("certificate is not yet valid", "is not valid yet, or the clock of this machine is wrong"),
    ],
)
async def test_a_refused_certificate_comes_with_what_to_do(text: str, hint: str) -> None:
    error = ssl.SSLCertVerificationError(1, f"[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: {text}")
    said = await attempt(raising(error), "wss://example.com")
    assert text in said
    assert hint in said
    assert said.count(";") == 1


@pytest.mark.parametrize(
    ("status", "secure", "hint"), [(None, False, True), (400, False, True), (404, False, False), (None, True, False)]
)
def test_a_refused_upgrade_may_come_from_a_port_with_tls(status: int | None, secure: bool, hint: bool) -> None:
    text = str(upgrade_refused(status, "nonsense", secure=secure))
    assert ("use wss://" in text) == hint
    assert (str(status) if status else "nonsense") in text
    assert str(upgrade_refused(None, None, secure=True)) == "the WebSocket handshake failed"


@pytest.mark.parametrize("server_kind", KINDS)
@pytest.mark.parametrize("kind", KINDS)
async def test_plain_links_to_a_port_with_tls(tmp_path: Path, kind: TransportKind, server_kind: TransportKind) -> None:
    _, context = self_signed(tmp_path)
    with loop_reports():  # the server may report a handshake that failed
        async with listening(server_kind, ssl=context) as (url, _):
            with pytest.raises(cp.HandshakeError, match=USE_WSS):
                await opener(kind)(url.replace("wss:", "ws:"), Recorder(), OpenOptions())


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", b""])
@pytest.mark.parametrize("kind", KINDS)
async def test_tls_links_to_a_plain_port(kind: TransportKind, answer: bytes) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(answer)
        writer.close()

    ready = asyncio.get_running_loop().create_future()
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    url = f"wss://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    with loop_reports():  # aiofastnet reports a link that is closed during its handshake
        async with server:
            with pytest.raises(cp.ConnectError, match=USE_WS):
                await open_within(opener(kind), url, Recorder(), OpenOptions(), ready, "say hello")
