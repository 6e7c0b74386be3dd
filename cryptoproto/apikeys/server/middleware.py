"""ASGI middleware: nothing passes unsigned, and the login calls are answered here."""

from __future__ import annotations

import asyncio
import http
import logging
import os
from collections.abc import Collection, Iterable
from typing import Any, Final

import msgspec
from starlette.authentication import AuthCredentials
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...exceptions import CredentialsRefused
from ..basic_auth import checked_prefix
from ..canonical import SIGNED_BODY_METHODS, without_prefix
from .config import ApiKeysConfig, load_config
from .gatekeeper import CREDENTIAL_HEADERS, Gatekeeper, Principal

__all__ = ["ApiKeysMiddleware"]

logger = logging.getLogger("cryptoproto.apikeys")

_LOGIN_CALLS: Final = frozenset({"attempt", "confirm", "keepalive", "logout"})
_MAXIMUM_LOGIN_BODY: Final = 32_768  # a public value and an RSA signature of 16384 bits each, in base64, fit 5 times
_HEADER_NAMES: Final = {name.lower().encode("ascii"): name for name in CREDENTIAL_HEADERS}


class ApiKeysMiddleware:
    """Lets signed requests through to *app* and refuses the others with ``{error, error_description}``.

    The application finds the :class:`Principal` as ``scope["user"]`` and its authorities as ``scope["auth"]``, where
    Starlette's ``request.user`` and ``@requires`` look for them. With sessions enabled, POST requests to the login
    root are answered here.

    Args:
        app: the application.
        config: keys and settings, a path to them, or a :class:`Gatekeeper` that others share.
        max_body: bytes of the longest body that is accepted where a signature covers it (POST, PUT, DELETE); it is
            held in memory while it is checked.
        path_prefix: what a proxy in front leaves at the front of the path, such as ``/timebase``; signatures do not
            cover it. ``X-Forwarded-Prefix`` is never read, for anyone can send it.
        public_paths: paths that need no signature.
        stomp_path: of the STOMP endpoint, whose CONNECT frame is signed instead of the WebSocket's handshake.

    Raises:
        ConfigurationError: the configuration cannot be used.
    """

    def __init__(
        self,
        app: ASGIApp,
        config: ApiKeysConfig | Gatekeeper | str | os.PathLike[str],
        *,
        max_body: int = 10 * 1024 * 1024,
        path_prefix: str = "",
        public_paths: Collection[str] = (),
        stomp_path: str = "/stomp/v0",
    ) -> None:
        if isinstance(config, str | os.PathLike):
            config = load_config(config)
        self.app = app
        self.gatekeeper = config if isinstance(config, Gatekeeper) else Gatekeeper(config)
        self._max_body = max_body
        self._path_prefix = checked_prefix(path_prefix)
        self._public_paths = frozenset(public_paths)
        self._stomp_path = stomp_path
        sessions = self.gatekeeper.config.sessions
        roots = sessions.login_roots if sessions.enabled else ()
        self._login_calls = {f"{root}/{call}": call for root in roots for call in _LOGIN_CALLS}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:  # lifespan
            await self.app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = without_prefix(scope["path"], self._path_prefix)
        if path in self._public_paths:
            await self.app(scope, receive, send)
            return
        call = self._login_calls.get(path)
        try:
            if call in ("attempt", "confirm"):
                await self._login(call, scope, receive, send)
                return
            claim = self.gatekeeper.claim(_credentials(scope))
            body = b""
            if scope["method"] in SIGNED_BODY_METHODS:
                read = await _read_body(scope, receive, self._max_body)
                if read is None:
                    return
                body = read
                receive = _replay(body, receive)
            query = scope.get("query_string", b"").decode("latin-1")
            principal = self.gatekeeper.check(claim, scope["method"], path, query, body)
            if call is not None:
                await self._session_call(call, principal, scope, send)
                return
        except CredentialsRefused as refusal:
            logger.info("%s %r: %s", scope["method"], path, refusal)
            await _refuse(send, refusal)
            return
        await self.app(_with_principal(scope, principal), receive, send)

    async def _login(self, call: str, scope: Scope, receive: Receive, send: Send) -> None:
        _only_post(scope)
        body = await _read_body(scope, receive, _MAXIMUM_LOGIN_BODY)
        if body is None:
            return
        if call == "attempt":
            await _respond(send, 200, self.gatekeeper.attempt(body))
            return
        confirmation = self.gatekeeper.confirm(body)
        exchanged = await asyncio.to_thread(self.gatekeeper.exchange, confirmation)
        reply = self.gatekeeper.establish(confirmation, exchanged)
        logger.info("session for API key %s begins", confirmation.key.name)
        await _respond(send, 200, reply)

    async def _session_call(self, call: str, principal: Principal, scope: Scope, send: Send) -> None:
        _only_post(scope)
        if call == "logout":
            self.gatekeeper.log_out(principal)
            logger.info("session for API key %s ends", principal.key_name)
            await _respond(send, 200, {})
            return
        # The signed request itself has kept the session alive.
        await _respond(send, 200, {"keepalive_timeout": str(self.gatekeeper.config.sessions.keep_alive_ms)})

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = without_prefix(scope["path"], self._path_prefix)
        if path == self._stomp_path or path in self._public_paths:
            await self.app(scope, receive, send)
            return
        try:
            query = scope.get("query_string", b"").decode("latin-1")
            principal = self.gatekeeper.check(self.gatekeeper.claim(_credentials(scope)), "GET", path, query)
        except CredentialsRefused as refusal:
            logger.info("WebSocket %r: %s", path, refusal)
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": refusal.description})
            return
        await self.app(_with_principal(scope, principal), receive, send)


