"""The paths of the status server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Final, TypeAlias

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ..client import Client, State
from ..exceptions import MissingExtra
from ..extras import needs
from .access import Access
from .camera import Camera
from .cancel_all import CancelAll
from .event_stream import EventStreams
from .guard import Guard

__all__ = ["application"]

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]

_PAGE: Final = Path(__file__).parent / "page"
_ASSETS: Final = {
    "/status.css": "text/css",
    "/status.js": "text/javascript",
    "/rows.js": "text/javascript",
    "/icon.svg": "image/svg+xml",
}
_HEALTH: Final = "/healthz"
_CANCEL_ALL: Final = "/cancel-all"


def application(
    client: Client, *, camera: Camera, streams: EventStreams, access: Access, cookie: str, cancel_all: CancelAll | None
) -> ASGIApp:
    """The ASGI application.

    Args:
        client: whose health and metrics are shown.
        camera: takes the snapshots of it.
        streams: the streams of open pages.
        access: who may read.
        cookie: the name of the cookie for browsers.
        cancel_all: cancels orders when asked; ``None`` = read-only.
    """

    async def status(_request: Request) -> Response:
        snapshot = await camera.fresh()
        if snapshot is None:
            return JSONResponse({"error": "closing", "message": "the status server is closing"}, 503)
        return Response(orjson.dumps(snapshot.document()), media_type="application/json")

    async def events(_request: Request) -> Response:
        if streams.is_full:
            message = "too many pages are open; close one of them"
            return JSONResponse({"error": "too_many", "message": message}, 503, {"Retry-After": "5"})
        return _EventStreamResponse(streams.follow())

    routes = [
        Route("/", _file("index.html", "text/html")),
        *(Route(path, _file(path[1:], media_type)) for path, media_type in _ASSETS.items()),
        Route("/status.json", status),
        Route("/events", events),
        Route("/metrics", _metrics(client)),
        Route(_HEALTH, _health(client)),
    ]
    if cancel_all is not None:
        routes.append(Route(_CANCEL_ALL, _cancelling(cancel_all), methods=["POST"]))
    return Guard(
        Starlette(routes=routes),
        access=access,
        cookie=cookie,
        open_paths=frozenset((*_ASSETS, _HEALTH)),
        post_paths=frozenset() if cancel_all is None else frozenset((_CANCEL_ALL,)),
        refusal_page=(_PAGE / "refused.html").read_text(),
    )


def _file(name: str, media_type: str) -> Endpoint:
    content = (_PAGE / name).read_bytes()

    async def file(_request: Request) -> Response:
        return Response(content, media_type=media_type)

    return file


def _health(client: Client) -> Endpoint:
    """Whether the client is connected, and nothing else: it needs no token, so that any supervisor can ask."""

    async def health(_request: Request) -> Response:
        state = client.state.state
        return JSONResponse({"state": state.value}, 200 if state is State.LIVE else 503)

    return health


def _metrics(client: Client) -> Endpoint:
    try:
        with needs("the page of metrics", "metrics"):
            from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

            from ..client.prometheus import ClientCollector
    except MissingExtra as error:
        text = f"{error}\n"

        async def missing(_request: Request) -> Response:
            return PlainTextResponse(text, 501)

        return missing
    registry = CollectorRegistry()
    registry.register(ClientCollector(client, labels={"client": client.client_id}))

    async def metrics(_request: Request) -> Response:
        return Response(generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return metrics


def _cancelling(cancel_all: CancelAll) -> Endpoint:
    async def cancel(request: Request) -> Response:
        confirmation = request.query_params.get("confirm")
        if confirmation is None:
            return JSONResponse(cancel_all.ask(), 202)
        status, answer = await cancel_all.confirm(confirmation)
        return JSONResponse(answer, status)

    return cancel


class _EventStreamResponse(Response):
    """Sends messages until they end or the reader is gone."""

    def __init__(self, messages: AsyncGenerator[bytes]) -> None:
        super().__init__(media_type="text/event-stream")
        del self.headers["content-length"]
        self._messages = messages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        sending = asyncio.ensure_future(self._send_messages(scope, send))
        leaving = asyncio.ensure_future(_left(receive))
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, leaving):
                task.cancel()
            await asyncio.wait((sending, leaving))
        if not sending.cancelled():
            sending.result()

    async def _send_messages(self, scope: Scope, send: Send) -> None:
        async with contextlib.aclosing(self._messages) as messages:
            if scope["method"] == "GET":
                async for message in messages:
                    await send({"type": "http.response.body", "body": message, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
