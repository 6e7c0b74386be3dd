"""Agreements and locks: who may run how much, and who does. Every decision is made inside one transaction."""

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

__all__ = ["SHORTEST_PERIOD_S", "Agreement", "Lock", "decide", "public_key_known"]

_SECOND: Final = 1_000_000_000
SHORTEST_PERIOD_S: Final = 1.0
_LONGEST_PERIOD_S: Final = 31 * 86_400.0


@dataclass(frozen=True, slots=True)
class Agreement:
    """What a licensee was promised.

    Attributes:
        id: its number.
        public_key: the licensee's X25519 key.
        package: a package name, or a pattern with ``*``, ``?`` and ``[…]``; case matters.
        licenses: how many different sets of logins may run at once.
        lock_period_s: the life of a lock and of a token.
        uat: whether it is for test environments. An agreement covers one environment: requests with the same flag.
        note: the licensor's own words.
        created_ns: when it was made, UTC.
        revoked_ns: when it was revoked, ``None`` while it holds.
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
        """For JSON."""
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
        """For JSON."""
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
    """Whether any agreement holds for the key; asked before anything that it sent is opened."""
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
    """Lock a license, or renew the lock that this very binding holds; when the token ends, or why there is none.

    An empty set of logins needs an agreement and no lock. A lock lasts at least as long as any token that was given
    out for it, so a token's end never outlives the lock behind it, except one that an administrator released.
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
    return expires_ns


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
        f"other sets of logins hold all licenses of the agreement ({total}); wait for a lock to end or a release",
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
    """What the agreement gives, or the shorter time that was asked for."""
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
    """Refuse terms of an agreement that cannot be meant.

    Raises:
        ConfigurationError: they cannot.
    """
    if not 0 < len(package) <= 256 or not package.isprintable():
        raise ConfigurationError("package: a name or a pattern of 1 to 256 printable characters")
    if not 0 <= licenses <= 1_000_000:
        raise ConfigurationError("licenses: between 0 (market data alone) and a million")
    if not SHORTEST_PERIOD_S <= lock_period_s <= _LONGEST_PERIOD_S:
        raise ConfigurationError("lock period: between 1 second and 31 days")


def iso(time_ns: int) -> str:
    """A moment for people and for JSON."""
    return dt.datetime.fromtimestamp(time_ns // _SECOND, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
