"""A session that both ends know: its secret, its nonce, and the headers made from them.

No I/O except :meth:`Session.save` and :meth:`Session.load`, which keep a session across restarts.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Final

import msgspec

from ..exceptions import ConfigurationError
from ..messages import MALFORMED
from ..private_file import read_private, write_private
from .canonical import (
    NONCE_HEADER,
    SESSION_HEADER,
    SIGNATURE_HEADER,
    payload_of_url,
    session_connect_payload,
    session_headers_payload,
    sign,
)
from .login import LoginOutcome

__all__ = ["Session"]

_MAXIMUM_NONCE: Final = 2**63 - 1  # gateways read it into a signed 64-bit integer


class _Stored(msgspec.Struct, forbid_unknown_fields=True):
    session_id: str
    secret: bytes
    keepalive_ms: float
    nonce: int


class Session:
    """One session with a gateway. Safe to use from several threads.

    Args:
        outcome: the result of the login.
        wall_clock_ns: nanoseconds since 1970, where the nonce starts. So a process that continues a stored session
            starts above every nonce used before. The nonce never decreases, even if the clock is set back.
        nonce: the highest nonce used before.
    """

    __slots__ = ("_lock", "_nonce", "_secret", "_wall_clock_ns", "keepalive_s", "session_id")

    def __init__(
        self, outcome: LoginOutcome, *, wall_clock_ns: Callable[[], int] = time.time_ns, nonce: int = 0
    ) -> None:
        self.session_id: str = outcome.session_id
        self.keepalive_s: float = outcome.keepalive_s
        self._secret = outcome.secret
        self._wall_clock_ns = wall_clock_ns
        self._nonce = nonce
        self._lock = threading.Lock()

    def next_nonce(self) -> int:
        """A nonce above every earlier one: the time in microseconds, or the last nonce plus one."""
        with self._lock:
            self._nonce = max(self._nonce + 1, self._wall_clock_ns() // 1000)
            if self._nonce > _MAXIMUM_NONCE:
                raise ConfigurationError("the nonce exceeds 64 bits; is the clock of this machine right?")
            return self._nonce

    def headers(
        self, method: str, url: str, body: bytes = b"", *, content_type: str = "", path_prefix: str = ""
    ) -> dict[str, str]:
        """The three headers of one request, with a new nonce. Send them once.

        Args:
            method: as it will be sent.
            url: the whole URL, or path and query, exactly as it will be sent.
            body: exactly the bytes that will be sent.
            content_type: the ``Content-Type`` header that will be sent. The body of a form is signed as parameters.
            path_prefix: what a proxy removes from the front of the path.
        """
        nonce = str(self.next_nonce())
        session_headers = session_headers_payload(nonce, self.session_id)
        payload = payload_of_url(
            method, url, body, content_type=content_type, headers=session_headers, path_prefix=path_prefix
        )
        return self._headers(nonce, sign(payload, self._secret))

    def stomp_headers(self) -> dict[str, str]:
        """The three headers of one STOMP CONNECT, with a new nonce."""
        nonce = str(self.next_nonce())
        return self._headers(nonce, sign(session_connect_payload(nonce, self.session_id), self._secret))

    def _headers(self, nonce: str, signature: str) -> dict[str, str]:
        return {SESSION_HEADER: self.session_id, NONCE_HEADER: nonce, SIGNATURE_HEADER: signature}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the session to a file that only its owner can read; an older one is replaced.

        Raises:
            ConfigurationError: the file cannot be written.
        """
        with self._lock:
            stored = _Stored(self.session_id, self._secret, self.keepalive_s * 1000, self._nonce)
        write_private(path, msgspec.json.encode(stored), what="session", overwrite=True)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, wall_clock_ns: Callable[[], int] = time.time_ns) -> Session:
        """Continue a stored session. Only the first request shows whether the gateway still knows it.

        Raises:
            ConfigurationError: the file is missing, open to others, or holds no session.
        """
        try:
            stored = msgspec.json.decode(read_private(path, what="session"), type=_Stored)
        except FileNotFoundError:
            raise ConfigurationError(f"{os.fspath(path)}: no such session file; log in first") from None
        except MALFORMED:
            raise ConfigurationError(f"{os.fspath(path)}: holds no session; log in again") from None
        outcome = LoginOutcome(stored.session_id, stored.secret, stored.keepalive_ms / 1000)
        return cls(outcome, wall_clock_ns=wall_clock_ns, nonce=stored.nonce)

    def __reduce__(self) -> str:
        raise TypeError("a Session is not pickled; save() it")

    def __repr__(self) -> str:
        return f"<Session keepalive_s={self.keepalive_s}>"
