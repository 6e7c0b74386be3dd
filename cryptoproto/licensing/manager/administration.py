"""What administrators do: agreements, locks, tokens by hand. Each change leaves a row in the audit table."""

from __future__ import annotations

import getpass
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from ...exceptions import ConfigurationError, LicenseDatabaseError, LicensingError
from ..request.refusal import Refusal
from ..sealing.key_text import decode_box_key
from ..sealing.sealing import Channel, sign_token
from ..sealing.token import LicenseToken, TokenBinding
from . import usage
from .database import Database
from .keyring import Generation
from .ledger import Agreement, Lock, agreement_of, check_terms, decide, iso, lock_of
from .usage import UsageRow

__all__ = ["Administration", "AuditRow", "administer", "current_user"]

_LONGEST_GRANT_S: Final = 366 * 86_400.0


@dataclass(frozen=True, slots=True)
class AuditRow:
    """Who did what, and when."""

    id: int
    at_ns: int
    actor: str
    action: str
    detail: dict[str, Any]

    def to_plain(self) -> dict[str, Any]:
        """The fields as plain values for JSON."""
        return {"id": self.id, "at": iso(self.at_ns), "actor": self.actor, "action": self.action, **self.detail}


class Administration:
    """What administrators can do with a manager's database, also while a server uses it.

    Every method raises :class:`LicenseDatabaseError` if the database cannot be used.
    """

    def __init__(self, database: Database, clock: Callable[[], int], actor: str) -> None:
        self._database = database
        self._clock = clock
        self._actor = actor

    def add_agreement(
        self,
        public_key: str,
        package: str,
        *,
        licenses: int,
        lock_period_s: float = 7200.0,
        uat: bool = False,
        note: str = "",
    ) -> Agreement:
        """Give the owner of a key *licenses* licenses of the packages that match the pattern *package*.

        Raises:
            ConfigurationError: the key or a term is not valid.
        """
        decode_box_key(public_key)
        check_terms(package, licenses, lock_period_s)
        now_ns = self._clock()
        with self._database.transaction() as connection:
            row = connection.execute(
                "INSERT INTO agreements (public_key, package, licenses, lock_period_s, uat, note, created_ns) "
                "VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING *",
                (public_key, package, licenses, lock_period_s, uat, note, now_ns),
            ).fetchone()
            agreement = agreement_of(row)
            self._audit(connection, "agreement add", {"agreement_id": agreement.id, "public_key": public_key,
                                                      "package": package, "licenses": licenses,
                                                      "lock_period_s": lock_period_s, "uat": uat})  # fmt: skip
        return agreement

    def agreements(self, *, public_key: str | None = None, revoked: bool = False) -> list[Agreement]:
        """The agreements in force; with *revoked* also the revoked ones."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT * FROM agreements ORDER BY id").fetchall()
        return [
            each
            for each in map(agreement_of, rows)
            if (revoked or each.revoked_ns is None) and public_key in {None, each.public_key}
        ]

    def revoke_agreement(self, agreement_id: int) -> Agreement:
        """Revoke an agreement and end its locks. Tokens that were given out stay valid until they expire.

        Raises:
            LicensingError: there is no such agreement, or it is already revoked.
        """
        with self._database.transaction() as connection:
            row = connection.execute(
                "UPDATE agreements SET revoked_ns = ? WHERE id = ? AND revoked_ns IS NULL RETURNING *",
                (self._clock(), agreement_id),
            ).fetchone()
            if row is None:
                raise LicensingError(
                    f"there is no agreement {agreement_id} in force; see: cryptoproto license agreement list"
                )
            ended = connection.execute("DELETE FROM locks WHERE agreement_id = ?", (agreement_id,)).rowcount
            self._audit(connection, "agreement revoke", {"agreement_id": agreement_id, "locks_ended": ended})
        return agreement_of(row)

    def locks(self, *, ended: bool = False) -> list[Lock]:
        """The locks in force; with *ended* also the last lock of each set of logins that has none now."""
        since_ns = 0 if ended else self._clock()
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT * FROM locks WHERE expires_ns > ? ORDER BY agreement_id, acquired_ns", (since_ns,)
            ).fetchall()
        return [lock_of(row) for row in rows]

    def release(self, binding: TokenBinding) -> None:
        """End a lock early, so that another set of logins can have the license.

        Its token stays valid until it expires: first make sure that the gateway has stopped.

        Raises:
            LicensingError: there is no such lock.
        """
        with self._database.transaction() as connection:
            count = connection.execute(
                "DELETE FROM locks WHERE public_key = ? AND package = ? AND config_hash = ? AND uat = ? "
                "AND expires_ns > ?",
                (binding.public_key, binding.package, binding.config_hash, binding.is_uat, self._clock()),
            ).rowcount
            if not count:
                raise LicensingError("there is no such lock in force; see: cryptoproto license locks")
            self._audit(connection, "release", _plain(binding))

    def grant(
        self, generation: Generation, binding: TokenBinding, *, period_s: float, without_lock: bool = False
    ) -> tuple[LicenseToken, bytes]:
        """Make a token by hand.

        It takes a lock under the usual rules for as long as it lasts. With *without_lock* it takes none, and the
        agreements are ignored.

        Returns:
            The token, and the sealed box to send to the gateway's owner.

        Raises:
            LicenseRefused: no agreement covers it, or no license is free.
            ConfigurationError: the key or the period is not valid.
        """
        decode_box_key(binding.public_key)
        check_terms(binding.package, 1, 1.0)
        if not 1 <= period_s <= _LONGEST_GRANT_S:
            raise ConfigurationError("a token made by hand lasts between 1 second and 366 days")
        now_ns = self._clock()
        expires_ns = now_ns + int(period_s * 1e9)
        token = LicenseToken.issue(binding, now_ns=now_ns, expires_ns=expires_ns, request_nonce=None)
        box = Channel(generation.box_keys, binding.public_key).seal(sign_token(token.encode(), generation.signing_key))
        with self._database.transaction() as connection:
            if not without_lock:
                outcome = decide(connection, binding, desired_s=period_s, now_ns=now_ns, session_id="granted by hand")
                if isinstance(outcome, Refusal):
                    raise outcome.error()
                connection.execute(
                    "UPDATE locks SET expires_ns = max(expires_ns, ?) "
                    "WHERE public_key = ? AND package = ? AND config_hash = ? AND uat = ?",
                    (expires_ns, binding.public_key, binding.package, binding.config_hash, binding.is_uat),
                )
            detail = {"token_id": token.token_id, "expires": iso(expires_ns), "without_lock": without_lock}
            self._audit(connection, "grant", _plain(binding) | detail)
        return token, box

    def note_key_change(self, action: str, detail: dict[str, Any]) -> None:
        """Record in the audit that the manager's keys were made or rotated."""
        with self._database.transaction() as connection:
            self._audit(connection, action, detail)

    def usage(self, *, since: str = "", public_key: str | None = None) -> list[UsageRow]:
        """What gateways reported since the day *since* (``YYYY-MM-DD``)."""
        with self._database.reading() as connection:
            return usage.read(connection, since=since, public_key=public_key)

    def audit(self) -> list[AuditRow]:
        """All changes by administrators, the oldest first."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT * FROM audit ORDER BY id").fetchall()
        return [AuditRow(number, at, actor, action, json.loads(detail)) for number, at, actor, action, detail in rows]

    def _audit(self, connection: sqlite3.Connection, action: str, detail: dict[str, Any]) -> None:
        connection.execute(
            "INSERT INTO audit (at_ns, actor, action, detail) VALUES (?, ?, ?, ?)",
            (self._clock(), self._actor, action, json.dumps(detail)),
        )


@contextmanager
def administer(
    path: str | os.PathLike[str],
    *,
    create: bool = False,
    clock: Callable[[], int] = time.time_ns,
    actor: str | None = None,
) -> Iterator[Administration]:
    """The administration of a database file, without the manager's keys.

    Raises:
        LicenseDatabaseError: there is no such file and *create* is false, or it cannot be used.
    """
    if not create and not os.path.exists(path):
        raise LicenseDatabaseError(f"{os.fspath(path)}: no such license database; `license agreement add` creates one")
    database = Database(path)
    try:
        yield Administration(database, clock, actor or current_user())
    finally:
        database.close()


def current_user() -> str:
    """The user of this process, for the audit rows."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # in a container, a user may have no name
        return f"uid {os.getuid()}"


def _plain(binding: TokenBinding) -> dict[str, Any]:
    return {
        "public_key": binding.public_key,
        "package": binding.package,
        "config_hash": binding.config_hash.hex(),
        "uat": binding.is_uat,
    }
