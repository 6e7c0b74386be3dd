"""The session flow: log in once, sign with the session's secret, keep the session alive."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator
from typing import Final, Self

import httpx
import msgspec

from ..arguments import check_http_url
from ..exceptions import ConfigurationError, DecodeError, LoginRefused, RequestNotSent
from ..keys import PrivateKey
from ..messages import MALFORMED
from .basic_auth import checked_key_name, checked_prefix
from .diffie_hellman import DEFAULT_LIMITS, GroupLimits, RandomBelow
from .login import ClientLogin, LoginOutcome, api_private_key, attempt_body
from .session import Session

__all__ = ["DEFAULT_LOGIN_ROOT", "SessionAuth"]

DEFAULT_LOGIN_ROOT: Final = "/api/v1/login"

logger: logging.Logger = logging.getLogger("cryptoproto.apikeys")

_KEEP_ALIVE_SHARE: Final = 3  # a keep-alive after a third of the time leaves room for two that get lost
_RETRY_SHARE: Final = 10  # after a failed keep-alive, how much of the session's time to wait

# RFC 9110, section 9.2.2. Only these are repeated if it is uncertain whether the first one was processed.
_IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
# What gateways answer, before they look at the request, if they do not know the session or no longer know it.
_SESSION_GONE: Final = re.compile(
    r"\b(unknown|expired|no such|invalid) session\b|\bsession\b.{0,80}\b(not found|unknown|expired|has gone)\b",
    re.IGNORECASE | re.DOTALL,
)


class _Refusal(msgspec.Struct):
    error: str
    error_description: str | None = None


class SessionAuth(httpx.Auth):
    """Signs requests with the secret of a session, keeps the session alive, and logs in again if the gateway loses it.

    Made by :meth:`login`; belongs to the event loop in which it was made. :meth:`close` stops it and leaves the session
    to the gateway; :meth:`logout` and leaving ``async with`` end the session at the gateway as well.

    A session has one request in flight, until the first byte of its response: the gateway accepts increasing nonces
    only, and concurrent requests may arrive in any order. For slow concurrent requests, log in several times.

    A request is repeated in one case only, once and with a new nonce: if the gateway refused it because it does not
    know the session. Nothing is repeated after a network error.
    """

    requires_request_body = True

    def __init__(
        self,
        base_url: str,
        api_key: str,
        private_key: PrivateKey | str | bytes,
        *,
        root: str = DEFAULT_LOGIN_ROOT,
        path_prefix: str | None = None,
        http: httpx.AsyncClient | None = None,
        timeout: float = 10.0,
        limits: GroupLimits = DEFAULT_LIMITS,
        random_below: RandomBelow = secrets.randbelow,
        clock: Callable[[], float] = time.monotonic,
        wall_clock_ns: Callable[[], int] = time.time_ns,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        base = _checked_base(base_url)
        self._path_prefix = checked_prefix(base.path.rstrip("/") if path_prefix is None else path_prefix)
        self._login_url = f"{str(base).rstrip('/')}/{root.strip('/')}"
        self._api_key = checked_key_name(api_key)
        self._private_key = api_private_key(private_key)
        self._http = http if http is not None else httpx.AsyncClient(timeout=timeout)
        self._owns_http = http is None
        self._limits = limits
        self._random_below = random_below
        self._clock = clock
        self._wall_clock_ns = wall_clock_ns
        self._sleep = sleep
        self._turn = asyncio.Lock()
        self._session: Session | None = None
        self._used_at = 0.0
        self._keeper: asyncio.Task[None] | None = None
        self._closed = False

    @classmethod
    async def login(
        cls,
        base_url: str,
        api_key: str,
        private_key: PrivateKey | str | bytes,
        *,
        root: str = DEFAULT_LOGIN_ROOT,
        path_prefix: str | None = None,
        http: httpx.AsyncClient | None = None,
        timeout: float = 10.0,
        limits: GroupLimits = DEFAULT_LIMITS,
        random_below: RandomBelow = secrets.randbelow,
        clock: Callable[[], float] = time.monotonic,
        wall_clock_ns: Callable[[], int] = time.time_ns,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> Self:
        """Log in: attempt, signed challenge, Diffie-Hellman, confirmation; then keep the session alive.

        If it is cancelled, an unconfirmed login may remain, which the gateway drops after its time.

        Args:
            base_url: the gateway, such as ``https://host``. A path in it is a proxy's prefix.
            api_key: the name of the key.
            private_key: a :class:`~cryptoproto.PrivateKey`, or base64 of DER (PKCS#8).
            root: the path of the login calls. ``/api/v1/login``, ``/api/v0`` and ``/session/login`` are in use.
            path_prefix: what a proxy removes from the front of the path before the gateway sees it. The default is the
                path of *base_url*.
            http: a client for the login calls and keep-alives, without ``auth``. It stays open. The default is a new
                client, which is closed with this object.
            timeout: seconds for each of those calls, if *http* is not given.
            limits: the accepted lengths of the modulus.
            random_below: the source of the private exponent.
            clock: seconds, for the keep-alive.
            wall_clock_ns: nanoseconds since 1970, where the nonce starts.
            sleep: waits between keep-alives.

        Raises:
            ConfigurationError: an argument or the key cannot be used.
            LoginRefused: the gateway refused the login, or its numbers are unsafe.
            httpx.TransportError: the gateway cannot be reached.
        """
        auth = cls(
            base_url,
            api_key,
            private_key,
            root=root,
            path_prefix=path_prefix,
            http=http,
            timeout=timeout,
            limits=limits,
            random_below=random_below,
            clock=clock,
            wall_clock_ns=wall_clock_ns,
            sleep=sleep,
        )
        try:
            await auth._log_in()
        except BaseException:
            await auth.close()
            raise
        auth._keeper = asyncio.create_task(auth._keep_alive(), name="cryptoproto-apikeys-keepalive")
        return auth

    @property
    def session(self) -> Session:
        """The current session. A new login replaces it.

        Raises:
            RequestNotSent: it was closed.
        """
        if self._session is None or self._closed:
            raise RequestNotSent("this session was closed; log in again with SessionAuth.login()")
        return self._session

    def headers(self, method: str, url: str, body: bytes = b"", *, content_type: str = "") -> dict[str, str]:
        """The three headers of one request, for any HTTP library. Send them once, and before the next are made.

        Args:
            method: as it will be sent.
            url: the whole URL, or path and query, exactly as it will be sent.
            body: exactly the bytes that will be sent.
            content_type: the ``Content-Type`` header that will be sent. The body of a form is signed as parameters.

        Raises:
            RequestNotSent: the session was closed.
        """
        headers = self.session.headers(method, url, body, content_type=content_type, path_prefix=self._path_prefix)
        self._used_at = self._clock()
        return headers

    def stomp_headers(self) -> dict[str, str]:
        """The three headers of one STOMP CONNECT. Send them once, and before the next are made.

        Raises:
            RequestNotSent: the session was closed.
        """
        return self.session.stomp_headers()

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Hold back every other signed request, for a signed exchange that does not go through httpx."""
        async with self._turn:
            yield

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Refuse a client without an event loop, which could neither log in again nor keep requests in order."""
        raise ConfigurationError("SessionAuth needs an event loop; use it with httpx.AsyncClient")

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Sign and send, and once more with a new session if the gateway does not know the old one."""
        await request.aread()
        async with self._turn:
            self._sign(request)
            response = yield request
            if response.status_code not in (400, 401):
                self._used_at = self._clock()
                return
            await response.aread()
            if not await self._has_gone(request.method, response):
                return
            logger.info("the gateway does not know the session any more, logging in again")
            await self._log_in()
            self._sign(request)
            yield request
            self._used_at = self._clock()

    def _sign(self, request: httpx.Request) -> None:
        target = request.url.raw_path.decode("ascii")
        content_type = request.headers.get("content-type", "")
        headers = self.session.headers(
            request.method, target, request.content, content_type=content_type, path_prefix=self._path_prefix
        )
        request.headers.update(headers)

    async def _has_gone(self, method: str, response: httpx.Response) -> bool:
        """Whether the response means that the session is unknown and the request was not processed."""
        try:
            refusal = msgspec.json.decode(response.content, type=_Refusal)
        except MALFORMED:
            return False  # gateways refuse in JSON, so this is the application's answer
        said = _SESSION_GONE.search(refusal.error_description or "") is not None
        # Any other text may come from the application, after it has processed the request.
        if not said and method not in _IDEMPOTENT:
            return False
        alive = await self._ask_alive()  # the application may also have sessions
        return said if alive is None else not alive

    async def _ask_alive(self) -> bool | None:
        """Send a keep-alive. Return whether the session is known, or ``None`` if the gateway has no such call.

        The caller holds the turn.
        """
        response = await self._signed_call("keepalive")
        if response.status_code in (400, 401):
            return False
        self._used_at = self._clock()
        return None if response.status_code in (404, 405) else True

    async def _signed_call(self, name: str) -> httpx.Response:
        request = self._http.build_request("POST", f"{self._login_url}/{name}")
        self._sign(request)
        return await self._http.send(request, auth=None, follow_redirects=False)

    async def _log_in(self) -> None:
        """Create a session. The caller holds the turn, or is the only one with this object."""
        try:
            login = ClientLogin(
                await self._login_call("attempt", attempt_body(self._api_key)),
                limits=self._limits,
                random_below=self._random_below,
            )
            answer = await asyncio.to_thread(login.answer, self._private_key)
            reply = await self._login_call("confirm", answer)
            outcome: LoginOutcome = await asyncio.to_thread(login.finish, reply)
        except DecodeError as error:
            raise LoginRefused(f"the login was given up, because the gateway's reply is unusable: {error}") from error
        previous = self._session
        nonce = 0 if previous is None else previous.next_nonce()
        self._session = Session(outcome, wall_clock_ns=self._wall_clock_ns, nonce=nonce)
        self._used_at = self._clock()

    async def _login_call(self, name: str, body: bytes) -> bytes:
        url = f"{self._login_url}/{name}"
        request = self._http.build_request("POST", url, content=body, headers={"Content-Type": "application/json"})
        response = await self._http.send(request, auth=None, follow_redirects=False)
        if response.status_code == 200:
            return response.content
        roots = "/api/v1/login, /api/v0 and /session/login are in use"
        hint = {
            400: "does the private key belong to this API key?",
            401: f"are sessions enabled there, and are the name of the key and the login root right? {roots}",
            404: f"is it the gateway's login root? {roots}",
        }.get(response.status_code, "ask the operator of the gateway")
        raise LoginRefused(
            f"login {name} at {url} was answered with status {response.status_code}{_reason(response)}; {hint}",
            status=response.status_code,
        )

    async def _keep_alive(self) -> None:
        while True:
            session = self.session
            due = self._used_at + session.keepalive_s / _KEEP_ALIVE_SHARE
            now = self._clock()
            if now < due:
                await self._sleep(due - now)
                continue
            try:
                async with self._turn:
                    if self._session is session and await self._ask_alive() is False:
                        logger.info("the gateway does not know the session any more, logging in again")
                        await self._log_in()
            except (httpx.HTTPError, LoginRefused) as error:
                logger.warning("keep-alive failed, trying again: %s", error)
                await self._sleep(session.keepalive_s / _RETRY_SHARE)

    async def logout(self) -> None:
        """End the session at the gateway, then :meth:`close`. Calling it again does nothing.

        Raises:
            httpx.TransportError: the gateway cannot be reached. The session ends after its time without a request.
        """
        if self._closed or self._session is None:
            await self.close()
            return
        try:
            async with self._turn:
                await self._signed_call("logout")
        finally:
            await self.close()

    async def close(self) -> None:
        """Stop the keep-alive and close the HTTP client, unless it was given. The session at the gateway goes on.

        Calling it again does nothing.
        """
        self._closed = True
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.cancel()
            await asyncio.wait([keeper])
            if not keeper.cancelled() and (error := keeper.exception()) is not None:
                logger.error("the keep-alive had failed before: %s", error)
        if self._owns_http:
            await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            await self.logout()
        except httpx.HTTPError as error:
            logger.warning("the logout failed: %s", error)

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open"
        return f"<SessionAuth {self._api_key} {state}>"


def _checked_base(base_url: str) -> httpx.URL:
    try:
        check_http_url(base_url)
    except ConfigurationError as error:
        raise ConfigurationError(f"the gateway's address: {error}") from None
    base = httpx.URL(base_url)
    if base.query or base.fragment:
        raise ConfigurationError(
            "the gateway's address ends with its path; leave out the question mark and what follows"
        )
    return base


def _reason(response: httpx.Response) -> str:
    """The gateway's own text, if it has the customary form. Shortened, because it is logged."""
    try:
        refusal = msgspec.json.decode(response.content, type=_Refusal)
    except MALFORMED:
        return ""
    words = refusal.error_description or refusal.error
    return f" ({words[:200]})" if words.isprintable() else ""
