"""The license agent: acquires a token, keeps it, and says at any moment whether work may continue."""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections.abc import Callable, Collection, Iterable, Sequence
from types import TracebackType
from typing import Final, Self

from ...exceptions import (
    ConfigurationError,
    CryptoprotoError,
    InvalidToken,
    LicenseExpired,
    LicenseRefused,
    LicensingError,
    RequestStale,
    TokenCacheError,
)
from ...extras import needs
from ...reconnect import StateStream, Subscription
from ..request.activity import ActivityRecorder, ActivitySource
from ..request.logins import login_set
from ..request.request import Deployment, LicenseRequest
from ..sealing.keypair import KeyPair, ManagerKey, ManagerKeySource
from ..sealing.sealing import open_token, seal_request
from ..sealing.token import LicenseToken, TokenBinding
from .client_activity import TradingClient
from .clock import Clock, SystemClock
from .composer import RequestComposer
from .manager_link import ManagerLink, Verify
from .standing import LicenseState, Schedule, Standing
from .token_cache import TokenCache
from .token_keeper import TokenKeeper

with needs("cryptoproto.licensing", "licensing"):
    import httpx

__all__ = ["LicenseAgent"]

logger: logging.Logger = logging.getLogger("cryptoproto.licensing")
_LONGEST_NAP_S: Final = 30.0  # a clock that jumps or a suspend that ends is noticed after this time at the latest


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
            agent.ensure()      # cheap; call it before anything that needs the license

    At start the agent reads the cached token. If it is still valid, work can begin without the network. A token is
    renewed well before it expires. While no manager can be reached, or all refuse, the agent keeps the token that it
    has. After the token expires, work may go on for ``schedule.grace_s``; then ``ensure()`` raises. A token is never
    replaced by one that expires sooner.

    Args:
        urls: addresses of license managers, tried in turn. ``http://`` is accepted only for this machine, unless
            *insecure*. An address without a path gets the managers' usual path.
        keys: the gateway's :class:`KeyPair`, or the path of its file.
        manager_key: the pinned key of the manager: a :class:`ManagerKey`, its one-line text, the manager's public
            file, or several keys during a rotation (the first is used for requests, all for cached tokens).
        package: the name of this software, as in the agreement.
        logins: the account logins; empty for market data only. Plain text, so that no secret gets in by mistake.
        cache_dir: the folder for the sealed token; created if missing.
        client: the source of counts and latencies: a ``Client``, or any object with a ``metrics()`` as described by
            :class:`~cryptoproto.licensing.ActivitySource`. Without one, use :attr:`recorder`.
        deployment: version, API, instance, UAT flag and so on.
        schedule: periods and the grace time.
        withhold: fields not to send, out of :data:`~cryptoproto.licensing.WITHHOLDABLE`.
        on_expired: called with the error each time the state becomes expired.
        on_state: called with the first state and with each new one.
        verify: TLS validation: ``True``, ``False``, the path of a CA file, or an ``ssl.SSLContext``.
        insecure: accept unencrypted addresses. Requests and tokens are sealed even then.
        timeout_s: the timeout of each step of an HTTP request, in seconds.
        clock: a custom clock.
        transport: a custom httpx transport.

    Raises:
        ConfigurationError: an argument is not valid.
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
        if client is not None and not callable(getattr(client, "metrics", None)):
            raise ConfigurationError("client: it has no metrics(); see cryptoproto.licensing.ActivitySource")
        schedule, deployment, different = schedule or Schedule(), deployment or Deployment(), login_set(logins)
        self._keys = keys if isinstance(keys, KeyPair) else KeyPair.load(keys)
        self._manager_keys = ManagerKey.all_from(manager_key)
        self._binding = TokenBinding.of(self._keys.public_key, package, different, is_uat=deployment.is_uat)
        self._composer = RequestComposer(
            package,
            different,
            client=client,
            deployment=deployment,
            withhold=withhold,
            desired_period_s=schedule.lock_period_s,
        )
        self._keeper = TokenKeeper(TokenCache(cache_dir, self._binding, self._keys, self._manager_keys), self._binding)
        self._link = ManagerLink(urls, verify=verify, insecure=insecure, timeout_s=timeout_s, transport=transport)
        self._on_expired, self._on_state = on_expired, on_state
        self._clock: Clock = clock or SystemClock()
        self._standing = Standing(schedule, wall_ns=self._clock.wall_ns(), steady_ns=self._clock.steady_ns())
        self._states = StateStream(LicenseState.STARTING)
        self._attempting = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._next_attempt = 0
        self._last_error: CryptoprotoError | None = None
        self._failure: BaseException | None = None

    # --- what a gateway asks ---------------------------------------------------------------------------

    @property
    def state(self) -> LicenseState:
        """What may be done right now."""
        return self._standing.state(self._clock.steady_ns())

    def states(self) -> Subscription[LicenseState]:
        """The last announced state, then each new one until the agent is closed. An async iterator."""
        return self._states.subscribe()

    @property
    def token(self) -> LicenseToken:
        """The current token, valid or expired.

        Raises:
            LicenseExpired: there was none yet, which is possible in the grace time.
        """
        token = self._standing.token
        if token is None:
            raise LicenseExpired(self._explain("no token was acquired yet"))
        return token

    @property
    def recorder(self) -> ActivityRecorder:
        """Counts and latencies to fill in by hand; used if no *client* was given."""
        return self._composer.recorder

    @property
    def last_error(self) -> CryptoprotoError | None:
        """Why the last attempt to acquire a token failed; ``None`` after a success."""
        return self._last_error

    @property
    def cache_error(self) -> TokenCacheError | InvalidToken | None:
        """Why the cached token could not be used or a new one not be written; ``None`` if all is well."""
        return self._keeper.error

    def ensure(self) -> None:
        """Return if work may go on: licensed, or in the grace time. Takes about a microsecond and never waits.

        Raises:
            LicenseExpired: work may not go on; the text has the last error.
        """
        state = self.state
        if state is LicenseState.EXPIRED:
            raise LicenseExpired(self._explain("no valid license"))
        if state is LicenseState.STARTING:
            raise LicenseExpired("no license yet: the first attempt has not finished; call `await agent.ready()` first")

    async def ready(self) -> None:
        """Wait until the first attempt has ended, and return if work may begin: licensed, or in the grace time.

        A new token is in the cache by then, unless :attr:`cache_error` says otherwise.

        Raises:
            LicenseExpired: work may not begin. The agent keeps trying, see :meth:`licensed`.
        """
        while self.state is LicenseState.STARTING:
            await self._change()
        self.ensure()

    async def licensed(self) -> LicenseToken:
        """Wait for a valid token as long as it takes: through outages, or until another set of logins ends its lock.

        Raises:
            LicenseExpired: the agent was closed or has failed.
        """
        while self.state is not LicenseState.LICENSED:
            await self._change()
        return self.token

    async def renew(self) -> LicenseToken:
        """Ask the managers now, whatever the schedule says.

        If it is cancelled, the current token stays as it is.

        Returns:
            The current token: the new one, or an earlier one that lasts longer.

        Raises:
            LicenseRefused: a manager refused.
            ManagerUnavailable: no manager gave a usable answer.
        """
        try:
            async with self._attempting:
                await self._acquire()
        finally:
            self._attempt_ended()
        return self.token

    async def compose_request(self) -> LicenseRequest:
        """The request that would be sent now. Nothing is sent. Do not send it later: each request has its own time."""
        facts = await asyncio.to_thread(self._composer.machine_facts, self._clock.wall_ns())
        now_ns = self._standing.best_now_ns(self._clock.wall_ns(), self._clock.steady_ns())
        return self._composer.compose(facts, now_ns)

    def please_report(self, details: str = "") -> None:
        """Tell the licensor with the next requests that the owner of this gateway asks for attention.

        The details are cut to 1024 bytes. They are sent as they are, so do not put a secret into them.
        """
        self._composer.report(details)

    # --- life ------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        if self._task is not None:
            raise ConfigurationError("a LicenseAgent can be entered only once; create another one")
        await self._read_cache()
        self._next_attempt = self._standing.renewal(_spread(), self._clock.steady_ns())
        if self.state is LicenseState.STARTING and self._on_state is not None:
            asyncio.get_running_loop().call_soon(self._on_state, LicenseState.STARTING)
        self._announce()
        self._task = asyncio.create_task(self._run(), name="license-agent")
        self._task.add_done_callback(self._ended)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Stop renewing. The cached token and the lock at the manager stay as they are."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._keeper.close()
        await self._link.close()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (failure := task.exception()) is not None:
            self._failure = failure
            logger.error("the license agent has stopped", exc_info=failure)
        self._states.end()

    async def _change(self) -> None:
        if self._task is None or self._task.done():
            raise LicenseExpired(f"the license agent is not running{f': {self._failure}' if self._failure else ''}")
        await self._states.changed()

    async def _run(self) -> None:
        while True:
            if self._clock.steady_ns() >= self._next_attempt:
                try:
                    await self._attempt()
                except Exception as error:  # most likely from the user's metrics(): the renewals must go on
                    logger.exception("an attempt to get a license token failed")
                    self._failure = error
                    self._plan_retry(None)
                self._attempt_ended()
            else:
                await self._retry_write()
            self._announce()
            await self._clock.sleep(self._nap())
            jump_s = self._standing.jumped(self._clock.wall_ns(), self._clock.steady_ns())
            if jump_s:
                logger.warning("the clock of this machine jumped by %+.0f s; asking the manager for the time", jump_s)
                self._next_attempt = self._clock.steady_ns()

    def _nap(self) -> float:
        """The time to sleep until something is due, in seconds."""
        steady_ns = self._clock.steady_ns()
        due = [self._next_attempt, self._standing.next_change(steady_ns)]
        wait_ns = min(moment - steady_ns for moment in due if moment is not None)
        return min(max(wait_ns / 1e9, 0.0), _LONGEST_NAP_S)

    async def _attempt(self) -> None:
        """One scheduled attempt. Its error is kept for the user, and the next attempt is planned."""
        async with self._attempting:
            if self._clock.steady_ns() < self._next_attempt:
                return  # renew() was called meanwhile
            if self.state in {LicenseState.GRACE, LicenseState.EXPIRED}:
                await self._read_cache()  # a token may have been installed by hand
                steady_ns = self._clock.steady_ns()
                if (due := self._standing.renewal(_spread(), steady_ns)) > steady_ns:
                    self._next_attempt, self._last_error = due, None
                    return
            try:
                await self._acquire()
            except (LicensingError, ConfigurationError) as error:
                logger.warning("no new license token (state: %s): %s", self.state, error)

    async def _acquire(self) -> None:
        """Ask the managers once, and take the token or plan the next attempt."""
        steady_ns = self._clock.steady_ns
        try:
            request = await self.compose_request()
            sent = steady_ns()
            body = seal_request(request.encode(), self._keys, self._manager_keys[0])
            box, token = await self._link.acquire(body, lambda reply: (reply, self._open_reply(reply, request.nonce)))
        except (LicensingError, ConfigurationError) as error:
            self._last_error = error
            if isinstance(error, RequestStale):
                self._standing.doubt_time()
            self._plan_retry(error.retry_after_s if isinstance(error, LicenseRefused) else None)
            raise
        self._standing.confirm_time(token.issued_at_utc_ns, sent, self._clock.wall_ns(), steady_ns())
        # On disk before it is announced, so that a process that ends right after has a token for its next start.
        kept = await self._keeper.keep(box, token, self._standing.now_ns(steady_ns()))
        self._standing.hold_longer(kept, steady_ns())
        self._last_error = self._failure = None
        self._next_attempt = self._standing.renewal(_spread(), steady_ns(), of=token)

    def _plan_retry(self, retry_after_s: float | None) -> None:
        self._next_attempt = self._standing.retry(_spread(), self._clock.steady_ns(), retry_after_s)

    def _attempt_ended(self) -> None:
        self._standing.attempted()
        self._announce()
        self._states.notify()

    def _open_reply(self, reply: bytes, nonce: bytes) -> LicenseToken:
        token = LicenseToken.decode(open_token(reply, self._keys, self._manager_keys[0]))
        if token.request_nonce != nonce:
            raise InvalidToken("the reply answers another request; old replies are being replayed")
        # Only the manager's clock counts, so the token is checked at the time of its issue.
        token.check_usable(self._binding, token.issued_at_utc_ns)
        return token

    # --- the cache -------------------------------------------------------------------------------------

    async def _read_cache(self) -> None:
        token = await self._keeper.load(self._standing.now_ns(self._clock.steady_ns()))
        if token is not None:
            self._standing.hold(token, self._clock.steady_ns())

    async def _retry_write(self) -> None:
        kept = await self._keeper.retry(self._standing.now_ns(self._clock.steady_ns()))
        if kept is not None:
            self._standing.hold_longer(kept, self._clock.steady_ns())

    # --- small things ----------------------------------------------------------------------------------

    def _announce(self) -> None:
        state = self.state
        if state is self._states.current:
            return
        logger.info("license state: %s", state)
        self._states.publish(state)
        # Called by the event loop: an exception in a callback must not end the renewals.
        loop = asyncio.get_running_loop()
        if self._on_state is not None:
            loop.call_soon(self._on_state, state)
        if state is LicenseState.EXPIRED and self._on_expired is not None:
            loop.call_soon(self._on_expired, LicenseExpired(self._explain("no valid license")))

    def _explain(self, what: str) -> str:
        errors = (self._last_error, self._keeper.error, self._failure)
        reasons = [str(error) for error in errors if error is not None]
        return f"{what}: {'; '.join(reasons)}" if reasons else f"{what}; is the agent running?"

    def __repr__(self) -> str:
        return f"<LicenseAgent {self._binding.package} {self.state}>"


def _spread() -> float:
    return random.uniform(-1, 1)  # noqa: S311  (spreads load, decides nothing)
