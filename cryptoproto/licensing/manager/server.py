"""HTTP for the license manager: one path, a body limit, and JSON for every refusal."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from ...exceptions import ConfigurationError

try:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.requests import ClientDisconnect, Request
    from starlette.responses import Response
    from starlette.routing import Route
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"the license manager's server needs {error.name}: pip install 'cryptoproto[licensing,server]'", name=error.name
    ) from None

from ..manager_link import CONTENT_TYPE, REQUEST_PATH
from ..refusal import Refusal
from .manager import LARGEST_BODY, Reply
from .throttle import Throttle

if TYPE_CHECKING:
    from .manager import LicenseManager

__all__ = ["ManagerServer", "application"]

_log = logging.getLogger("cryptoproto.licensing.manager")
_LARGEST_BATCH: Final = 64  # as many requests share a commit; more would only make the first of them wait
_BODY_TIMEOUT_S: Final = 10.0  # a body is one or two packets
_ADDRESS_PER_SECOND: Final = 50.0  # an address may stand for a whole rack of gateways
_ADDRESS_BURST: Final = 500
_MOST_CONNECTIONS: Final = 1000
_FAREWELL_S: Final = 5  # a peer that never finishes must not keep the process


class _Desk:
    """Brings requests to the manager's one thread; those that wait together are decided in one commit."""

    def __init__(self, manager: LicenseManager) -> None:
        self._manager = manager
        self._waiting: list[tuple[bytes, asyncio.Future[Reply]]] = []
        self._worker: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "license-manager")

    async def handle(self, body: bytes) -> Reply:
        """The manager's reply; cancelling does not undo the decision."""
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
    manager: LicenseManager,
    *,
    log: logging.Logger | None = None,
    steady_ns: Callable[[], int] = time.monotonic_ns,
) -> Starlette:
    """The ASGI application around a manager; *log* gets a line per refusal, *steady_ns* paces the addresses."""
    desk, throttle, journal = _Desk(manager), Throttle(_ADDRESS_PER_SECOND, _ADDRESS_BURST), log or _log

    async def license_(request: Request) -> Response:
        address = request.client.host if request.client else "unknown"
        wait_s = throttle.wait_s(address, steady_ns())
        if wait_s:
            return _response(Reply.no(Refusal(429, "too_many_requests", "too many requests from this address", wait_s)))
        body = await _body(request)
        reply = Reply.no(body) if isinstance(body, Refusal) else await desk.handle(body)
        if reply.refusal is not None:
            journal.info("refused %s: %s: %s", address, reply.refusal.reason, reply.refusal.message)
        return _response(reply)

    async def refuse(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        reasons = {404: "not_found", 405: "method_not_allowed"}
        reason = reasons.get(status, "internal" if status >= 500 else "malformed")
        message = f"requests are POSTed to {REQUEST_PATH}" if status < 500 else "the manager failed; its log says why"
        return _response(Reply.no(Refusal(status, reason, message)))

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        desk.close()

    return Starlette(
        routes=[Route(REQUEST_PATH, license_, methods=["POST"])],
        exception_handlers={HTTPException: refuse, Exception: refuse},
        lifespan=lifespan,
    )


async def _body(request: Request) -> bytes | Refusal:
    """The body, or why it is not read to its end."""
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
        return Refusal(400, "malformed", "the body did not arrive as a whole")
    return bytes(body)


def _response(reply: Reply) -> Response:
    if reply.refusal is None:
        return Response(reply.body, reply.status, media_type=CONTENT_TYPE, headers={"Cache-Control": "no-store"})
    headers = {"Cache-Control": "no-store"}
    if reply.status == 413:
        headers["Connection"] = "close"  # the rest of the body is not read, so the sender would wait
    if reply.refusal.retry_after_s is not None:
        headers["Retry-After"] = str(int(reply.refusal.retry_after_s) + 1)
    return Response(reply.body, reply.status, media_type="application/json", headers=headers)


class _Uvicorn(uvicorn.Server):
    """Tells when it listens, and leaves the process's signal handlers alone."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class ManagerServer:
    """A manager on a socket, as an async context manager; ``url`` is its address while it runs.

    Args:
        manager: whose requests to serve.
        host: the address to listen on.
        port: the port, 0 for a free one.
        certificate: a PEM file with the certificate chain; with it TLS is spoken.
        certificate_key: the PEM file of its private key, if that is not in the same file.

    Raises:
        ConfigurationError: the certificate cannot be used; on entering, the address cannot be listened on.
    """

    def __init__(
        self,
        manager: LicenseManager,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        certificate: str | os.PathLike[str] | None = None,
        certificate_key: str | os.PathLike[str] | None = None,
    ) -> None:
        if not 0 <= port <= 65_535:
            raise ConfigurationError(f"port: {port} is none; between 0 and 65535")
        self._host, self._port = host, port
        self._scheme = "http" if certificate is None else "https"
        config = uvicorn.Config(
            application(manager),
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=_MOST_CONNECTIONS,
            timeout_graceful_shutdown=_FAREWELL_S,
            ssl_certfile=None if certificate is None else os.fspath(certificate),
            ssl_keyfile=None if certificate_key is None else os.fspath(certificate_key),
        )
        try:
            config.load()
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"certificate: cannot be used: {error}") from error
        self._server = _Uvicorn(config)
        self._task: asyncio.Task[None] | None = None
        self.url = ""

    async def __aenter__(self) -> Self:
        listener = _listen(self._host, self._port)
        name, number = listener.getsockname()[:2]
        self.url = f"{self._scheme}://{f'[{name}]' if ':' in name else name}:{number}"
        self._task = asyncio.create_task(self._serve(listener), name="license-server")
        listening = asyncio.create_task(self._server.listening.wait())
        await asyncio.wait([self._task, listening], return_when=asyncio.FIRST_COMPLETED)
        listening.cancel()
        if self._task.done():
            await self._task
            raise ConfigurationError("the license manager's server did not start; its log says why")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
        await self.ended()

    def stop(self) -> None:
        """Answer what has arrived, and end."""
        self._server.should_exit = True

    async def ended(self) -> None:
        """Wait until the server has ended, by :meth:`stop` or by leaving the context."""
        if self._task is not None:
            await self._task

    async def _serve(self, listener: socket.socket) -> None:
        with listener:
            await self._server.serve(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    # The protocol is named because asyncio switches Nagle off only on sockets that name it.
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"{host}:{port}: cannot be listened on: {error.strerror}; choose another host or port"
        ) from error
    return listener
