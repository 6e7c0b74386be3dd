"""Agreements and locks: who may run how much, and who does. Each decision is made inside one transaction."""

from __future__ import annotations

import datetime as dt
import sqlite3
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from ...exceptions import ConfigurationError
from ..request.logins import config_hash
from ..request.refusal import Refusal
from ..sealing.token import TokenBinding

__all__ = ["MOST_ENDED_LOCKS", "SHORTEST_PERIOD_S", "Agreement", "Lock", "decide", "public_key_known"]

_SECOND: Final = 1_000_000_000
SHORTEST_PERIOD_S: Final = 1.0
_LONGEST_PERIOD_S: Final = 31 * 86_400.0
MOST_ENDED_LOCKS: Final = 1000  # of one licensee, who could otherwise fill the disk with new sets of logins


@dataclass(frozen=True, slots=True)
class Agreement:
    """What a licensee was promised.

    Attributes:
        id: its number.
        public_key: the licensee's X25519 key.
        package: a package name, or a pattern with ``*``, ``?`` and ``[…]``; case matters.
        licenses: how many different sets of logins may run at the same time.
        lock_period_s: the life of a lock and of a token.
        uat: whether it is for test environments. An agreement covers only requests with the same flag.
        note: a note of the licensor.
        created_ns: when it was added, UTC.
        revoked_ns: when it was revoked, ``None`` if it is in force.
    """

    id: int
    public_key: str
    package: str
    licenses: int
    lock_period_s: float
    uat: bool
    note: str
    created_ns: int
    revoked_ns: int | None

    def to_plain(self) -> dict[str, Any]:
        """The fields as plain values for JSON."""
        return {
            "id": self.id,
            "public_key": self.public_key,
            "package": self.package,
            "licenses": self.licenses,
            "lock_period_s": self.lock_period_s,
            "uat": self.uat,
            "note": self.note,
            "created": iso(self.created_ns),
            "revoked": None if self.revoked_ns is None else iso(self.revoked_ns),
        }


@dataclass(frozen=True, slots=True)
class Lock:
    """A license in use by one set of logins."""

    binding: TokenBinding
    agreement_id: int
    acquired_ns: int
    renewed_ns: int
    expires_ns: int
    session_id: str

    def to_plain(self) -> dict[str, Any]:
        """The fields as plain values for JSON."""
        return {
            "public_key": self.binding.public_key,
            "package": self.binding.package,
            "config_hash": self.binding.config_hash.hex(),
            "uat": self.binding.is_uat,
            "agreement_id": self.agreement_id,
            "acquired": iso(self.acquired_ns),
            "renewed": iso(self.renewed_ns),
            "expires": iso(self.expires_ns),
            "session_id": self.session_id,
        }


def public_key_known(connection: sqlite3.Connection, public_key: str) -> bool:
    """Whether any agreement is in force for the key. Checked before anything from it is opened."""
    query = "SELECT 1 FROM agreements WHERE public_key = ? AND revoked_ns IS NULL LIMIT 1"
    return connection.execute(query, (public_key,)).fetchone() is not None


def decide(
    connection: sqlite3.Connection,
    binding: TokenBinding,
    *,
    desired_s: float,
    now_ns: int,
    session_id: str = "",
) -> int | Refusal:
    """Lock a license, or renew the lock that this binding has.

    An empty set of logins needs an agreement but no lock. A lock lasts at least as long as each token that was given
    out for it, so a token never outlives its lock, unless an administrator releases the lock.

    Returns:
        When the token expires, UTC in nanoseconds; or the refusal.
    """
    agreements = _matching(connection, binding)
    if not agreements:
        environment = "UAT" if binding.is_uat else "production"
        return Refusal(400, "no_agreement", f"no agreement covers this key, package {binding.package!r}, {environment}")
    if binding.config_hash == config_hash(binding.package, ()):
        return now_ns + _life_ns(max(agreement.lock_period_s for agreement in agreements), desired_s)
    held = _active_lock(connection, binding, now_ns)
    chosen = next((each for each in agreements if held is not None and each.id == held.agreement_id), None)
    if chosen is None:
        held = None
        chosen = next((each for each in agreements if _used(connection, each, now_ns) < each.licenses), None)
    if chosen is None:
        return _none_free(connection, agreements, now_ns)
    expires_ns = now_ns + _life_ns(chosen.lock_period_s, desired_s)
    lasts_ns = expires_ns if held is None else max(expires_ns, held.expires_ns)
    acquired_ns = now_ns if held is None else held.acquired_ns
    connection.execute(
        "INSERT OR REPLACE INTO locks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*_key(binding), chosen.id, acquired_ns, now_ns, lasts_ns, session_id),
    )
    if held is None:
        _forget_ended(connection, binding.public_key, now_ns)
    return expires_ns


