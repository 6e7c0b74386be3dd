"""The basic flow: every request is signed with the name of a key and a shared secret."""

from __future__ import annotations

import re
import uuid
from collections.abc import Generator
from typing import Final

import httpx

from ..exceptions import ConfigurationError
from .canonical import API_KEY_HEADER, PAYLOAD_HEADER, SIGNATURE_HEADER, basic_connect_payload, payload_of_url, sign

__all__ = ["ApiKeyAuth", "checked_key_name", "checked_prefix"]

# Characters that an HTTP header (RFC 9110, section 5.5) and a STOMP CONNECT carry without escapes.
_HEADER_TEXT: Final = re.compile(r"[\x21-\x7e]([\x20-\x7e]{0,254}[\x21-\x7e])?")


def checked_key_name(name: str) -> str:
    """Return the name of a key if a header can carry it.

    Raises:
        ConfigurationError: it is empty, too long or not printable ASCII.
    """
    if not isinstance(name, str) or not _HEADER_TEXT.fullmatch(name):
        raise ConfigurationError(
            "the name of an API key must have 1 to 256 printable ASCII characters and no spaces at its ends"
        )
    return name


def checked_prefix(prefix: str) -> str:
    """Return a path prefix as ``/name``, or empty.

    Raises:
        ConfigurationError: it does not begin with a slash.
    """
    prefix = prefix.rstrip("/")
    if prefix and not prefix.startswith("/"):
        raise ConfigurationError(f"a path prefix must begin with a slash: /{prefix}")
    return prefix


class ApiKeyAuth(httpx.Auth):
    """Signs requests with an API key and its secret, for sync and async httpx or as headers for any other library.

    This is the basic flow. A signature covers the method, the path, the parameters, and the body of a POST, PUT or
    DELETE. It contains neither a time nor a counter: anyone who sees a request can repeat it, so use TLS.

    Args:
        api_key: the name of the key.
        api_secret: its secret. Text is encoded as UTF-8.
        path_prefix: what a proxy removes from the front of the path before the gateway sees it, such as ``/timebase``.

    Raises:
        ConfigurationError: no header can carry the name, or the secret is empty.
    """

    requires_request_body = True

    def __init__(self, api_key: str, api_secret: str | bytes, *, path_prefix: str = "") -> None:
        self.api_key: str = checked_key_name(api_key)
        self._secret = api_secret.encode() if isinstance(api_secret, str) else bytes(api_secret)
        if not self._secret:
            raise ConfigurationError("the secret of an API key cannot be empty")
        self._path_prefix = checked_prefix(path_prefix)

    def headers(self, method: str, url: str, body: bytes = b"", *, content_type: str = "") -> dict[str, str]:
        """The two headers of one request.

        Args:
            method: as it will be sent.
            url: the whole URL, or path and query, exactly as it will be sent.
            body: exactly the bytes that will be sent.
            content_type: the ``Content-Type`` header that will be sent. The body of a form is signed as parameters.

        Raises:
            ConfigurationError: the URL has neither a scheme nor a leading slash.
        """
        payload = payload_of_url(method, url, body, content_type=content_type, path_prefix=self._path_prefix)
        return {API_KEY_HEADER: self.api_key, SIGNATURE_HEADER: sign(payload, self._secret)}

    def stomp_headers(self, payload: str | None = None) -> dict[str, str]:
        """The three headers of one STOMP CONNECT.

        Args:
            payload: the string to sign. The default is a random one.

        Raises:
            ConfigurationError: no header can carry the payload.
        """
        if payload is None:
            payload = str(uuid.uuid4())
        elif not _HEADER_TEXT.fullmatch(payload):
            raise ConfigurationError("the payload of a CONNECT must have 1 to 256 printable ASCII characters")
        signature = sign(basic_connect_payload(payload, self.api_key), self._secret)
        return {API_KEY_HEADER: self.api_key, PAYLOAD_HEADER: payload, SIGNATURE_HEADER: signature}

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Sign the request as httpx is about to send it."""
        target = request.url.raw_path.decode("ascii")
        content_type = request.headers.get("content-type", "")
        request.headers.update(self.headers(request.method, target, request.content, content_type=content_type))
        yield request

    def __repr__(self) -> str:
        return f"<ApiKeyAuth {self.api_key}>"
