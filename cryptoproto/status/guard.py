"""Refuses requests that another site or another user may have sent, and adds security headers to all answers."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .access import Access

__all__ = ["Guard"]

_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_READING: Final = ("GET", "HEAD")


class Guard:
    """An ASGI middleware that lets only permitted requests through.

    Args:
        app: the pages.
        access: the token, and which hosts and origins are accepted.
        cookie: the name of the cookie that a browser gets for the token.
        open_paths: what anyone on this machine may read: nothing in it is about the client's account.
        post_paths: where ``POST`` is allowed; everywhere else the server is read-only.
        refusal_page: the HTML page for a browser without the token.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        access: Access,
        cookie: str,
        open_paths: frozenset[str],
        post_paths: frozenset[str],
        refusal_page: str,
    ) -> None:
        self._app = app
        self._access = access
        self._cookie = cookie
        self._open_paths = open_paths
        self._post_paths = post_paths
        self._refusal_page = refusal_page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        cookie: str | None = None

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                if cookie is not None:
                    headers.append("Set-Cookie", cookie)
            await send(message)

        refusal = self._refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, send_with_headers)
            return
        if scope["path"] == "/" and self._token_in_query(scope) is not None:
            cookie = self._access.cookie(self._cookie)
        await self._app(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> Response | None:
        """Why a request is refused; ``None`` if it is not."""
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        path, method = scope["path"], scope["method"]
        if len(hosts) != 1 or not self._access.is_local_host(hosts[0]):
            return _refused(403, "bad_host", "this server answers only to 127.0.0.1 and localhost")
        if not self._access.is_own_origin(headers.get("origin"), hosts[0]):
            return _refused(403, "bad_origin", "requests from other sites are refused")
        if method not in _READING and not (method == "POST" and path in self._post_paths):
            return _refused(405, "read_only", "this server is read-only", Allow=", ".join(_READING))
        if path in self._open_paths:
            return None
        if self._access.has_token(headers.get("authorization"), self._token_in_query(scope)):
            return None
        # A page of another site cannot make the browser leave out the origin of a POST.
        if self._access.has_cookie(headers.get("cookie"), self._cookie) and (method in _READING or "origin" in headers):
            return None
        challenge = {"WWW-Authenticate": 'Bearer realm="cryptoproto status"'}
        if path == "/":
            return HTMLResponse(self._refusal_page, 401, challenge)
        return _refused(
            401, "no_token", "the token is missing or wrong; use the address that the bot printed", **challenge
        )

    def _token_in_query(self, scope: Scope) -> str | None:
        values = parse_qs(scope["query_string"].decode("latin-1")).get("token")
        return values[0] if values else None


def _refused(status: int, error: str, message: str, **headers: str) -> Response:
    return JSONResponse({"error": error, "message": message}, status, headers)