def _forget_ended(connection: sqlite3.Connection, public_key: str, now_ns: int) -> None:
    """Keep the newest :data:`MOST_ENDED_LOCKS` of a licensee's locks that have ended."""
    query = (
        "SELECT expires_ns FROM locks WHERE public_key = ? AND expires_ns <= ? "
        "ORDER BY expires_ns DESC LIMIT 1 OFFSET ?"
    )
    oldest = connection.execute(query, (public_key, now_ns, MOST_ENDED_LOCKS)).fetchone()
    if oldest is not None:
        connection.execute("DELETE FROM locks WHERE public_key = ? AND expires_ns <= ?", (public_key, oldest[0]))


def _none_free(connection: sqlite3.Connection, agreements: list[Agreement], now_ns: int) -> Refusal:
    total = sum(agreement.licenses for agreement in agreements)
    ends = (
        connection.execute(
            "SELECT min(expires_ns) FROM locks WHERE agreement_id = ? AND expires_ns > ?", (agreement.id, now_ns)
        ).fetchone()[0]
        for agreement in agreements
    )
    first = min((end for end in ends if end is not None), default=None)
    return Refusal(
        400,
        "no_free_license",
        f"other sets of logins hold all licenses of the agreement ({total}); wait until a lock ends or is released",
        None if first is None else (first - now_ns) / _SECOND,
    )


def _matching(connection: sqlite3.Connection, binding: TokenBinding) -> list[Agreement]:
    query = "SELECT * FROM agreements WHERE public_key = ? AND uat = ? AND revoked_ns IS NULL ORDER BY id"
    rows = connection.execute(query, (binding.public_key, binding.is_uat))
    return [agreement for agreement in map(agreement_of, rows) if fnmatchcase(binding.package, agreement.package)]


def _active_lock(connection: sqlite3.Connection, binding: TokenBinding, now_ns: int) -> Lock | None:
    query = (
        "SELECT * FROM locks WHERE public_key = ? AND package = ? AND config_hash = ? AND uat = ? AND expires_ns > ?"
    )
    row = connection.execute(query, (*_key(binding), now_ns)).fetchone()
    return None if row is None else lock_of(row)


def _used(connection: sqlite3.Connection, agreement: Agreement, now_ns: int) -> int:
    query = "SELECT count(*) FROM locks WHERE agreement_id = ? AND expires_ns > ?"
    return int(connection.execute(query, (agreement.id, now_ns)).fetchone()[0])


def _life_ns(period_s: float, desired_s: float) -> int:
    """The period of the agreement, or the shorter time that was asked for."""
    return int(max(min(period_s, desired_s), SHORTEST_PERIOD_S) * _SECOND)


def _key(binding: TokenBinding) -> tuple[str, str, bytes, int]:
    return binding.public_key, binding.package, binding.config_hash, int(binding.is_uat)


def agreement_of(row: tuple[Any, ...]) -> Agreement:
    """An agreement from its row."""
    number, public_key, package, licenses, period_s, uat, note, created_ns, revoked_ns = row
    return Agreement(number, public_key, package, licenses, period_s, bool(uat), note, created_ns, revoked_ns)


def lock_of(row: tuple[Any, ...]) -> Lock:
    """A lock from its row."""
    public_key, package, digest, uat, *rest = row
    return Lock(TokenBinding(public_key, package, digest, bool(uat)), *rest)


def check_terms(package: str, licenses: int, lock_period_s: float) -> None:
    """Check the terms of an agreement.

    Raises:
        ConfigurationError: a term is not valid.
    """
    if not 0 < len(package) <= 256 or not package.isprintable():
        raise ConfigurationError("package: must be a name or a pattern of 1 to 256 printable characters")
    if not 0 <= licenses <= 1_000_000:
        raise ConfigurationError("licenses: must be between 0 (market data only) and a million")
    if not SHORTEST_PERIOD_S <= lock_period_s <= _LONGEST_PERIOD_S:
        raise ConfigurationError("lock period: must be between 1 second and 31 days")


def iso(time_ns: int) -> str:
    """A time as text, such as ``2026-09-21T14:13:20Z``."""
    return dt.datetime.fromtimestamp(time_ns // _SECOND, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
