"""The license manager: sealed requests in, sealed tokens or refusals out. Knows only the statuses of HTTP."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from ...exceptions import ConfigurationError, LicenseDatabaseError, MalformedMessage, SealBroken
from ..request.refusal import Refusal
from ..request.request import LicenseRequest
from ..sealing.sealing import Channel, sign_token, split_request
from ..sealing.token import LicenseToken, TokenBinding
from . import usage
from .administration import Administration, current_user
from .database import Database
from .keyring import Generation, Keyring, KeyringFile
from .ledger import decide, public_key_known
from .reply import LARGEST_BODY, Reply
from .throttle import Throttle

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from .server import ManagerServer

__all__ = ["LicenseManager"]

logger: logging.Logger = logging.getLogger("cryptoproto.licensing.manager")
_SECOND: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class _Opened:
    """A request that was opened, checked and found fresh."""

    request: LicenseRequest
    binding: TokenBinding
    channel: Channel
    generation: Generation


@dataclass(frozen=True, slots=True)
class _Granted:
    """A token, and the request that it answers."""

    token: LicenseToken
    opened: _Opened


@dataclass(frozen=True, slots=True)
class _Unread:
    """A request that names a licensee's key, and was refused before it could be decided."""

    public_key: str
    refusal: Refusal


class LicenseManager:
    """Keeps agreements and locks, and answers gateways.

    ::

        manager = LicenseManager("licenses.db", keys="manager.json")
        manager.administration.add_agreement(public_key, "my-gateway", licenses=2)
        async with manager.serving(host="127.0.0.1", port=0) as server:
            print(server.url)

    Args:
        database: the SQLite file, created if missing; ``":memory:"`` keeps nothing on disk.
        keys: a :class:`Keyring`, or its file, which is watched for rotations.
        clock: UTC in nanoseconds.
        freshness_s: how far the time of a request may differ from ours. Nonces are kept for twice as long.
        requests_per_second: how often one public key may ask on average, after a burst of a hundred.
        actor: the name in the audit rows; the user of this process by default.

    Raises:
        ConfigurationError: the keys cannot be used, or an argument is not valid.
        LicenseDatabaseError: the database cannot be used.
    """

    def __init__(
        self,
        database: str | os.PathLike[str],
        keys: Keyring | str | os.PathLike[str],
        *,
        clock: Callable[[], int] = time.time_ns,
        freshness_s: float = 300.0,
        requests_per_second: float = 20.0,
        actor: str | None = None,
    ) -> None:
        if not freshness_s > 0 or not requests_per_second > 0:
            raise ConfigurationError("freshness_s and requests_per_second must be above zero")
        self._keys = keys if isinstance(keys, Keyring) else KeyringFile(keys)
        self._clock = clock
        self._freshness_ns = int(freshness_s * _SECOND)
        self._throttle = Throttle(requests_per_second, burst=100)
        self._database = Database(database)
        self.administration: Administration = Administration(self._database, clock, actor or current_user())

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def keyring(self) -> Keyring:
        """The current keys."""
        return self._keys if isinstance(self._keys, Keyring) else self._keys.current()

    @property
    def generations(self) -> tuple[Generation, ...]:
        """The generations of keys that are in force, the newest first.

        Raises:
            ConfigurationError: all have retired.
        """
        active = self.keyring.active(self._clock())
        if not active:
            raise ConfigurationError(
                "all keys of the manager have retired; run: cryptoproto license manager-key --rotate"
            )
        return active

    def usage(self, *, since: str = "", public_key: str | None = None) -> list[usage.UsageRow]:
        """What gateways reported since the day *since* (``YYYY-MM-DD``).

        Raises:
            LicenseDatabaseError: the database cannot be read.
        """
        return self.administration.usage(since=since, public_key=public_key)

    def app(self, **options: Any) -> Starlette:
        """The ASGI application. Needs the ``server`` extra; options as for :func:`~.server.application`."""
        from .server import application

        return application(self, **options)

    def serving(self, **options: Any) -> AbstractAsyncContextManager[ManagerServer]:
        """Serve HTTP until the context ends. Needs the ``server`` extra; options of :class:`~.server.ManagerServer`."""
        from .server import ManagerServer

        return ManagerServer(self, **options)

    # --- requests --------------------------------------------------------------------------------------

    def handle(self, body: bytes) -> Reply:
        """The reply to one request; see :meth:`handle_batch`."""
        return self.handle_batch([body])[0]

    def handle_batch(self, bodies: Sequence[bytes]) -> list[Reply]:
        """The replies to several requests, which are decided in order and share one commit.

        Never raises because of a body. Tokens are returned only after the commit.
        """
        try:
            now_ns = self._clock()
            generations = self.keyring.active(now_ns)
            with self._database.reading() as connection:
                opened = [self._open(connection, body, generations, now_ns) for body in bodies]
            with self._database.transaction() as connection:
                connection.execute("DELETE FROM nonces WHERE seen_ns < ?", (now_ns - 2 * self._freshness_ns,))
                usage.prune(connection, now_ns)
                outcomes = [self._settle(connection, each, now_ns) for each in opened]
        except LicenseDatabaseError:
            logger.exception("requests are answered with 503")
            trouble = Refusal(
                503, "unavailable", "the manager's database cannot be used at the moment; try another manager"
            )
            return [Reply.no(trouble) for _ in bodies]
        return [self._reply(outcome) for outcome in outcomes]

    def _open(
        self, connection: sqlite3.Connection, body: bytes, generations: Sequence[Generation], now_ns: int
    ) -> _Opened | _Unread | Refusal:
        if len(body) > LARGEST_BODY:
            return Refusal(413, "too_large", f"{len(body)} bytes; a request has at most {LARGEST_BODY}")
        try:
            public_key, box = split_request(body)
        except SealBroken as error:
            return Refusal(400, "malformed", str(error))
        if not public_key_known(connection, public_key):
            return Refusal(400, "no_agreement", "no agreement is known for this public key")
        try:
            generation, channel, message = _unseal(public_key, box, generations)
            request = LicenseRequest.decode(message)
        except (SealBroken, MalformedMessage) as error:
            return _Unread(public_key, Refusal(400, "malformed", str(error)))
        off_ns = request.time_utc_ns - now_ns
        if abs(off_ns) > self._freshness_ns:
            direction = "ahead of" if off_ns > 0 else "behind"
            text = f"the request's time is {abs(off_ns) / 1e9:.0f} s {direction} the manager's; set the clock"
            return _Unread(public_key, Refusal(400, "stale", text))
        # Only now is the sender proven. Otherwise others could use up the permits of a key and lock its owner out.
        wait_s = self._throttle.wait_s(public_key, now_ns)
        if wait_s:
            return _Unread(public_key, Refusal(429, "too_many_requests", "this key asks too often", wait_s))
        binding = TokenBinding(public_key, request.package, request.config_hash, request.is_uat)
        return _Opened(request, binding, channel, generation)

    def _settle(
        self, connection: sqlite3.Connection, each: _Opened | _Unread | Refusal, now_ns: int
    ) -> _Granted | Refusal:
        if isinstance(each, Refusal):
            return each
        if isinstance(each, _Unread):
            usage.count_refusal(connection, each.public_key, each.refusal.reason, now_ns)
            return each.refusal
        return self._decide(connection, each, now_ns)

    def _decide(self, connection: sqlite3.Connection, opened: _Opened, now_ns: int) -> _Granted | Refusal:
        request, binding = opened.request, opened.binding
        added = connection.execute(
            "INSERT OR IGNORE INTO nonces VALUES (?, ?, ?)", (binding.public_key, request.nonce, now_ns)
        ).rowcount
        if not added:
            usage.count_refusal(connection, binding.public_key, "stale", now_ns)
            return Refusal(400, "stale", "this request was already sent; each request can be sent only once")
        outcome = decide(
            connection,
            binding,
            desired_s=(request.desired_expiry_utc_ns - request.time_utc_ns) / _SECOND,
            now_ns=now_ns,
            session_id=request.session_id,
        )
        reason = outcome.reason if isinstance(outcome, Refusal) else None
        usage.keep(connection, binding.public_key, request, reason, now_ns)
        if isinstance(outcome, Refusal):
            return outcome
        token = LicenseToken.issue(binding, now_ns=now_ns, expires_ns=outcome, request_nonce=request.nonce)
        return _Granted(token, opened)

    def _reply(self, outcome: _Granted | Refusal) -> Reply:
        if isinstance(outcome, Refusal):
            return Reply.no(outcome)
        # Sealed and signed by the generation that the request was sealed for, because the agent has pinned that one.
        signed = sign_token(outcome.token.encode(), outcome.opened.generation.signing_key)
        return Reply(200, outcome.opened.channel.seal(signed))


def _unseal(public_key: str, box: bytes, generations: Sequence[Generation]) -> tuple[Generation, Channel, bytes]:
    for generation in generations:
        channel = Channel(generation.box_keys, public_key)
        try:
            return generation, channel, channel.open(box)
        except SealBroken:
            continue
    raise SealBroken(
        "the box does not open with this key and the manager's; is the pinned manager_key the current one?"
    )
