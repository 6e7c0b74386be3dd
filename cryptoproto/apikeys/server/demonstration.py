"""A small gateway to try clients on: two REST resources, one STOMP topic, keys and login in front of them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any, Literal

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.authentication import requires
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp

from .gatekeeper import Gatekeeper, Principal
from .middleware import ApiKeysMiddleware
from .stomp_broker import StompBroker
from .stomp_endpoint import StompEndpoint

__all__ = ["READ", "STREAMS_TOPIC", "WRITE", "demonstration_app", "running"]

READ = "TB_ALLOW_READ"
WRITE = "TB_ALLOW_WRITE"
STREAMS_TOPIC = "/topic/streams"


class _Stream(msgspec.Struct):
    key: str
    description: str = ""


def demonstration_app(gatekeeper: Gatekeeper, *, path_prefix: str = "", max_body: int = 1 << 20) -> ASGIApp:
    """``/api/v0/streams`` to list and to add streams, and ``/topic/streams`` at ``/stomp/v0``, which tells of new ones.

    Args:
        gatekeeper: who may pass.
        path_prefix: as for :class:`ApiKeysMiddleware`.
        max_body: as for :class:`ApiKeysMiddleware`.
    """
    streams: dict[str, _Stream] = {"bars1min": _Stream("bars1min", "one-minute bars")}
    broker = StompBroker()

    @requires(READ)
    async def show(request: Request) -> Response:
        return JSONResponse([msgspec.to_builtins(stream) for stream in streams.values()])

    @requires(WRITE)
    async def add(request: Request) -> Response:
        try:
            stream = msgspec.json.decode(await request.body(), type=_Stream)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise HTTPException(422, f"a stream is {{key, description}}: {error}") from None
        if len(streams) >= 1000 and stream.key not in streams:
            raise HTTPException(409, "this demonstration keeps 1000 streams")
        streams[stream.key] = stream
        broker.publish(STREAMS_TOPIC, msgspec.json.encode(stream))
        return JSONResponse(msgspec.to_builtins(stream), status_code=201)

    @requires(READ)
    async def select(request: Request) -> Response:
        if request.path_params["stream"] not in streams:
            raise HTTPException(404, "there is no such stream")
        return JSONResponse([])

    application = Starlette(
        routes=[
            Route("/api/v0/streams", show, methods=["GET"]),
            Route("/api/v0/streams", add, methods=["POST"]),
            Route("/api/v0/{stream}/{symbol}/select", select, methods=["POST"]),
            WebSocketRoute("/stomp/v0", StompEndpoint(gatekeeper, broker, authorize=_authorize)),
        ],
        exception_handlers={HTTPException: _explain},
    )
    return ApiKeysMiddleware(application, gatekeeper, path_prefix=path_prefix, max_body=max_body)


def _authorize(principal: Principal, action: Literal["subscribe", "send"], destination: str) -> bool:
    return (READ if action == "subscribe" else WRITE) in principal.authorities


async def _explain(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = str(getattr(error, "detail", ""))
    return JSONResponse({"error": detail, "error_description": detail}, status_code=status)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()
        self.ending = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.ready.set()

    async def main_loop(self) -> None:
        """Uvicorn's own looks ten times a second whether it is to end; this one is told."""
        while not await self.on_tick(0):  # which keeps the date of the answers
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.ending.wait(), 1.0)

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        """Leave the process's signals alone: this server is only a part of it."""
        yield


@contextlib.asynccontextmanager
async def running(app: ASGIApp, *, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve *app* with uvicorn in this event loop; gives its address, such as ``http://127.0.0.1:8099``."""
    config = uvicorn.Config(app, log_level="warning", lifespan="off", ws_max_size=1 << 21, server_header=False)
    server = _Server(config)
    with socket.create_server((host, port)) as listener:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        ready = asyncio.create_task(server.ready.wait())
        try:
            await asyncio.wait([serving, ready], return_when=asyncio.FIRST_COMPLETED)
            if serving.done():
                serving.result()
            yield f"http://{host}:{listener.getsockname()[1]}"
        finally:
            ready.cancel()
            server.should_exit = True
            server.force_exit = True
            server.ending.set()
            await serving
