"""The sessions that a gateway knows. Logins in progress are not stored: their state travels in the session id.

No I/O. Methods do not wait, so on an event loop each is atomic; a lock makes them atomic between threads as well.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from .config import SessionSettings
from .key_store import NAME_DIGEST_SIZE, ApiKey, name_digest

__all__ = ["LiveSession", "PendingLogin", "SessionTable"]

_SECRET_SIZE: Final = 32
_UNIQUE_SIZE: Final = 17  # makes the whole a multiple of 3, so base64 needs no padding
_TIME_SIZE: Final = 8
_TAG_SIZE: Final = 16  # bytes of the HMAC that a session id carries; a forger has seconds, and guesses over HTTP
_TOKEN_SIZE: Final = _UNIQUE_SIZE + _TIME_SIZE + NAME_DIGEST_SIZE + _TAG_SIZE


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
    """Live sessions, and the session ids of logins in progress.

    Anyone can begin logins, so a table of them could be flooded until honest ones drop out. Instead, a session id
    holds its expiry and an HMAC of it and the key's name, and the challenge is derived from the id. An attempt costs no
    memory; only confirmed logins are remembered.

    Args:
        settings: how long each lives.
        clock: seconds.
        token_bytes: the source of randomness.
        max_sessions_per_key: how many sessions one key may have. A new one replaces the one that was idle longest.
        max_confirmed: how many logins can be confirmed within the time that one login may take.
    """

    __slots__ = (
        "_clock",
        "_confirmed",
        "_lock",
        "_max_confirmed",
        "_max_sessions_per_key",
        "_secret",
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
        max_sessions_per_key: int = 128,
        max_confirmed: int = 16_384,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._token_bytes = token_bytes
        self._secret = token_bytes(_SECRET_SIZE)
        self._max_sessions_per_key = max_sessions_per_key
        self._max_confirmed = max_confirmed
        self._confirmed: dict[str, float] = {}  # session id: when its login ends; oldest confirmation first
        self._sessions: dict[str, LiveSession] = {}  # idle longest first
        self._swept_at = clock()
        self._lock = threading.Lock()

    def begin(self, key_name: str) -> PendingLogin:
        """A new login with a new challenge. Nothing is stored."""
        ends_at = self._clock() + self._settings.keep_alive_login_ms / 1000
        unique = self._token_bytes(_UNIQUE_SIZE) + int(ends_at * 1000).to_bytes(_TIME_SIZE, "big")
        name = key_name.encode("utf-8", "surrogatepass")
        token = unique + name_digest(key_name) + self._tag(unique, name)
        return self._login(base64.urlsafe_b64encode(token).decode("ascii"), key_name, unique)

    def key_digest(self, session_id: str) -> bytes | None:
        """The digest of the key's name in a session id, to find the key by; ``None`` if it is not one of ours."""
        token = _decoded(session_id)
        return None if token is None else token[_UNIQUE_SIZE + _TIME_SIZE : -_TAG_SIZE]

    def pending(self, session_id: str, key_name: str) -> PendingLogin | None:
        """The login with that id for that key. ``None`` if it was not begun here, is over, or was confirmed."""
        token = _decoded(session_id)
        if token is None:
            return None
        unique, tag = token[: _UNIQUE_SIZE + _TIME_SIZE], token[-_TAG_SIZE:]
        if not hmac.compare_digest(tag, self._tag(unique, key_name.encode("utf-8", "surrogatepass"))):
            return None
        with self._lock:
            now = self._sweep()
            login = self._login(session_id, key_name, unique)
            return login if now < login.ends_at and session_id not in self._confirmed else None

    def confirm(self, login: PendingLogin) -> bool:
        """Use the login up, so that its challenge makes one session only. False if it was used or there are too many.

        Call it for right signatures only: it takes memory until the login's time is over.
        """
        with self._lock:
            self._sweep()
            if login.session_id in self._confirmed or len(self._confirmed) >= self._max_confirmed:
                return False
            self._confirmed[login.session_id] = login.ends_at
            return True

    def establish(self, session_id: str, key: ApiKey, secret: bytes) -> None:
        """Make the session live."""
        with self._lock:
            now = self._sweep()
            own = [session for session in self._sessions.values() if session.key.name == key.name]
            for session in own[: max(0, len(own) - self._max_sessions_per_key + 1)]:
                del self._sessions[session.session_id]
            self._sessions[session_id] = LiveSession(session_id, key, secret, used_at=now)

    def find(self, session_id: str) -> LiveSession | None:
        """The live session with that id; ``None`` if it is unknown or was idle too long."""
        with self._lock:
            now = self._sweep()
            session = self._sessions.get(session_id)
            if session is None or now >= session.used_at + self._settings.keep_alive_ms / 1000:
                return None
            return session

    def advance(self, session: LiveSession, nonce: int) -> bool:
        """Use *nonce* if it is above all before, and keep the session alive; both or neither."""
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

    def _tag(self, unique: bytes, name: bytes) -> bytes:
        return hmac.digest(self._secret, b"login" + unique + name, "sha256")[:_TAG_SIZE]

    def _login(self, session_id: str, key_name: str, unique: bytes) -> PendingLogin:
        # SHAKE-256 with a secret prefix is a sound PRF, and its output has any length.
        challenge = hashlib.shake_256(b"challenge" + self._secret + unique).digest(self._settings.challenge_size)
        ends_at = int.from_bytes(unique[_UNIQUE_SIZE:], "big") / 1000
        return PendingLogin(session_id, key_name, challenge, ends_at)

    def _sweep(self) -> float:
        """Return the time. If it is due, remove what is over; sessions are in the order of their ends."""
        now = self._clock()
        if now - self._swept_at >= self._settings.keep_alive_timer_ms / 1000:
            self._swept_at = now
            for session_id in [one for one, ends_at in self._confirmed.items() if ends_at <= now]:
                del self._confirmed[session_id]
            idle_s = self._settings.keep_alive_ms / 1000
            while self._sessions and (session := next(iter(self._sessions.values()))).used_at + idle_s <= now:
                del self._sessions[session.session_id]
        return now

    @property
    def session_count(self) -> int:
        """How many sessions are kept."""
        return len(self._sessions)


def _decoded(session_id: str) -> bytes | None:
    """The bytes of a session id if it has the form of one that was made here."""
    try:
        token = base64.urlsafe_b64decode(session_id.encode("ascii"))
    except (UnicodeEncodeError, binascii.Error):
        return None
    # Decoders skip what is not base64, but a login that was confirmed must not have a second id.
    genuine = len(token) == _TOKEN_SIZE and base64.urlsafe_b64encode(token).decode("ascii") == session_id
    return token if genuine else None