def _only_post(scope: Scope) -> None:
    if scope["method"] != "POST":
        raise CredentialsRefused(405, "login calls are POST requests")


def _credentials(scope: Scope) -> dict[str, str]:
    found: dict[str, str] = {}
    raw: Iterable[tuple[bytes, bytes]] = scope["headers"]
    for name, value in raw:
        known = _HEADER_NAMES.get(name.lower())
        if known is None:
            continue
        if known in found:  # which one counts must not depend on who reads
            raise CredentialsRefused(400, f"the header {known} was sent twice")
        # Names of keys may be beyond ASCII; clients send such headers as UTF-8.
        found[known] = value.decode("utf-8", "replace")
    return found


def _with_principal(scope: Scope, principal: Principal) -> Scope:
    return {**scope, "user": principal, "auth": AuthCredentials(sorted(principal.authorities))}


async def _read_body(scope: Scope, receive: Receive, limit: int) -> bytes | None:
    """The whole body; ``None`` when the client went away meanwhile. Refuses before more than *limit* is held."""
    declared = [value for name, value in scope["headers"] if name.lower() == b"content-length"]
    if declared and declared[0].isdigit() and int(declared[0]) > limit:
        raise CredentialsRefused(413, f"the body is longer than {limit} bytes")
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise CredentialsRefused(413, f"the body is longer than {limit} bytes")
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def _replay(body: bytes, receive: Receive) -> Receive:
    """A ``receive`` that gives *body* once, then goes on with the server's own."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return again


async def _refuse(send: Send, refusal: CredentialsRefused) -> None:
    content = {"error": http.HTTPStatus(refusal.status).phrase, "error_description": refusal.description}
    extra: list[tuple[bytes, bytes]] = []
    if refusal.status == 401:
        extra.append((b"www-authenticate", b'Deltix-ApiKey realm="api"'))  # RFC 9110, section 11.6.1, wants one
    elif refusal.status == 405:
        extra.append((b"allow", b"POST"))
    elif refusal.status == 413:
        extra.append((b"connection", b"close"))  # the rest of the body was not read
    await _respond(send, refusal.status, content, extra)


async def _respond(send: Send, status: int, content: Any, extra: Iterable[tuple[bytes, bytes]] = ()) -> None:
    body = msgspec.json.encode(content)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode("ascii")),
        (b"cache-control", b"no-store"),
        *extra,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
