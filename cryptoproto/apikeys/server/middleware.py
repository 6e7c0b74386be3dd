"""ASGI middleware: no request passes unsigned, and the login calls are answered here."""

from __future__ import annotations

import asyncio
import http
import logging
import os
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, unquote

import msgspec
from starlette.authentication import AuthCredentials
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...exceptions import CredentialsRefused
from ..basic_auth import checked_prefix
from ..canonical import canonical_path, without_broken_escapes, without_path_noise, without_prefix
from .config import ApiKeysConfig, load_config
from .gatekeeper import CREDENTIAL_HEADERS, Gatekeeper
from .request_body import BodyBudget, HeldBody
from .request_check import Principal

__all__ = ["ApiKeysMiddleware"]

logger: logging.Logger = logging.getLogger("cryptoproto.apikeys")
access: logging.Logger = logging.getLogger("cryptoproto.apikeys.access")

_LOGIN_CALLS: Final = frozenset({"attempt", "confirm", "keepalive", "logout"})
_MAXIMUM_LOGIN_BODY: Final = 32_768  # a public value and an RSA signature of 16384 bits each, in base64, fit 5 times
_SIGNED_BY: Final = "cryptoproto.api_key"  # in the scope of a request
_HEADER_NAMES: Final = {name.lower().encode("ascii"): name for name in CREDENTIAL_HEADERS}


class ApiKeysMiddleware:
    """Passes signed requests on to *app* and refuses others with ``{error, error_description}``.

    The application finds the :class:`Principal` in ``scope["user"]`` and its authorities in ``scope["auth"]``, where
    Starlette's ``request.user`` and ``@requires`` look for them. It sees only what was signed: matrix parameters,
    double slashes and parameters with a broken escape are removed. If sessions are enabled, POST requests to the login
    root are answered here.

    The logger ``cryptoproto.apikeys.access`` has a line for each request, at level INFO: the address, the name of the
    API key that signed it (``-`` if its signature was not checked, or is wrong), the request, the status, the time.

    Args:
        app: the application.
        config: keys and settings, a path to them, or a :class:`Gatekeeper` that others share.
        max_body: bytes of the longest body that a signature may cover (POST, PUT, DELETE). A body is held in memory
            until its signature is checked.
        max_bodies: bytes of all bodies that are held at the same time.
        body_timeout: seconds until a body must be complete.
        path_prefix: what a proxy in front leaves at the front of the path, such as ``/timebase``. Signatures do not
            cover it. ``X-Forwarded-Prefix`` is ignored, because anyone can send it.
        public_paths: paths that need no signature.
        stomp_path: the STOMP endpoint, where the CONNECT frame is signed instead of the WebSocket handshake.
        clock: seconds, for the times in the access log.

    Raises:
        ConfigurationError: the configuration cannot be used.
    """

    def __init__(
        self,
        app: ASGIApp,
        config: ApiKeysConfig | Gatekeeper | str | os.PathLike[str],
        *,
        max_body: int = 10 * 1024 * 1024,
        max_bodies: int = 64 * 1024 * 1024,
        body_timeout: float = 30.0,
        path_prefix: str = "",
        public_paths: Collection[str] = (),
        stomp_path: str = "/stomp/v0",
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        if isinstance(config, str | os.PathLike):
            config = load_config(config)
        self.app = app
        self.gatekeeper: Gatekeeper = config if isinstance(config, Gatekeeper) else Gatekeeper(config)
        self._max_body = max_body
        self._budget = BodyBudget(max_bodies)
        self._body_timeout = body_timeout
        self._path_prefix = checked_prefix(path_prefix)
        self._public_paths = frozenset(public_paths)
        self._stomp_path = stomp_path
        self._clock = clock
        sessions = self.gatekeeper.config.sessions
        roots = sessions.login_roots if sessions.enabled else ()
        self._login_calls = {f"{root}/{call}": call for root in roots for call in _LOGIN_CALLS}

    @property
    def held_bytes(self) -> int:
        """Bytes of request bodies that are held now."""
        return self._budget.used

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] == "http":
            if access.isEnabledFor(logging.INFO):
                await self._logged(scope, receive, send)
            else:
                await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:  # lifespan
            await self.app(scope, receive, send)

    async def _logged(self, scope: Scope, receive: Receive, send: Send) -> None:
        started, status, scope = self._clock(), 0, {**scope}

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._http(scope, receive, noting)
        finally:
            address = (scope.get("client") or ("-",))[0]
            took_ms = (self._clock() - started) * 1000
            key_name = scope.get(_SIGNED_BY, "-")
            access.info(
                "%s %s %s %r %s in %.1f ms", address, key_name, scope["method"], scope["path"], status or "-", took_ms
            )

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        target = _target(scope, self._path_prefix)
        if target.path in self._public_paths:
            await self.app(target.scope, receive, send)
            return
        call = self._login_calls.get(target.path)
        with self._budget.open(_MAXIMUM_LOGIN_BODY if call else self._max_body) as held:
            try:
                if call in ("attempt", "confirm"):
                    await self._login(call, scope, receive, send, held)
                    return
                checked = await self._checked(target, receive, held)
                if checked is None:
                    return
                scope[_SIGNED_BY] = checked[0].key_name  # for the access log
                principal, scope, receive = checked
                if call is not None:
                    await self._session_call(call, principal, scope, send)
                    return
            except CredentialsRefused as refusal:
                logger.info("%s %r: %s", scope["method"], scope["path"], refusal)
                await _refuse(send, refusal)
                return
            await self.app(scope, receive, send)

    async def _checked(
        self, target: _Target, receive: Receive, held: HeldBody
    ) -> tuple[Principal, Scope, Receive] | None:
        """The sender of a signed request, and the request for the application. ``None`` if the client left."""
        scope = target.scope
        claim = self.gatekeeper.claim(_credentials(scope))
        content_type = _header(scope, b"content-type").decode("latin-1")
        check = self.gatekeeper.begin(claim, scope["method"], target.path, target.query, content_type=content_type)
        if check.role == "unsigned":
            principal = check.finish()
            return principal, _with_principal(scope, principal), receive
        held.refuse_declared(_header(scope, b"content-length"))
        if not await held.read(receive, self._body_timeout, check.update if check.role == "signed" else None):
            return None
        principal = check.finish(held.data)
        if check.role == "parameters":
            scope = _without_broken_parameters(scope, held)
        return principal, _with_principal(scope, principal), held.replay(receive)

    async def _login(self, call: str, scope: Scope, receive: Receive, send: Send, held: HeldBody) -> None:
        _only_post(scope)
        held.refuse_declared(_header(scope, b"content-length"))
        if not await held.read(receive, self._body_timeout):
            return
        body = bytes(held.data)
        if call == "attempt":
            await _respond(send, 200, self.gatekeeper.attempt(body))
            return
        confirmation = self.gatekeeper.confirm(body)
        exchanged = await asyncio.to_thread(self.gatekeeper.exchange, confirmation)
        reply = self.gatekeeper.establish(confirmation, exchanged)
        scope[_SIGNED_BY] = confirmation.key.name
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
        target = _target(scope, self._path_prefix)
        if target.path == self._stomp_path or target.path in self._public_paths:
            await self.app(target.scope, receive, send)
            return
        try:
            claim = self.gatekeeper.claim(_credentials(scope))
            principal = self.gatekeeper.check(claim, "GET", target.path, target.query)
        except CredentialsRefused as refusal:
            logger.info("WebSocket %r: %s", scope["path"], refusal)
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": refusal.description})
            return
        address = (scope.get("client") or ("-",))[0]
        access.info("%s %s WebSocket %r", address, principal.key_name, scope["path"])
        await self.app(_with_principal(target.scope, principal), receive, send)


