"""Serves the status of a client on loopback, in the client's event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final
from urllib.parse import quote

from ..client import Client
from ..exceptions import ConfigurationError
from ..extras import needs
from ..market_data import Feed
from .access import Access
from .camera import Camera
from .cancel_all import CancelAll
from .event_stream import EventStreams
from .observer import Observer

with needs("cryptoproto.status", "status"):
    import uvicorn
    from starlette.types import ASGIApp

    from ..transport.embedded_server import EmbeddedServer, listening_socket
    from .application import application

__all__ = ["StatusServer", "serve_status"]

_HOST: Final = "127.0.0.1"
_INTERVAL_S: Final = 0.2
"""The shortest time between two looks at the client. With the browser's work, a change is shown within 250 ms."""
_MOST_STREAMS: Final = 16
"""Each stream of a slow reader can hold one whole status, which has 0.3 MB for a thousand orders."""
_MOST_CONNECTIONS: Final = 64
_SHUTDOWN_S: Final = 1  # a reader that does not read must not keep the bot alive


class StatusServer:
    """A running status server; made by :func:`serve_status`.

    Attributes:
        url: the address of the live page, with the token. Whoever has it can read the status.
        address: the address without the token, as in ``http://127.0.0.1:8500``.
        token: the token; programs send it as ``Authorization: Bearer …``.
    """

    def __init__(self, address: str, token: str) -> None:
        self.address: str = address
        self.token: str = token
        self.url: str = f"{address}/?token={quote(token, safe='')}"

    def __repr__(self) -> str:
        return f"<StatusServer at {self.address}>"


@contextlib.asynccontextmanager
async def serve_status(
    client: Client,
    port: int = 0,
    token: str | None = None,
    *,
    feed: Feed | None = None,
    allow_cancel: bool = False,
) -> AsyncIterator[StatusServer]:
    """Serve the status of *client* while the block runs.

    It listens on 127.0.0.1 only, and every request needs the token, except for ``/healthz``. It is read-only, unless
    *allow_cancel* is given. It runs in the client's event loop, works only while somebody looks, and looks at the
    client at most five times a second.

    ``/`` is a live page for browsers, ``/status.json`` the same as JSON, ``/events`` what changes as server-sent
    events, ``/metrics`` for Prometheus (needs the extra ``metrics``), and ``/healthz`` answers 200 if the client is
    live and 503 otherwise.

    Args:
        client: the client.
        port: 0 = any free port.
        token: 1 to 512 visible ASCII characters; a random one is made by default. With a fixed port and token, an open
            page stays valid when the bot restarts.
        feed: order books with which positions are compared.
        allow_cancel: let readers cancel all orders; they are asked twice.

    Yields:
        the running server.

    Raises:
        ConfigurationError: an argument cannot be used, or the port is not free.
    """
    if not isinstance(client, Client):
        raise ConfigurationError(f"the status of a {type(client).__name__} cannot be shown; pass a cryptoproto.Client")
    loop = asyncio.get_running_loop()
    access = Access(token)
    _check_port(port)
    with listening_socket(_HOST, port) as listener:
        number = listener.getsockname()[1]
        observer = Observer(client, feed, allow_cancel=allow_cancel)
        camera = Camera(observer.look, _INTERVAL_S)
        app = application(
            client,
            camera=camera,
            streams=EventStreams(camera, _MOST_STREAMS),
            access=access,
            cookie=f"cryptoproto_status_{number}",  # cookies are not separated by port
            cancel_all=CancelAll(client, loop.time) if allow_cancel else None,
        )
        server = EmbeddedServer(_config(app))
        states = asyncio.create_task(_note_states(client, observer), name="cryptoproto-status-states")
        serving = asyncio.create_task(server.serve(sockets=[listener]), name="cryptoproto-status")
        try:
            await server.listening.wait()
            yield StatusServer(f"http://{_HOST}:{number}", access.token)
        finally:
            camera.close()
            server.should_exit = True
            states.cancel()
            await asyncio.wait([serving, states])
    serving.result()


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        lifespan="off",
        ws="none",
        log_config=None,
        log_level="warning",
        access_log=False,  # addresses have the token in them
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=_SHUTDOWN_S,
    )


async def _note_states(client: Client, observer: Observer) -> None:
    async for change in client.states():
        observer.note_state(change)


def _check_port(port: int) -> None:
    if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= 65_535:
        raise ConfigurationError(f"port={port!r} must be a whole number from 0 to 65535")
