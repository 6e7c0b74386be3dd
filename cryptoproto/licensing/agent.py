"""The gateway's side: acquires a license, keeps it, and says at any moment whether work may go on."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import secrets
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Self

import httpx

from ..exceptions import (
    ConfigurationError,
    CryptoprotoError,
    InvalidToken,
    LicenseExpired,
    LicenseRefused,
    LicensingError,
    RequestStale,
    TokenCacheError,
)
from .activity import ActivityRecorder, ActivitySource
from .agent_life import AgentLife
from .client_activity import TradingClient, source_of
from .clock import Clock, SystemClock
from .codec import Value
from .keypair import KeyPair, ManagerKey, ManagerKeySource
from .logins import login_set
from .machine import fixed_facts, moving_facts, printable
from .manager_link import ManagerLink, Verify
from .request import Deployment, LicenseRequest, activity_facts, check_withheld
from .sealing import open_token, seal_request
from .standing import LicenseState, Schedule
from .token import LicenseToken, TokenBinding
from .token_cache import TokenCache

__all__ = ["LicenseAgent"]

_log = logging.getLogger("cryptoproto.licensing")


class LicenseAgent:
    """Holds a license for the process that it is embedded in.

    ::

        async with LicenseAgent(
            ["https://license-a.example.com", "https://license-b.example.com"],
            keys="keys.json", manager_key="manager.pub.json", package="my-gateway",
            logins=["A1", "A2"], cache_dir="/var/lib/my-gateway",
        ) as agent:
            await agent.ready()
            ...
            agent.ensure()      # cheap; before anything that needs the license

    At a start the cached token is read and, if still valid, work goes on without the network. A token is renewed
    well before its end; while no manager can be reached or all refuse, the one in hand stays in use until its end,
    then everything goes on for ``schedule.grace_s``, and then ``ensure()`` raises.

    Args:
        urls: addresses of license managers, tried in turn. ``http://`` is accepted for this machine only, unless
            *insecure*. An address without a path gets the managers' usual one.
        keys: the gateway's :class:`KeyPair`, or its file.
        manager_key: what is pinned of the manager: a :class:`ManagerKey`, its one-line text, the manager's public
            file, or several keys while they rotate (the first one is used for requests, all for cached tokens).
        package: the name of this software, as the agreement has it.
        logins: the account logins; empty for market data alone. Text only, so that no secret can slip in.
        cache_dir: the folder for the sealed token; made if missing.
        client: what to read counts and latencies from: a ``Client``, or anything with a ``metrics()`` as
            :class:`~cryptoproto.licensing.ActivitySource` says; without one, feed :attr:`recorder`.
        deployment: version, api, instance, UAT flag and so on.
        schedule: periods and the grace time.
        withhold: fields not to send, out of :data:`~cryptoproto.licensing.WITHHOLDABLE`.
        on_expired: called once, with the error, each time the state becomes expired.
        on_state: called with each new state.
        verify: TLS validation: ``True``, ``False``, the path of a CA file, or an ``ssl.SSLContext``.
        insecure: accept unencrypted addresses. Requests and tokens are sealed all the same.
        timeout_s: for each step of an HTTP request.
        clock: the clocks; for tests.
        transport: an httpx transport; for tests.

    Raises:
        ConfigurationError: an argument cannot be used.
    """

    def __init__(
        self,
        urls: Sequence[str],
        *,
        keys: KeyPair | str | os.PathLike[str],
        manager_key: ManagerKeySource,
        package: str,
        logins: Iterable[str] = (),
        cache_dir: str | os.PathLike[str],
        client: ActivitySource | TradingClient | None = None,
        deployment: Deployment | None = None,
        schedule: Schedule | None = None,
        withhold: Collection[str] = (),
        on_expired: Callable[[LicenseExpired], object] | None = None,
        on_state: Callable[[LicenseState], object] | None = None,
        verify: Verify = True,
        insecure: bool = False,
        timeout_s: float = 10.0,
        clock: Clock | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        check_withheld(withhold)
        self.recorder = ActivityRecorder()
        self._keys = keys if isinstance(keys, KeyPair) else KeyPair.load(keys)
        self._manager_keys = ManagerKey.all_from(manager_key)
        self._logins = login_set(logins)
        given = deployment or Deployment()
        self._deployment = given if given.session_id else replace(given, session_id=secrets.token_hex(16))
        self._binding = TokenBinding.of(self._keys.public_key, package, self._logins, is_uat=given.is_uat)
        self._cache = TokenCache(cache_dir, self._binding)
        self._link = ManagerLink(urls, verify=verify, insecure=insecure, timeout_s=timeout_s, transport=transport)
        if client is not None and not callable(getattr(client, "metrics", None)):
            raise ConfigurationError("client: it has no metrics(); see cryptoproto.licensing.ActivitySource")
        self._client = client
        self._schedule = schedule or Schedule()
        self._withhold = frozenset(withhold)
        self._on_expired, self._on_state = on_expired, on_state
        self._clock: Clock = clock or SystemClock()
        self._life = AgentLife(self._clock, self._schedule)

    # --- what a gateway asks ---------------------------------------------------------------------------

    @property
    def state(self) -> LicenseState:
        """What may be done right now."""
        return self._life.standing.state(self._clock.steady_ns())

    @property
    def token(self) -> LicenseToken:
        """The token in hand, valid or ended.

        Raises:
            LicenseExpired: there was none yet, as can be in grace.
        """
        token = self._life.standing.token
        if token is None:
            raise LicenseExpired(self._explain("no token was acquired yet"))
        return token

    @property
    def last_error(self) -> CryptoprotoError | None:
        """What the last attempt to acquire met; ``None`` after a success."""
        return self._life.last_error

    @property
    def cache_error(self) -> TokenCacheError | InvalidToken | None:
        """Why the cached token could not be used or the new one not be kept; ``None`` when all is well."""
        return self._life.cache_error

    def ensure(self) -> None:
        """Return if work may go on: licensed, or in grace. Costs about a microsecond and never waits.

        Raises:
            LicenseExpired: it may not; the text says what the last attempt met.
        """
        state = self.state
        if state is LicenseState.EXPIRED:
            raise LicenseExpired(self._explain("no valid license"))
        if state is LicenseState.STARTING:
            raise LicenseExpired("no license yet: the first attempt has not ended; await ready() before anything else")

    async def ready(self) -> None:
        """Wait until the first attempt has ended, and return if work may begin: licensed, or in grace.

        Raises:
            LicenseExpired: it may not; the agent goes on trying, see :meth:`licensed`.
        """
        while self.state is LicenseState.STARTING:
            await self._life.change()
        self.ensure()

    async def licensed(self) -> LicenseToken:
        """Wait for a valid token, as long as it takes: through outages, or until another set of logins lets go."""
        while self.state is not LicenseState.LICENSED:
            await self._life.change()
        return self.token

    async def renew(self) -> LicenseToken:
        """Ask the managers now, whatever the schedule says.

        Cancelling it leaves the token in hand as it was.

        Raises:
            LicenseRefused: a manager refused.
            ManagerUnavailable: none gave a usable answer.
        """
        try:
            async with self._life.attempting:
                await self._acquire()
        finally:
            self._attempt_ended()
        return self.token

    async def compose_request(self) -> LicenseRequest:
        """A request as it would be sent now; nothing is sent. Not to be sent later: each carries its own time."""
        standing = self._life.standing
        facts = await asyncio.to_thread(self._machine_facts, self._clock.wall_ns())
        facts |= self._deployment.facts() | activity_facts(source_of(self._client or self.recorder).metrics())
        facts |= {"please_report": self._life.reports, "please_report_details": self._life.report_details}
        return LicenseRequest.compose(
            facts,
            package=self._binding.package,
            logins=self._logins,
            time_utc_ns=standing.best_now_ns(self._clock.wall_ns(), self._clock.steady_ns()),
            desired_period_s=self._schedule.lock_period_s,
            withhold=self._withhold,
        )

    def please_report(self, details: str = "") -> None:
        """Have the next requests say that the owner asks the licensor to look at something.

        The details are shortened to 1024 bytes; what they say is up to the caller, so put no secret into them.
        """
        self._life.reports += 1
        self._life.report_details = printable(details, 1024) or None

    # --- life ------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        if self._life.task is not None:
            raise ConfigurationError("a LicenseAgent is entered once; make another one")
        await self._read_cache()
        standing, steady_ns = self._life.standing, self._clock.steady_ns()
        self._life.next_attempt = standing.renewal(_spread(), steady_ns)
        self._announce()
        self._life.task = asyncio.create_task(self._run(), name="license-agent")
        self._life.task.add_done_callback(self._life.ended)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Stop renewing. The cached token and the lock at the manager stay as they are."""
        task = self._life.task
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait([task])
        await self._link.close()

    async def _run(self) -> None:
        life = self._life
        while True:
            steady_ns = self._clock.steady_ns()
            if steady_ns >= life.next_attempt:
                (outcome,) = await asyncio.gather(self._attempt(), return_exceptions=True)
                if isinstance(outcome, BaseException):  # a bug, likely in the user's metrics(): not the license's end
                    _log.error("an attempt to get a license token failed", exc_info=outcome)
                    life.failure = outcome
                    life.next_attempt = life.standing.retry(_spread(), self._clock.steady_ns(), None)
                self._attempt_ended()
            elif life.unwritten is not None:
                await self._write_cache(life.unwritten)
            self._announce()
            await self._clock.sleep(life.nap(self._clock.steady_ns()))
            jump_s = life.standing.jumped(self._clock.wall_ns(), self._clock.steady_ns())
            if jump_s:
                _log.warning("the clock of this machine jumped by %+.0f s; asking the manager for the time", jump_s)
                life.next_attempt = self._clock.steady_ns()

    async def _attempt(self) -> None:
        """One scheduled attempt; whatever it meets is kept for the user, and the next one is planned."""
        life = self._life
        async with life.attempting:
            if self._clock.steady_ns() < life.next_attempt:
                return  # somebody called renew() meanwhile
            if self.state in {LicenseState.GRACE, LicenseState.EXPIRED}:
                await self._read_cache()  # a token may have been installed by hand
                steady_ns = self._clock.steady_ns()
                if (due := life.standing.renewal(_spread(), steady_ns)) > steady_ns:
                    life.next_attempt, life.last_error = due, None
                    return
            try:
                await self._acquire()
            except (LicensingError, ConfigurationError) as error:
                _log.warning("no new license token (state: %s): %s", self.state, error)

    async def _acquire(self) -> None:
        """Ask the managers once, and adopt the token or plan the next attempt."""
        life = self._life
        steady_ns = self._clock.steady_ns
        try:
            request = await self.compose_request()
            sent = steady_ns()
            body = seal_request(request.encode(), self._keys, self._manager_keys[0])
            box, token = await self._link.acquire(body, lambda reply: (reply, self._open_reply(reply, request.nonce)))
        except (LicensingError, ConfigurationError) as error:
            retry_after_s = error.retry_after_s if isinstance(error, LicenseRefused) else None
            life.last_error = error
            if isinstance(error, RequestStale):
                life.standing.doubt_time()
            life.next_attempt = life.standing.retry(_spread(), steady_ns(), retry_after_s)
            raise
        else:
            life.standing.confirm_time(token.issued_at_utc_ns, sent, self._clock.wall_ns(), steady_ns())
            life.standing.hold(token, steady_ns())
            life.last_error = life.failure = None
            life.next_attempt = life.standing.renewal(_spread(), steady_ns())
            self._attempt_ended()  # nobody has to wait for the disk
            await self._write_cache(box)

    def _attempt_ended(self) -> None:
        self._life.standing.attempted()
        self._announce()
        self._life.wake()

    def _open_reply(self, reply: bytes, nonce: bytes) -> LicenseToken:
        token = LicenseToken.decode(open_token(reply, self._keys, self._manager_keys[0]))
        if token.request_nonce != nonce:
            raise InvalidToken("the reply answers another request; somebody replays old replies")
        # The manager's clock is the one that counts, so the token is judged at the moment of its issue.
        token.check_usable(self._binding, token.issued_at_utc_ns)
        return token

    # --- the cache -------------------------------------------------------------------------------------

    async def _read_cache(self) -> None:
        life = self._life
        try:
            box = await asyncio.to_thread(self._cache.read)
            if box is None:
                return
            token = self._cache.open(box, self._keys, self._manager_keys)
            steady_ns = self._clock.steady_ns()
            token.check_usable(self._binding, life.standing.now_ns(steady_ns))
        except (TokenCacheError, InvalidToken) as error:
            if str(error) != str(life.cache_error):
                _log.warning("the cached token is not used: %s", error)
            life.cache_error = error
        else:
            life.standing.hold(token, steady_ns)
            life.cache_error = None

    async def _write_cache(self, box: bytes) -> None:
        life = self._life
        life.unwritten = box
        try:
            await asyncio.to_thread(self._cache.write, box)
        except TokenCacheError as error:
            life.cache_error = error
            _log.warning("%s", error)
        else:
            life.unwritten = life.cache_error = None

    # --- small things ----------------------------------------------------------------------------------

    def _machine_facts(self, now_ns: int) -> dict[str, Value]:
        if self._life.facts is None:
            self._life.facts = fixed_facts()
        return self._life.facts | moving_facts(now_ns)

    def _announce(self) -> None:
        state = self.state
        if not self._life.changed_to(state):
            return
        _log.info("license state: %s", state)
        # Called by the loop and not from here: an exception in them is theirs, and must not end the renewals.
        loop = asyncio.get_running_loop()
        if self._on_state is not None:
            loop.call_soon(self._on_state, state)
        if state is LicenseState.EXPIRED and self._on_expired is not None:
            loop.call_soon(self._on_expired, LicenseExpired(self._explain("no valid license")))

    def _explain(self, what: str) -> str:
        life = self._life
        reasons = [str(error) for error in (life.last_error, life.cache_error, life.failure) if error is not None]
        return f"{what}: {'; '.join(reasons)}" if reasons else f"{what}; is the agent running?"

    def __repr__(self) -> str:
        return f"<LicenseAgent {self._binding.package} {self.state}>"


def _spread() -> float:
    return random.uniform(-1, 1)  # noqa: S311  (spreads load, decides nothing)
