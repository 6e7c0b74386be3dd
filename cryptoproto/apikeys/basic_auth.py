"""The basic flow: a key's name and a shared secret sign every request by itself."""

from __future__ import annotations

import re
import uuid
from collections.abc import Generator
from typing import Final

import httpx

from ..exceptions import ConfigurationError
from .canonical import API_KEY_HEADER, PAYLOAD_HEADER, SIGNATURE_HEADER, basic_connect_payload, payload_of_url, sign

__all__ = ["ApiKeyAuth", "checked_key_name", "checked_prefix"]

# What an HTTP header carries as it is (RFC 9110, section 5.5), and what a STOMP CONNECT does not need to escape.
_HEADER_TEXT: Final = re.compile(r"[\x21-\x7e]([\x20-\x7e]{0,254}[\x21-\x7e])?")


def checked_key_name(name: str) -> str:
    """The name of a key, if a header can carry it.

    Raises:
        ConfigurationError: it is empty, too long or not printable ASCII.
    """
    if not isinstance(name, str) or not _HEADER_TEXT.fullmatch(name):
        raise ConfigurationError(
            "the name of an API key is 1 to 256 printable ASCII characters, without spaces at its ends"
        )
    return name


def checked_prefix(prefix: str) -> str:
    """A path prefix as ``/name`` or empty.

    Raises:
        ConfigurationError: it does not begin with a slash.
    """
    prefix = prefix.rstrip("/")
    if prefix and not prefix.startswith("/"):
        raise ConfigurationError(f"a path prefix begins with a slash: /{prefix}")
    return prefix


class ApiKeyAuth(httpx.Auth):
    """Signs requests with an API key and its secret: for httpx, sync and async, or as plain headers for any library.

    The basic flow of the protocol. A signature covers method, path, parameters and body (of POST, PUT and DELETE),
    but neither time nor counter: who sees a request can repeat it, so use it over TLS only.

    Args:
        api_key: the name of the key.
        api_secret: its secret; UTF-8 where it is text.
        path_prefix: what a proxy takes from the front of the path before the gateway sees it, such as ``/timebase``.

    Raises:
        ConfigurationError: the name fits into no header, or the secret is empty.
    """

    requires_request_body = True

    def __init__(self, api_key: str, api_secret: str | bytes, *, path_prefix: str = "") -> None:
        self.api_key = checked_key_name(api_key)
        self._secret = api_secret.encode() if isinstance(api_secret, str) else bytes(api_secret)
        if not self._secret:
            raise ConfigurationError("the secret of an API key cannot be empty")
        self._path_prefix = checked_prefix(path_prefix)

    def headers(self, method: str, url: str, body: bytes = b"") -> dict[str, str]:
        """The two headers of one request.

        Args:
            method: as it will be sent.
            url: the whole URL, or path and query, exactly as it will be sent.
            body: exactly the bytes that will be sent.
        """
        payload = payload_of_url(method, url, body, path_prefix=self._path_prefix)
        return {API_KEY_HEADER: self.api_key, SIGNATURE_HEADER: sign(payload, self._secret)}

    def stomp_headers(self, payload: str | None = None) -> dict[str, str]:
        """The three headers of one STOMP CONNECT.

        Args:
            payload: the string to sign; by default a random one.

        Raises:
            ConfigurationError: the payload fits into no header.
        """
        if payload is None:
            payload = str(uuid.uuid4())
        elif not _HEADER_TEXT.fullmatch(payload):
            raise ConfigurationError("the payload of a CONNECT is 1 to 256 printable ASCII characters")
        signature = sign(basic_connect_payload(payload, self.api_key), self._secret)
        return {API_KEY_HEADER: self.api_key, PAYLOAD_HEADER: payload, SIGNATURE_HEADER: signature}

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Sign the request as httpx is about to send it."""
        target = request.url.raw_path.decode("ascii")
        request.headers.update(self.headers(request.method, target, request.content))
        yield request

    def __repr__(self) -> str:
        return f"<ApiKeyAuth {self.api_key}>"
