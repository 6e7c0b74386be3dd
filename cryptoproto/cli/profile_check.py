"""What ``profile check`` tries, one thing after the other, and what it finds."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from ..arguments import redacted
from ..client import SqliteStore
from ..connection import Connection, connect
from ..exceptions import ConfigurationError, CryptoprotoError, RequestTimeout
from ..keys import PrivateKey, PublicKey
from ..market_data import FeedState, MarketData, feed_arguments
from ..messages import CancelOrder, OrderNotFound, UserBalanceRequest
from ..profiles import Profile
from .exit_codes import ExitCode, exit_code
from .options import answer_timeout, private_key
from .output import counted

__all__ = ["Finding", "ProfileCheck", "clock_difference", "median_round_trip"]

_ROUND_TRIPS: Final = 5
_NO_ORDER: Final = 0
"""An order id that no exchange gives: to cancel it is answered by an event, which has the exchange's time."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was tried.

    Attributes:
        name: what it is.
        status: how it ended.
        detail: a sentence about it.
        code: the exit code of the command if this is the first failure.
    """

    name: str
    status: Literal["ok", "failed", "skipped"]
    detail: str
    code: ExitCode = ExitCode.SUCCESS


class ProfileCheck:
    """Tries a profile: its keys, a connection, the market data and the store.

    Args:
        profile: the profile.
        clock: ask for the exchange's time with a message, which leaves an event in the client's history.
        take_over: connect even if another process on this machine uses the client id.

    Attributes:
        findings: what was tried, in order.
        figures: versions, fingerprints and times, for programs.
    """

    def __init__(self, profile: Profile, *, clock: bool, take_over: bool) -> None:
        self._profile = profile
        self._clock = clock
        self._take_over = take_over
        self._private_key: PrivateKey | None = None
        self._server_key: PublicKey | None = None
        self.findings: list[Finding] = []
        self.figures: dict[str, Any] = {}

    @property
    def code(self) -> ExitCode:
        """The exit code: that of the first failure."""
        return next((finding.code for finding in self.findings if finding.status == "failed"), ExitCode.SUCCESS)

    async def run(self) -> None:
        """Try everything. A failure does not stop what does not depend on it."""
        only_market_data = len(self._profile.missing("url", "client_id", "key", "server_key")) == 4
        if only_market_data and not self._profile.missing("market_data_url"):
            self._skip("connection", "the profile has no url")
        else:
            await self._try("private key", self._check_private_key)
            await self._try("key of exchange", self._check_server_key)
            await self._try("connection", self._check_connection)
        if self._profile.missing("market_data_url"):
            self._skip("market data", "the profile has no market_data_url")
        else:
            await self._try("market data", self._check_market_data)
        if self._profile.missing("store") and not self._profile.values.get("history"):
            self._skip("store", "the profile has no store: position and outbox end with the process")
        else:
            await self._try("store", self._check_store)

    async def _try(self, name: str, check: Callable[[], Awaitable[str]]) -> None:
        try:
            self.findings.append(Finding(name=name, status="ok", detail=await check()))
        except CryptoprotoError as error:
            detail = str(error) or type(error).__name__
            self.findings.append(Finding(name=name, status="failed", detail=detail, code=exit_code(error)))

    def _skip(self, name: str, detail: str) -> None:
        self.findings.append(Finding(name=name, status="skipped", detail=detail))

    async def _check_private_key(self) -> str:
        self._profile.require("key")
        self._private_key = key = private_key(self._profile)
        self.figures["key_fingerprint"] = key.fingerprint
        return f"RSA-{key.bits}, fingerprint {key.fingerprint}"

    async def _check_server_key(self) -> str:
        self._server_key = key = self._profile.public_key_of_server()
        self.figures["server_key_fingerprint"] = key.fingerprint
        return f"RSA-{key.bits}, fingerprint {key.fingerprint}"

    async def _check_connection(self) -> str:
        self._profile.require("url", "client_id")
        if self._private_key is None or self._server_key is None:
            raise ConfigurationError("not tried: a key is missing")
        arguments = self._profile.connect_arguments(
            private_key=self._private_key,
            server_key=self._server_key,
            resume_from=-1,
            exclusive=not self._take_over,
        )
        started = time.perf_counter()
        async with connect(**arguments) as connection:
            connected_ms = (time.perf_counter() - started) * 1000
            round_trip_ms = await median_round_trip(connection)
            version = connection.protocol.version
            self.figures |= {
                "protocol": connection.protocol.name.lower(),
                "protocol_version": version,
                "last_sequence": connection.last_sequence,
                "connect_ms": round(connected_ms, 3),
                "round_trip_ms": round(round_trip_ms, 3),
            }
            shown = "the protocol with signatures" if version is None else f"protocol version {version}"
            text = f"{redacted(arguments['url'])} speaks {shown}; connected in {connected_ms:.1f} ms, "
            text += f"round trip {round_trip_ms:.1f} ms (median of {_ROUND_TRIPS})"
            if not self._clock:
                return text
            ahead_ms, error_ms = await clock_difference(connection, answer_timeout(self._profile))
            self.figures |= {"clock_difference_ms": round(ahead_ms, 3), "clock_uncertainty_ms": round(error_ms, 3)}
            where = "ahead of" if ahead_ms >= 0 else "behind"
            return f"{text}; the clock here is {abs(ahead_ms):.1f} ms {where} the exchange's (± {error_ms:.1f} ms)"

    async def _check_market_data(self) -> str:
        started = time.perf_counter()
        async with MarketData(**feed_arguments(self._profile)) as feed:
            async for change in feed.states():
                if change.error is not None:
                    raise change.error
                if change.state is FeedState.LIVE:
                    break
        connected_ms = (time.perf_counter() - started) * 1000
        self.figures["market_data_connect_ms"] = round(connected_ms, 3)
        return f"{redacted(self._profile.values['market_data_url'])}: connected in {connected_ms:.1f} ms"

    async def _check_store(self) -> str:
        return self._state_of_store()

    def _state_of_store(self) -> str:
        self._profile.require_store_of_history()
        path = Path(self._profile.values["store"])
        if not path.exists():
            if not path.parent.is_dir() or not os.access(path.parent, os.W_OK | os.X_OK):
                raise ConfigurationError(f"{path} cannot be created: {path.parent} is not a folder that you can write")
            return f"{path} does not exist yet; the first client creates it"
        self._profile.require("client_id")
        if self._server_key is None:
            raise ConfigurationError(f"{path}: not tried, because the key of the exchange is missing")
        store = SqliteStore(path)
        store.open(self._profile.values["client_id"], self._server_key.fingerprint)
        try:
            position, waiting = store.position, len(store.outbox())
        finally:
            store.close()
        self.figures["position"] = position
        self.figures["outbox"] = waiting
        kept = f"position {'none' if position is None else position}, {counted(waiting, 'message')} without an outcome"
        return f"{path}: {kept}"


async def median_round_trip(connection: Connection) -> float:
    """The median of some round trips of a request, in milliseconds."""
    times = []
    for _ in range(_ROUND_TRIPS):
        started = time.perf_counter()
        await connection.request(UserBalanceRequest())
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)


async def clock_difference(connection: Connection, timeout: float) -> tuple[float, float]:
    """How many milliseconds the clock here is ahead of the exchange's, and the largest error of this figure.

    Raises:
        RequestTimeout: the exchange did not answer within *timeout* seconds.
    """
    sent_ns = time.time_ns()
    await connection.send(CancelOrder(_NO_ORDER))
    try:
        async with asyncio.timeout(timeout):
            while True:
                event = await anext(connection)
                if isinstance(event.message, OrderNotFound) and event.message.order_id == _NO_ORDER:
                    break
    except TimeoutError:
        raise RequestTimeout(f"the exchange did not answer a message within {timeout:g} s") from None
    middle_ms = (event.received_ns + sent_ns) / 2e6
    return middle_ms - (event.timestamp or 0.0) * 1000, (event.received_ns - sent_ns) / 2e6
