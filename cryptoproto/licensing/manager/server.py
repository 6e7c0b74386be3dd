"""HTTP for the license manager: one path, a body limit, and JSON for every refusal."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Final, Self

from ...exceptions import ConfigurationError
from ...extras import needs

with needs("the license manager's server", "licensing", "server"):
    import uvicorn
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.requests import ClientDisconnect, Request
    from starlette.responses import Response
    from starlette.routing import Route

from ...transport.embedded_server import EmbeddedServer, listening_socket
from ..request.endpoint import CONTENT_TYPE, REQUEST_PATH
from ..request.refusal import Refusal
from .reply import LARGEST_BODY, Reply, RequestHandler
from .throttle import Throttle

__all__ = ["ManagerServer", "application"]

logger: logging.Logger = logging.getLogger("cryptoproto.licensing.manager")
_LARGEST_BATCH: Final = 64  # requests that share a commit; with more, the first of them waits longer than it gains
_BODY_TIMEOUT_S: Final = 10.0  # a body is one or two packets
_ADDRESS_PER_SECOND: Final = 50.0  # an address may stand for a whole rack of gateways
_ADDRESS_BURST: Final = 500
_MOST_CONNECTIONS: Final = 1000
_SHUTDOWN_S: Final = 5  # a peer that never finishes must not keep the process alive


class _BatchQueue:
    """Passes requests to the manager's one thread. Those that wait at the same time share a commit."""

    def __init__(self, manager: RequestHandler) -> None:
        self._manager = manager
        self._waiting: list[tuple[bytes, asyncio.Future[Reply]]] = []
        self._worker: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "license-manager")

    async def handle(self, body: bytes) -> Reply:
        """The manager's reply. Cancelling does not undo the decision."""
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting.append((body, future))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work(), name="license-manager")
        return await future

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            batch, self._waiting = self._waiting[:_LARGEST_BATCH], self._waiting[_LARGEST_BATCH:]
            work = loop.run_in_executor(self._thread, self._manager.handle_batch, [body for body, _ in batch])
            await asyncio.wait([work])
            failure = work.exception()
            for index, (_, future) in enumerate(batch):
                if future.done():
                    continue
                if failure is None:
                    future.set_result(work.result()[index])
                else:
                    future.set_exception(failure)

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown()


def application(
    manager: RequestHandler,
    *,
    log: logging.Logger | None = None,
    clock: Callable[[], int] = time.monotonic_ns,
) -> Starlette:
    """The ASGI application for a manager.

    Args:
        manager: what answers the requests.
        log: gets one line for each refusal.
        clock: a steady clock in nanoseconds, for the limit of requests from one address.
    """
    queue, throttle, log = _BatchQueue(manager), Throttle(_ADDRESS_PER_SECOND, _ADDRESS_BURST), log or logger

    async def license_(request: Request) -> Response:
        address = request.client.host if request.client else "unknown"
        wait_s = throttle.wait_s(address, clock())
        if wait_s:
            return _response(Reply.no(Refusal(429, "too_many_requests", "too many requests from this address", wait_s)))
        body = await _body(request)
        reply = Reply.no(body) if isinstance(body, Refusal) else await queue.handle(body)
        if reply.refusal is not None:
            log.info("refused %s: %s: %s", address, reply.refusal.reason, reply.refusal.message)
        return _response(reply)

    async def refuse(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        reasons = {404: "not_found", 405: "method_not_allowed"}
        reason = reasons.get(status, "internal" if status >= 500 else "malformed")
        message = f"requests are POSTed to {REQUEST_PATH}" if status < 500 else "the manager failed; see its log"
        return _response(Reply.no(Refusal(status, reason, message)))

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        queue.close()

    return Starlette(
        routes=[Route(REQUEST_PATH, license_, methods=["POST"])],
        exception_handlers={HTTPException: refuse, Exception: refuse},
        lifespan=lifespan,
    )


async def _body(request: Request) -> bytes | Refusal:
    """The body, or the reason why it was not read to its end."""
    too_large = Refusal(413, "too_large", f"a request has at most {LARGEST_BODY} bytes")
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and (len(declared) > 9 or int(declared) > LARGEST_BODY):
        return too_large
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_TIMEOUT_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > LARGEST_BODY:
                    return too_large
    except (TimeoutError, ClientDisconnect):
        return Refusal(400, "malformed", "the body is not complete")
    return bytes(body)


def _response(reply: Reply) -> Response:
    if reply.refusal is None:
        return Response(reply.body, reply.status, media_type=CONTENT_TYPE, headers={"Cache-Control": "no-store"})
    headers = {"Cache-Control": "no-store"}
    if reply.status == 413:
        headers["Connection"] = "close"  # the rest of the body is not read, and the sender would wait for it
    if reply.refusal.retry_after_s is not None:
        headers["Retry-After"] = str(int(reply.refusal.retry_after_s) + 1)
    return Response(reply.body, reply.status, media_type="application/json", headers=headers)


class ManagerServer:
    """Serves a manager on a socket, as an async context manager. ``url`` is its address while it runs.

    Args:
        manager: what answers the requests.
        host: the address to listen on.
        port: the port; 0 for any free port.
        certificate: a PEM file with the certificate chain; enables TLS.
        certificate_key: a PEM file with its private key, if it is not in the same file.

    Raises:
        ConfigurationError: the certificate cannot be used; on entering, that the address cannot be bound.
    """

    def __init__(
        self,
        manager: RequestHandler,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        certificate: str | os.PathLike[str] | None = None,
        certificate_key: str | os.PathLike[str] | None = None,
    ) -> None:
        if not 0 <= port <= 65_535:
            raise ConfigurationError(f"port: {port} is not a port; use 0 to 65535")
        self._host, self._port = host, port
        self._scheme = "http" if certificate is None else "https"
        config = uvicorn.Config(
            application(manager),
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=_MOST_CONNECTIONS,
            timeout_graceful_shutdown=_SHUTDOWN_S,
            ssl_certfile=None if certificate is None else os.fspath(certificate),
            ssl_keyfile=None if certificate_key is None else os.fspath(certificate_key),
        )
        try:
            config.load()
        except (OSError, ValueError) as error:
            files = " with ".join(os.fspath(path) for path in (certificate, certificate_key) if path is not None)
            reason = (
                "not a PEM certificate with its private key"
                if isinstance(error, ssl.SSLError | ValueError)
                else f"cannot be read: {error.strerror}"
            )
            raise ConfigurationError(f"certificate {files}: {reason}") from error
        self._server = EmbeddedServer(config)
        self._task: asyncio.Task[None] | None = None
        self.url: str = ""

    async def __aenter__(self) -> Self:
        listener = listening_socket(self._host, self._port)
        name, number = listener.getsockname()[:2]
        self.url = f"{self._scheme}://{f'[{name}]' if ':' in name else name}:{number}"
        self._task = asyncio.create_task(self._serve(listener), name="license-server")
        listening = asyncio.create_task(self._server.listening.wait())
        await asyncio.wait([self._task, listening], return_when=asyncio.FIRST_COMPLETED)
        listening.cancel()
        if self._task.done():
            await self._task
            raise ConfigurationError("the license manager's server did not start; see its log")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
        await self.ended()

    def stop(self) -> None:
        """Answer the requests that have arrived, and end."""
        self._server.should_exit = True

    async def ended(self) -> None:
        """Wait until the server has ended, by :meth:`stop` or by leaving the context."""
        if self._task is not None:
            await self._task

    async def _serve(self, listener: socket.socket) -> None:
        with listener:
            await self._server.serve(sockets=[listener])
