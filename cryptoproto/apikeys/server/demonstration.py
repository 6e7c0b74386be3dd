"""A small gateway to try clients on: REST, a WebSocket and a STOMP topic behind API keys."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

import msgspec

from ...exceptions import ConfigurationError
from ...extras import needs
from ...messages import MALFORMED
from ...transport.embedded_server import EmbeddedServer
from .gatekeeper import Gatekeeper
from .middleware import ApiKeysMiddleware
from .stomp_broker import StompBroker
from .stomp_endpoint import StompEndpoint

with needs("cryptoproto.apikeys.server", "apikeys", "server"):
    import uvicorn
    from starlette.applications import Starlette
    from starlette.authentication import requires
    from starlette.exceptions import HTTPException
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route, WebSocketRoute
    from starlette.types import ASGIApp
    from starlette.websockets import WebSocket, WebSocketDisconnect

__all__ = ["READ", "STREAMS_TOPIC", "WRITE", "demonstration_app", "running"]

READ = "TB_ALLOW_READ"
WRITE = "TB_ALLOW_WRITE"
STREAMS_TOPIC = "/topic/streams"


_MAXIMUM_STREAMS: Final = 1000
_BARS: Final = tuple(
    {
        "symbol": "BTC/USD",
        "timestamp": f"2026-01-02T10:0{minute}:00.000Z",
        "open": 100.0 + minute,
        "close": 101.0 + minute,
    }
    for minute in range(3)
)


class _Stream(msgspec.Struct):
    key: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    description: Annotated[str, msgspec.Meta(max_length=4096)] = ""


def demonstration_app(gatekeeper: Gatekeeper, *, path_prefix: str = "", max_body: int = 1 << 20) -> ASGIApp:
    """The application: streams to list, to add and to read.

    ``/api/v0/streams`` lists and adds streams, ``/api/v0/{stream}/{symbol}/select`` and the WebSocket
    ``/ws/v0/{stream}/select`` read one, and ``/topic/streams`` at ``/stomp/v0`` announces new ones. Reading needs the
    authority ``TB_ALLOW_READ``, adding ``TB_ALLOW_WRITE``.

    Args:
        gatekeeper: checks the requests.
        path_prefix: as for :class:`ApiKeysMiddleware`.
        max_body: as for :class:`ApiKeysMiddleware`.
    """
    streams = {name: _Stream(name, "one-minute bars") for name in ("bars1min", "BINANCE")}
    broker = StompBroker()

    @requires(READ)
    async def show(request: Request) -> Response:
        return JSONResponse([msgspec.to_builtins(stream) for stream in streams.values()])

    @requires(WRITE)
    async def add(request: Request) -> Response:
        try:
            stream = msgspec.json.decode(await request.body(), type=_Stream)
        except MALFORMED as error:
            raise HTTPException(422, f"a stream must be {{key, description}}: {error}") from None
        if len(streams) >= _MAXIMUM_STREAMS and stream.key not in streams:
            raise HTTPException(409, f"this demonstration keeps {_MAXIMUM_STREAMS} streams")
        streams[stream.key] = stream
        broker.publish(STREAMS_TOPIC, msgspec.json.encode(stream))
        return JSONResponse(msgspec.to_builtins(stream), status_code=201)

    @requires(READ)
    async def select(request: Request) -> Response:
        if request.path_params["stream"] not in streams:
            raise HTTPException(404, "there is no such stream")
        return JSONResponse(list(_BARS))

    @requires(READ)
    async def read(websocket: WebSocket) -> None:
        if websocket.path_params["stream"] not in streams:
            await websocket.close(1008, "there is no such stream")
            return
        await websocket.accept()
        with contextlib.suppress(WebSocketDisconnect):
            await websocket.send_text(msgspec.json.encode(_BARS).decode())
            while websocket.query_params.get("live") == "true":  # nothing new comes, but the client may stay
                await websocket.receive_text()
            await websocket.close()

    application = Starlette(
        routes=[
            Route("/api/v0/streams", show, methods=["GET"]),
            Route("/api/v0/streams", add, methods=["POST"]),
            Route("/api/v0/{stream}/{symbol}/select", select, methods=["POST"]),
            WebSocketRoute("/ws/v0/{stream}/select", read),
            WebSocketRoute("/stomp/v0", StompEndpoint(gatekeeper, broker)),
        ],
        exception_handlers={HTTPException: _explain},
    )
    return ApiKeysMiddleware(application, gatekeeper, path_prefix=path_prefix, max_body=max_body)


async def _explain(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):  # pragma: no cover - Starlette's types allow it, the registration does not
        raise error
    return JSONResponse({"error": error.detail, "error_description": error.detail}, status_code=error.status_code)


class _Server(EmbeddedServer):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ending = asyncio.Event()

    async def main_loop(self) -> None:
        """Wait for the end. Uvicorn's own loop checks for it ten times a second."""
        while not await self.on_tick(0):  # updates the date in the responses
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.ending.wait(), 1.0)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End all connections.

        Those that are closing already are cut: uvicorn would close them once more, which a WebSocket does not allow.
        """
        connections: set[Any] = self.server_state.connections
        closing = {connection for connection in connections if connection.transport.is_closing()}
        for connection in closing:
            connection.transport.abort()
        while closing & connections:  # noqa: ASYNC110 - the event loop calls connection_lost() in a moment
            await asyncio.sleep(0)
        await super().shutdown(sockets=sockets)


@contextlib.asynccontextmanager
async def running(
    app: ASGIApp,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    tls_cert: str | os.PathLike[str] | None = None,
    tls_key: str | os.PathLike[str] | None = None,
) -> AsyncIterator[str]:
    """Serve *app* with uvicorn in this event loop. Yields its address, such as ``http://127.0.0.1:8099``.

    Args:
        app: what to serve.
        host: the address to listen on.
        port: the port to listen on; 0 for any free one.
        tls_cert: a PEM file with the certificate, and perhaps its key. With it, the address is ``https://``.
        tls_key: a PEM file with the certificate's private key.

    Raises:
        ConfigurationError: the certificate or its key cannot be used.
        OSError: it cannot listen there.
    """
    if tls_cert is not None:
        _check_certificate(tls_cert, tls_key)
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",
        access_log=False,
        lifespan="off",
        ws="websockets-sansio",  # older versions choose one that websockets has deprecated
        ws_max_size=1 << 21,
        server_header=False,
        ssl_certfile=tls_cert,
        ssl_keyfile=None if tls_key is None else os.fspath(tls_key),
    )
    server = _Server(config)
    with socket.create_server((host, port)) as listener:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        ready = asyncio.create_task(server.listening.wait())
        try:
            await asyncio.wait([serving, ready], return_when=asyncio.FIRST_COMPLETED)
            if serving.done():
                serving.result()
            scheme = "http" if tls_cert is None else "https"
            yield f"{scheme}://{host}:{listener.getsockname()[1]}"
        finally:
            ready.cancel()
            server.should_exit = True
            server.force_exit = True
            server.ending.set()
            await serving


def _check_certificate(tls_cert: str | os.PathLike[str], tls_key: str | os.PathLike[str] | None) -> None:
    """Load the certificate once, for an error in words."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tls_cert, tls_key)
    except ssl.SSLError:  # an OSError too, but its text is not for users
        raise ConfigurationError(
            f"{tls_cert}: not a PEM certificate with a matching private key; give the key with --tls-key, "
            f"or in the same file"
        ) from None
    except OSError as error:
        names = " or ".join(str(path) for path in (tls_cert, tls_key) if path is not None)
        raise ConfigurationError(f"{names}: cannot be read: {error.strerror}") from None
