"""The sessions that a gateway knows: logins under way and live ones, both bounded, both ending by the clock.

No I/O. Methods do not wait, so on an event loop each is atomic; a lock makes them so between threads as well.
"""

from __future__ import annotations

import secrets
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from .config import SessionSettings
from .key_store import ApiKey

__all__ = ["LiveSession", "PendingLogin", "SessionTable"]


@dataclass(frozen=True, slots=True)
class PendingLogin:
    """A login between attempt and confirmation."""

    session_id: str
    key_name: str
    challenge: bytes = field(repr=False)
    ends_at: float


@dataclass(slots=True)
class LiveSession:
    """A session after its confirmation."""

    session_id: str
    key: ApiKey
    secret: bytes = field(repr=False)
    used_at: float
    nonce: int = 0


class SessionTable:
    """Logins under way and live sessions.

    Args:
        settings: how long each lives.
        clock: seconds.
        token_bytes: the source of challenges.
        max_pending: how many logins may be under way. The oldest gives way to a new one: anyone can begin logins,
            and a limit that turned new ones away would let anyone lock everyone out.
        max_sessions_per_key: how many sessions one key may have; the one that was idle longest gives way.
    """

    __slots__ = (
        "_clock",
        "_lock",
        "_max_pending",
        "_max_sessions_per_key",
        "_pending",
        "_sessions",
        "_settings",
        "_swept_at",
        "_token_bytes",
    )

    def __init__(
        self,
        settings: SessionSettings,
        *,
        clock: Callable[[], float] = time.monotonic,
        token_bytes: Callable[[int], bytes] = secrets.token_bytes,
        max_pending: int = 1024,
        max_sessions_per_key: int = 128,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._token_bytes = token_bytes
        self._max_pending = max_pending
        self._max_sessions_per_key = max_sessions_per_key
        self._pending: dict[str, PendingLogin] = {}  # oldest first
        self._sessions: dict[str, LiveSession] = {}  # idle longest first
        self._swept_at = clock()
        self._lock = threading.Lock()

    def begin(self, key_name: str) -> PendingLogin:
        """A new login with a challenge of its own."""
        with self._lock:
            now = self._sweep()
            login = PendingLogin(
                session_id=str(uuid.uuid4()),
                key_name=key_name,
                challenge=self._token_bytes(self._settings.challenge_size),
                ends_at=now + self._settings.keep_alive_login_ms / 1000,
            )
            while len(self._pending) >= self._max_pending:
                del self._pending[next(iter(self._pending))]
            self._pending[login.session_id] = login
            return login

    def take_pending(self, session_id: str) -> PendingLogin | None:
        """The login of that id, once: a challenge can be answered a single time. ``None`` after its time."""
        with self._lock:
            now = self._sweep()
            login = self._pending.pop(session_id, None)
            return login if login is not None and now < login.ends_at else None

    def establish(self, session_id: str, key: ApiKey, secret: bytes) -> None:
        """Make the session live."""
        with self._lock:
            now = self._sweep()
            own = [session for session in self._sessions.values() if session.key.name == key.name]
            for session in own[: max(0, len(own) - self._max_sessions_per_key + 1)]:
                del self._sessions[session.session_id]
            self._sessions[session_id] = LiveSession(session_id, key, secret, used_at=now)

    def find(self, session_id: str) -> LiveSession | None:
        """The live session of that id; ``None`` when it is unknown or has been idle too long."""
        with self._lock:
            now = self._sweep()
            session = self._sessions.get(session_id)
            if session is None or now >= session.used_at + self._settings.keep_alive_ms / 1000:
                return None
            return session

    def advance(self, session: LiveSession, nonce: int) -> bool:
        """Use *nonce* if it is above all before, and with it the session; both or neither, in one step."""
        with self._lock:
            if nonce <= session.nonce or session.session_id not in self._sessions:
                return False
            session.nonce = nonce
            session.used_at = self._clock()
            self._sessions[session.session_id] = self._sessions.pop(session.session_id)
            return True

    def end(self, session_id: str) -> None:
        """Forget the session."""
        with self._lock:
            self._sessions.pop(session_id, None)

    def _sweep(self) -> float:
        """The time; what has ended is cleared away if that is due. Both tables are in order of their ends."""
        now = self._clock()
        if now - self._swept_at >= self._settings.keep_alive_timer_ms / 1000:
            self._swept_at = now
            while self._pending and (login := next(iter(self._pending.values()))).ends_at <= now:
                del self._pending[login.session_id]
            idle_s = self._settings.keep_alive_ms / 1000
            while self._sessions and (session := next(iter(self._sessions.values()))).used_at + idle_s <= now:
                del self._sessions[session.session_id]
        return now

    @property
    def pending_count(self) -> int:
        """How many logins are under way."""
        return len(self._pending)

    @property
    def session_count(self) -> int:
        """How many sessions are kept."""
        return len(self._sessions)
