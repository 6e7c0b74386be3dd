"""The license manager: agreements, locks, usage, audit. Its HTTP server needs the ``server`` extra."""

from __future__ import annotations

from .administration import Administration, AuditRow, administer
from .keyring import Generation, Keyring
from .ledger import Agreement, Lock
from .manager import LicenseManager
from .reply import Reply
from .usage import UsageRow, to_csv

__all__ = [
    "Administration",
    "Agreement",
    "AuditRow",
    "Generation",
    "Keyring",
    "LicenseManager",
    "Lock",
    "Reply",
    "UsageRow",
    "administer",
    "to_csv",
]