@dataclass(frozen=True, slots=True)
class _Target:
    """What a request asks for.

    Attributes:
        path: as it is signed, but for its case; without the proxy's prefix.
        query: URL-encoded.
        scope: for the application, without anything that is not signed.
    """

    path: str
    query: str
    scope: Scope


def _target(scope: Scope, prefix: str) -> _Target:
    path, query = scope["path"], scope.get("query_string", b"").decode("latin-1")
    encoded = scope.get("raw_path", b"").decode("latin-1")
    if unquote(encoded) != path:  # the server does not give it, or somebody in between has changed the path
        encoded = quote(path, safe="/;", errors="surrogateescape")
    signed_path, signed_query = canonical_path(encoded), without_broken_escapes(query)
    if signed_path != path or signed_query != query:
        raw_path = without_path_noise(encoded).encode("latin-1")
        query_string = signed_query.encode("latin-1")
        scope = {**scope, "path": signed_path, "raw_path": raw_path, "query_string": query_string}
    return _Target(without_prefix(signed_path, prefix), signed_query, scope)


def _without_broken_parameters(scope: Scope, held: HeldBody) -> Scope:
    """Remove what is not signed from a form, and return the scope with the new length."""
    form = held.data.decode("latin-1")
    signed = without_broken_escapes(form)
    if signed == form:
        return scope
    held.replace(signed.encode("latin-1"))
    headers = [(name, value) for name, value in scope["headers"] if name.lower() != b"content-length"]
    return {**scope, "headers": [*headers, (b"content-length", b"%d" % len(held))]}


def _only_post(scope: Scope) -> None:
    if scope["method"] != "POST":
        raise CredentialsRefused(405, "login calls are POST requests")


def _header(scope: Scope, wanted: bytes) -> bytes:
    headers: Iterable[tuple[bytes, bytes]] = scope["headers"]
    return next((value for name, value in headers if name.lower() == wanted), b"")


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


async def _refuse(send: Send, refusal: CredentialsRefused) -> None:
    content = {"error": http.HTTPStatus(refusal.status).phrase, "error_description": refusal.description}
    extra: list[tuple[bytes, bytes]] = []
    if refusal.status == 401:
        extra.append((b"www-authenticate", b'Deltix-ApiKey realm="api"'))  # RFC 9110, section 11.6.1, wants one
    elif refusal.status == 405:
        extra.append((b"allow", b"POST"))
    elif refusal.status in (408, 413, 503):
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
