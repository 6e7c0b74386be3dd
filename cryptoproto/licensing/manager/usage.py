"""What gateways reported: one row per day, gateway and run, with the counts of requests and the last facts."""

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

__all__ = ["UsageRow", "keep", "prune", "read", "to_csv"]

KEPT_DAYS: Final = 400  # a year and the month in which it is settled
_IN_COLUMNS: Final = frozenset({"package_name", "config_hash", "is_uat", "session_id", "nonce"})
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class UsageRow:
    """One run of one gateway on one day.

    ``facts`` are the fields of its last request by their names in the schema, without those that are columns here.
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
        """For JSON."""
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
    """Add one request and its outcome (*reason* of a refusal, ``None`` if granted)."""
    facts = {name: value for name, value in request.to_plain().items() if name not in _IN_COLUMNS}
    connection.execute(
        "INSERT INTO usage VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
        "last_ns = excluded.last_ns, granted = granted + excluded.granted, refused = refused + excluded.refused, "
        "last_reason = coalesce(excluded.last_reason, last_reason), facts = excluded.facts",
        (
            _day(now_ns),
            public_key,
            request.package,
            request.config_hash,
            request.is_uat,
            request.session_id,
            now_ns,
            now_ns,
            reason is None,
            reason is not None,
            reason,
            json.dumps(facts),
        ),
    )


def prune(connection: sqlite3.Connection, now_ns: int) -> None:
    """Forget what is older than :data:`KEPT_DAYS`."""
    connection.execute("DELETE FROM usage WHERE day < ?", (_day(now_ns - KEPT_DAYS * 86_400 * 10**9),))


def read(connection: sqlite3.Connection, *, since: str = "", public_key: str | None = None) -> list[UsageRow]:
    """The rows from the day *since* on (``YYYY-MM-DD``), the oldest first."""
    rows = connection.execute("SELECT * FROM usage WHERE day >= ? ORDER BY day, first_ns", (since,)).fetchall()
    return [
        UsageRow(day, key, package, digest.hex(), bool(uat), session, first, last, yes, no, reason, json.loads(facts))
        for day, key, package, digest, uat, session, first, last, yes, no, reason, facts in rows
        if public_key in {None, key}
    ]


def to_csv(rows: Iterable[UsageRow]) -> str:
    """The rows as CSV with a header; text that a spreadsheet would take for a formula is quoted."""
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


def _cell(value: object) -> object:
    if isinstance(value, str) and value.startswith(_FORMULA):
        return "'" + value
    return json.dumps(value) if isinstance(value, list) else value


def _day(time_ns: int) -> str:
    return dt.datetime.fromtimestamp(time_ns // 10**9, dt.UTC).strftime("%Y-%m-%d")
