"""The agent's HTTP connection to its managers; several addresses are tried in turn."""

from __future__ import annotations

import contextlib
import os
import ssl
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Final, TypeVar

from ...exceptions import ConfigurationError, LicensingError, ManagerUnavailable
from ...extras import needs
from ..request.endpoint import CONTENT_TYPE, REQUEST_PATH
from ..request.refusal import refusal_error

with needs("cryptoproto.licensing", "licensing"):
    import httpx

__all__ = ["ManagerLink", "Verify"]

_LAST_PORT: Final = 65_535
_LARGEST_REPLY: Final = 65_536  # a sealed token has about half a kilobyte, a refusal less
_REFUSALS: Final = frozenset({400, 413, 429})

Verify = bool | str | os.PathLike[str] | ssl.SSLContext
"""``True``: the system's certificate authorities. ``False``: no validation. A path: only authorities in this file."""

_T = TypeVar("_T")


class ManagerLink:
    """Posts a sealed request to one manager after another until one gives a usable answer."""

    def __init__(
        self,
        urls: Sequence[str],
        *,
        verify: Verify,
        insecure: bool,
        timeout_s: float,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        if isinstance(urls, str) or not urls:
            raise ConfigurationError('urls: pass a list of addresses, such as ["https://lm.example.com"]')
        self._urls = tuple(_checked_url(url, insecure=insecure) for url in urls)
        self._http = httpx.AsyncClient(
            verify=_tls(verify), timeout=timeout_s, transport=transport, headers={"Content-Type": CONTENT_TYPE}
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def acquire(self, body: bytes, accept: Callable[[bytes], _T]) -> _T:
        """What *accept* returns for the first good reply.

        An address is skipped if it cannot be reached, if it answers with 5xx or with anything else that a manager does
        not send, or if *accept* raises a :class:`LicensingError`. A refusal (400, 413, 429) is final: all managers of a
        licensor have the same agreements.

        Raises:
            LicenseRefused: a manager refused.
            ManagerUnavailable: no address gave a usable answer; the text lists the failure of each.
        """
        failures: list[str] = []
        for url in self._urls:
            try:
                status, reply = await self._post(url, body)
            except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, OSError) as error:
                failures.append(f"{url}: {type(error).__name__}: {error}".rstrip(": "))
                continue
            if status in _REFUSALS:
                raise refusal_error(status, reply)
            if status != httpx.codes.OK:
                failures.append(f"{url}: HTTP status {status}")
                continue
            try:
                return accept(reply)
            except LicensingError as error:
                failures.append(f"{url}: {error}")
        raise ManagerUnavailable(
            "no license manager gave a usable answer (" + "; ".join(failures) + "); check the addresses and the network"
        )

    async def _post(self, url: str, body: bytes) -> tuple[int, bytes]:
        async with self._http.stream("POST", url, content=body) as response:
            reply = bytearray()
            async for chunk in response.aiter_bytes():
                reply += chunk
                if len(reply) > _LARGEST_REPLY:
                    raise httpx.DecodingError("the reply is too long for a license manager")
            return response.status_code, bytes(reply)


def _tls(verify: Verify) -> bool | ssl.SSLContext:
    if isinstance(verify, (bool, ssl.SSLContext)):
        return verify
    try:
        return ssl.create_default_context(cafile=os.fspath(verify))
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"verify: {os.fspath(verify)}: cannot be used as PEM certificates: {error}") from None


def _checked_url(text: str, *, insecure: bool) -> str:
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, TypeError):
        raise ConfigurationError("urls: not a valid address; write https://host/ or https://host:port/") from None
    if url.port is not None and not url.port <= _LAST_PORT:
        raise ConfigurationError(f"urls: {text!r} has the port {url.port}; the highest is {_LAST_PORT}")
    if url.scheme not in {"http", "https"} or not url.host:
        raise ConfigurationError(f"urls: {text!r} is not an http or https address; write https://host/")
    if url.userinfo:
        raise ConfigurationError(
            "urls: remove the user and password from the address; the request itself proves who you are"
        )
    if url.scheme == "http" and not insecure and not _is_loopback(url.host):
        raise ConfigurationError(
            f"urls: {text} is not encrypted and not on this machine; use https://, or allow it: "
            f"insecure=True, or --insecure on the command line"
        )
    if url.path in {"", "/"}:
        url = url.copy_with(path=REQUEST_PATH)
    return str(url)


def _is_loopback(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost"
