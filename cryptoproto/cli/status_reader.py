"""Reads the status of a bot from its status server."""

from __future__ import annotations

import ipaddress
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import parse_qs, urlsplit, urlunsplit

import orjson

from ..exceptions import ConfigurationError, ConnectError, DecodeError, RequestTimeout
from ..extras import needs

with needs("cryptoproto top", "top"):
    import httpx

__all__ = ["StatusReader"]

_SECTIONS: Final = (
    "state",
    "reason",
    "states",
    "client_id",
    "at",
    "balances",
    "positions",
    "open_orders",
    "fills",
    "latencies",
    "throttling",
)


class StatusReader:
    """Asks a status server for the status, and to cancel orders.

    Args:
        url: the address that the bot printed, with its token.
        timeout: seconds for each answer.

    Attributes:
        address: the address without the token.

    Raises:
        ConfigurationError: the address cannot be used, or has no token.
    """

    def __init__(self, url: str, *, timeout: float = 5.0) -> None:
        address, token = _split(url)
        self.address: str = address
        self._timeout = timeout
        # A proxy from the environment would get the token, and could not reach this machine anyway.
        self._http = httpx.AsyncClient(
            base_url=self.address, headers={"Authorization": f"Bearer {token}"}, timeout=timeout, trust_env=False
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def read(self) -> dict[str, Any]:
        """The status as it is now.

        Raises:
            ConnectError: nobody answers at the address.
            RequestTimeout: no answer came in time.
            ConfigurationError: the token is not valid, or it is not the address of a status server.
            DecodeError: the answer is not a status.
        """
        answer = await self._request("GET", "/status.json")
        if answer.status_code != 200:
            raise ConfigurationError(f"{self.address} answered {answer.status_code} and not with the status of a bot")
        document = _decoded(answer)
        if not all(name in document for name in _SECTIONS):
            raise DecodeError(f"{self.address} answered with something other than the status of a bot")
        return document

    async def ask_to_cancel_all(self) -> dict[str, Any]:
        """Ask to cancel all orders: what to confirm, and how many orders are open; raises as :meth:`read`."""
        return _accepted(await self._request("POST", "/cancel-all"))

    async def cancel_all(self, confirmation: str) -> dict[str, Any]:
        """Cancel all orders, with the confirmation of :meth:`ask_to_cancel_all`; raises as :meth:`read`."""
        return _accepted(await self._request("POST", "/cancel-all", confirm=confirmation))

    async def _request(self, method: str, path: str, **query: str) -> httpx.Response:
        try:
            answer = await self._http.request(method, path, params=query)
        except httpx.TimeoutException:
            raise RequestTimeout(
                f"{self.address} did not answer within {self._timeout:g} s; is the bot busy?"
            ) from None
        except httpx.HTTPError as error:
            raise ConnectError(None, f"cannot reach {self.address}: {str(error) or type(error).__name__}") from error
        if answer.status_code == 401:
            raise ConfigurationError(
                f"the token is not valid at {self.address}; if the bot was restarted, use the address that it printed"
            )
        return answer


def _accepted(answer: httpx.Response) -> dict[str, Any]:
    document = _decoded(answer)
    if answer.is_success:
        return document
    raise ConfigurationError(str(document.get("message", f"refused with {answer.status_code}")))


def _decoded(answer: httpx.Response) -> dict[str, Any]:
    try:
        document = orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        raise DecodeError(f"{answer.url.host} answered with something other than JSON; is it a status server?")
    return document


def _split(url: str) -> tuple[str, str]:
    """The address and the token of *url*."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises if the port is invalid
    except ValueError as error:
        raise ConfigurationError(f"the address of the status is not valid: {error}") from None
    host = parts.hostname
    if parts.scheme not in ("http", "https") or not host:
        raise ConfigurationError("the address of a status looks like http://127.0.0.1:8500/?token=…")
    address = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], "", "", ""))
    if parts.scheme == "http" and not _is_loopback(host):
        raise ConfigurationError(
            f"{address} is not this machine, and the token would not be encrypted; use a tunnel: "
            f"ssh -L 8500:127.0.0.1:{parts.port or 80} {host}"
        )
    token = parse_qs(parts.query).get("token")
    if not token:
        raise ConfigurationError(f"the address has no token: {address}/?token=…, as the bot printed it")
    return address, token[0]


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
