"""Who may see the status: which hosts, origins and tokens are accepted. No I/O."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Final
from urllib.parse import urlsplit

from ..exceptions import ConfigurationError

__all__ = ["Access"]

_HOSTS: Final = frozenset(("127.0.0.1", "localhost", "::1"))
_BEARER: Final = "bearer "
_LONGEST_TOKEN: Final = 512


class Access:
    """Checks the token, and that a request was not made by another site through the user's browser.

    The token is compared in constant time. A browser gets a cookie in exchange for it, which does not contain the token
    itself, because browsers send cookies to every port of a host.

    Args:
        token: the secret; ``None`` = make one.

    Attributes:
        token: the secret.

    Raises:
        ConfigurationError: the token is empty, longer than 512 characters, or has characters other than visible ASCII.
    """

    def __init__(self, token: str | None = None) -> None:
        if token is None:
            token = secrets.token_urlsafe(24)
        elif not isinstance(token, str) or not 0 < len(token) <= _LONGEST_TOKEN or not _is_visible_ascii(token):
            raise ConfigurationError(
                f"the token must be 1 to {_LONGEST_TOKEN} visible ASCII characters without spaces; leave it out to get "
                f"a random one"
            )
        self.token: str = token
        self._digest = _digest(token)
        self._cookie = hmac.new(token.encode(), b"cryptoproto status page", hashlib.sha256).hexdigest()

    def is_local_host(self, host: str | None) -> bool:
        """Whether a ``Host`` header names this machine.

        A site whose name was pointed to 127.0.0.1 (DNS rebinding) has its own name in this header. The port is not
        compared, so that a page can be reached through a tunnel.
        """
        return host is not None and _host_name(host) in _HOSTS

    def is_own_origin(self, origin: str | None, host: str) -> bool:
        """Whether an ``Origin`` header, if there is one, is that of the page itself."""
        return origin is None or origin.lower() == f"http://{host.lower()}"

    def has_token(self, authorization: str | None, query: str | None) -> bool:
        """Whether an ``Authorization: Bearer`` header or a query has the token."""
        if authorization is not None:
            given = authorization[len(_BEARER) :] if authorization.lower().startswith(_BEARER) else ""
            return hmac.compare_digest(_digest(given.strip()), self._digest)
        return query is not None and hmac.compare_digest(_digest(query), self._digest)

    def has_cookie(self, header: str | None, name: str) -> bool:
        """Whether the cookie *name* in a ``Cookie`` header was made by :meth:`cookie`."""
        for pair in (header or "").split(";"):
            given, _, value = pair.strip().partition("=")
            if given == name:
                return hmac.compare_digest(_digest(value), _digest(self._cookie))
        return False

    def cookie(self, name: str) -> str:
        """The ``Set-Cookie`` header for a browser that has shown the token; scripts cannot read it."""
        return f"{name}={self._cookie}; HttpOnly; SameSite=Strict; Path=/"


def _host_name(host: str) -> str | None:
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port  # raises if the port is invalid
    except ValueError:
        return None
    return parts.hostname if parts.netloc == host and "@" not in host else None


def _is_visible_ascii(text: str) -> bool:
    return all("!" <= character <= "~" for character in text)


def _digest(text: str) -> bytes:
    """Of equal length for every text, so that a comparison does not show the length either."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
