"""CONNECT and CONNECTED: the beginning of a STOMP connection."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from urllib.parse import urlsplit

from ..exceptions import ConnectionClosed, DecodeError, HandshakeError, LoginRefused
from .basic_auth import ApiKeyAuth
from .session_auth import SessionAuth
from .stomp_frames import Frame, FrameParser, encode_frame
from .stomp_link import StompLink

__all__ = ["introduce"]


async def introduce(
    link: StompLink,
    parser: FrameParser,
    url: str,
    auth: ApiKeyAuth | SessionAuth | None,
    headers: Mapping[str, str],
    versions: tuple[str, ...],
    heart_beat_ms: tuple[int, int],
) -> Frame:
    """Send CONNECT and return CONNECTED. The parser reads the escapes of the agreed version from then on."""
    about = {
        "accept-version": ",".join(sorted(versions)),
        "host": urlsplit(url).hostname or "",
        "heart-beat": f"{heart_beat_ms[0]},{heart_beat_ms[1]}",
        **headers,
    }
    # The nonces of a session have to arrive in order, so its other requests wait until this one is answered.
    async with auth.turn() if isinstance(auth, SessionAuth) else _no_turn():
        credentials = {} if auth is None else auth.stomp_headers()
        connect = encode_frame(Frame("CONNECT", {**about, **credentials}))
        try:
            await link.send(connect)
            frame = await _first_frame(link, parser)
        except ConnectionClosed as error:
            raise HandshakeError(f"the gateway closed the connection instead of answering CONNECT: {error}") from error
        except DecodeError as error:
            raise HandshakeError(f"the answer to CONNECT is not STOMP: {error}") from error
    if frame.command == "ERROR":
        reason = frame.headers.get("message", "") or frame.body.decode(errors="replace")[:1000]
        raise LoginRefused(
            f"the gateway refused the CONNECT: {reason or 'no reason given'}; are the key and its "
            f"secret right, and does the gateway run this flow?"
        )
    version = frame.headers.get("version", "1.0")
    if frame.command != "CONNECTED" or version not in versions:
        raise HandshakeError(
            f"the gateway answered CONNECT with {frame.command} {version}; supported versions are {', '.join(versions)}"
        )
    parser.version = version
    return frame


async def _first_frame(link: StompLink, parser: FrameParser) -> Frame:
    while True:
        frames = [frame for frame in parser.feed(await link.receive()) if frame is not None]
        if frames:
            if len(frames) > 1:
                raise DecodeError("more than one frame answered the CONNECT")
            return frames[0]


@contextlib.asynccontextmanager
async def _no_turn() -> AsyncIterator[None]:
    yield
