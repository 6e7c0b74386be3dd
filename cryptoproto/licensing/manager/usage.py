"""What gateways reported: a row for each day, gateway and run, with counts of requests and the last facts.

Requests that are refused before they are decided are counted by day, key and reason. Most of them cannot be assigned
to a run, because they could not be opened or read.

Everything is bounded for each licensee: a gateway chooses its session id and its logins freely, so without a limit it
could fill the disk.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from ..request.layout import LICENSE_REQUEST
from ..request.request import LicenseRequest
from .ledger import iso

__all__ = ["MOST_RUNS_PER_DAY", "OTHER_RUNS", "UsageRow", "count_refusal", "keep", "prune", "read", "to_csv"]

KEPT_DAYS: Final = 400  # a year, and the month in which it is settled
MOST_RUNS_PER_DAY: Final = 200  # of one licensee; 400 days of full rows of 4 kB come to 320 MB
OTHER_RUNS: Final = "(other runs)"  # the session id of the row that counts the runs beyond that number
_LONGEST_LIST: Final = 256  # a machine with more processors is stored with its first ones
_IN_COLUMNS: Final = frozenset({"package_name", "config_hash", "is_uat", "session_id", "nonce"})
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_KEY: Final = "day = ? AND public_key = ? AND package = ? AND config_hash = ? AND uat = ? AND session_id = ?"


@dataclass(frozen=True, slots=True)
class UsageRow:
    """One run of one gateway on one day, or the requests of one key that were refused for one reason.

    Attributes:
        day: the day in UTC, ``YYYY-MM-DD``.
        public_key: the gateway's key.
        package: its package; empty for refused requests that belong to no run.
        config_hash: the hash of package and logins as hex; empty for refused requests that belong to no run.
        uat: whether it is a test environment.
        session_id: names the run; :data:`OTHER_RUNS` for all runs beyond the limit of a day.
        first_ns: the time of the first request, UTC.
        last_ns: the time of the last request, UTC.
        granted: how many requests were granted.
        refused: how many requests were refused.
        last_reason: the reason of the last refusal, ``None`` without one.
        facts: the fields of the last request by their names in the schema, without those that are columns here.
    """

    day: str
    public_key: str
    package: str
    config_hash: str
    uat: bool
    session_id: str
    first_ns: int
    last_ns: int
    granted: int
    refused: int
    last_reason: str | None
    facts: dict[str, Any]

    def to_plain(self) -> dict[str, Any]:
        """The row as plain values for JSON."""
        return {
            "day": self.day,
            "public_key": self.public_key,
            "package": self.package,
            "config_hash": self.config_hash,
            "uat": self.uat,
            "session_id": self.session_id,
            "first": iso(self.first_ns),
            "last": iso(self.last_ns),
            "granted": self.granted,
            "refused": self.refused,
            "last_reason": self.last_reason,
            "facts": self.facts,
        }


def keep(
    connection: sqlite3.Connection, public_key: str, request: LicenseRequest, reason: str | None, now_ns: int
) -> None:
    """Add one decided request. *reason* is that of a refusal, ``None`` if a token was granted."""
    key = (_day(now_ns), public_key, request.package, request.config_hash, request.is_uat, request.session_id)
    facts = {name: _short(value) for name, value in request.to_plain().items() if name not in _IN_COLUMNS}
    if not _has_room(connection, key):
        key, facts = (*key[:2], "", b"", False, OTHER_RUNS), {}
    connection.execute(
        "INSERT INTO usage VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
        "last_ns = excluded.last_ns, granted = granted + excluded.granted, refused = refused + excluded.refused, "
        "last_reason = coalesce(excluded.last_reason, last_reason), facts = excluded.facts",
        (*key, now_ns, now_ns, reason is None, reason is not None, reason, json.dumps(facts)),
    )


def count_refusal(connection: sqlite3.Connection, public_key: str, reason: str, now_ns: int) -> None:
    """Count a request that was refused before it could be decided, such as a malformed one.

    Call it only for keys with an agreement, because each new key adds a row.
    """
    connection.execute(
        "INSERT INTO refusals VALUES (?, ?, ?, 1, ?, ?) ON CONFLICT DO UPDATE SET "
        "count = count + 1, last_ns = excluded.last_ns",
        (_day(now_ns), public_key, reason, now_ns, now_ns),
    )


def prune(connection: sqlite3.Connection, now_ns: int) -> None:
    """Forget everything that is older than :data:`KEPT_DAYS`."""
    oldest = _day(now_ns - KEPT_DAYS * 86_400 * 10**9)
    connection.execute("DELETE FROM usage WHERE day < ?", (oldest,))
    connection.execute("DELETE FROM refusals WHERE day < ?", (oldest,))


def read(connection: sqlite3.Connection, *, since: str = "", public_key: str | None = None) -> list[UsageRow]:
    """The rows since the day *since* (``YYYY-MM-DD``), the oldest first."""
    runs = connection.execute("SELECT * FROM usage WHERE day >= ?", (since,))
    rows = [
        UsageRow(day, key, package, digest.hex(), bool(uat), session, first, last, yes, no, reason, json.loads(facts))
        for day, key, package, digest, uat, session, first, last, yes, no, reason, facts in runs
    ]
    refusals = connection.execute("SELECT * FROM refusals WHERE day >= ?", (since,))
    rows += [
        UsageRow(day, key, "", "", False, "", first, last, 0, count, reason, {})
        for day, key, reason, count, first, last in refusals
    ]
    chosen = (row for row in rows if public_key in {None, row.public_key})
    return sorted(chosen, key=lambda row: (row.day, row.first_ns))


def to_csv(rows: Iterable[UsageRow]) -> str:
    """The rows as CSV with a header. Text that a spreadsheet would take for a formula is quoted."""
    columns = ["day", "public_key", "package", "config_hash", "uat", "session_id", "first", "last"]
    columns += ["granted", "refused", "last_reason"]
    facts = [field.name for field in LICENSE_REQUEST.fields if field.name not in _IN_COLUMNS]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns + facts)
    for row in rows:
        plain = row.to_plain()
        writer.writerow([_cell(plain[name]) for name in columns] + [_cell(row.facts.get(name)) for name in facts])
    return out.getvalue()


def _has_room(connection: sqlite3.Connection, key: tuple[str, str, str, bytes, bool, str]) -> bool:
    if connection.execute(f"SELECT 1 FROM usage WHERE {_KEY}", key).fetchone() is not None:  # noqa: S608 - a constant
        return True
    query = "SELECT count(*) FROM usage WHERE day = ? AND public_key = ?"
    (runs,) = connection.execute(query, key[:2]).fetchone()
    return bool(runs < MOST_RUNS_PER_DAY)


def _short(value: object) -> object:
    return value[:_LONGEST_LIST] if isinstance(value, tuple) else value


def _cell(value: object) -> object:
    if isinstance(value, str) and value.startswith(_FORMULA):
        return "'" + value
    return json.dumps(value) if isinstance(value, list) else value


def _day(time_ns: int) -> str:
    return dt.datetime.fromtimestamp(time_ns // 10**9, dt.UTC).strftime("%Y-%m-%d")
