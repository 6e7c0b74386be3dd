"""License management: a gateway's agent, the license manager, and the messages between them.

The agent needs the ``licensing`` extra, the manager's HTTP server also the ``server`` extra. Modules are imported when
a name is first used: :func:`config_hash` and :func:`read_logins` need no extra at all.

::

    manager | agent      the two sides; they do not import each other
    sealing              keys, sealed boxes, signatures, tokens
    request              the fields of a request, its bytes, the config hash
    _fbs                 generated code
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..exceptions import (
    InvalidToken,
    LicenseDatabaseError,
    LicenseExpired,
    LicenseRefused,
    LicensingError,
    MalformedMessage,
    ManagerUnavailable,
    NoAgreement,
    NoFreeLicense,
    RequestMalformed,
    RequestStale,
    SealBroken,
    TokenCacheError,
    TooManyRequests,
)
from ..extras import needs

if TYPE_CHECKING:
    from .agent.agent import LicenseAgent
    from .agent.clock import Clock
    from .agent.standing import LicenseState, Schedule
    from .manager import Administration, Keyring, LicenseManager
    from .request.activity import ActivityRecorder, ActivitySource
    from .request.logins import config_hash, read_logins
    from .request.request import WITHHOLDABLE, Deployment, LicenseRequest, preview_request
    from .sealing.keypair import KeyPair, ManagerKey
    from .sealing.token import LicenseToken, TokenBinding

__all__ = [
    "WITHHOLDABLE",
    "ActivityRecorder",
    "ActivitySource",
    "Administration",
    "Clock",
    "Deployment",
    "InvalidToken",
    "KeyPair",
    "Keyring",
    "LicenseAgent",
    "LicenseDatabaseError",
    "LicenseExpired",
    "LicenseManager",
    "LicenseRefused",
    "LicenseRequest",
    "LicenseState",
    "LicenseToken",
    "LicensingError",
    "MalformedMessage",
    "ManagerKey",
    "ManagerUnavailable",
    "NoAgreement",
    "NoFreeLicense",
    "RequestMalformed",
    "RequestStale",
    "Schedule",
    "SealBroken",
    "TokenBinding",
    "TokenCacheError",
    "TooManyRequests",
    "config_hash",
    "preview_request",
    "read_logins",
]

_HOMES = {
    "LicenseAgent": "agent.agent",
    "Clock": "agent.clock",
    "LicenseState": "agent.standing",
    "Schedule": "agent.standing",
    "Administration": "manager",
    "Keyring": "manager",
    "LicenseManager": "manager",
    "ActivityRecorder": "request.activity",
    "ActivitySource": "request.activity",
    "config_hash": "request.logins",
    "read_logins": "request.logins",
    "WITHHOLDABLE": "request.request",
    "Deployment": "request.request",
    "LicenseRequest": "request.request",
    "preview_request": "request.request",
    "KeyPair": "sealing.keypair",
    "ManagerKey": "sealing.keypair",
    "LicenseToken": "sealing.token",
    "TokenBinding": "sealing.token",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with needs("cryptoproto.licensing", "licensing"):
        module = import_module(f".{home}", __name__)
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted(__all__)
