"""License management: a gateway's agent, the license manager, and what they say to each other.

The agent needs the ``licensing`` extra, the manager's HTTP server the ``server`` extra too.
"""

from __future__ import annotations

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

try:
    from .activity import (
        EXTERNAL_BOUNDS_NS,
        INTERNAL_BOUNDS_NS,
        ActivityReading,
        ActivityRecorder,
        ActivitySource,
        LatencyHistogram,
        LatencyReading,
    )
    from .agent import LicenseAgent
    from .clock import Clock, SystemClock
    from .keypair import KeyPair, ManagerKey
    from .logins import config_hash, read_logins
    from .manager import (
        Administration,
        Agreement,
        AuditRow,
        Generation,
        Keyring,
        LicenseManager,
        Lock,
        UsageRow,
        administer,
    )
    from .request import WITHHOLDABLE, Deployment, LicenseRequest, preview_request
    from .standing import LicenseState, Schedule
    from .token import LicenseToken, TokenBinding
    from .token_cache import TokenCache
except ModuleNotFoundError as error:
    if error.name not in {"nacl", "flatbuffers", "psutil", "httpx"}:
        raise
    raise ModuleNotFoundError(
        f"cryptoproto.licensing needs {error.name}: pip install 'cryptoproto[licensing]'", name=error.name
    ) from None

__all__ = [
    "EXTERNAL_BOUNDS_NS",
    "INTERNAL_BOUNDS_NS",
    "WITHHOLDABLE",
    "ActivityReading",
    "ActivityRecorder",
    "ActivitySource",
    "Administration",
    "Agreement",
    "AuditRow",
    "Clock",
    "Deployment",
    "Generation",
    "InvalidToken",
    "KeyPair",
    "Keyring",
    "LatencyHistogram",
    "LatencyReading",
    "LicenseAgent",
    "LicenseDatabaseError",
    "LicenseExpired",
    "LicenseManager",
    "LicenseRefused",
    "LicenseRequest",
    "LicenseState",
    "LicenseToken",
    "LicensingError",
    "Lock",
    "MalformedMessage",
    "ManagerKey",
    "ManagerUnavailable",
    "NoAgreement",
    "NoFreeLicense",
    "RequestMalformed",
    "RequestStale",
    "Schedule",
    "SealBroken",
    "SystemClock",
    "TokenBinding",
    "TokenCache",
    "TokenCacheError",
    "TooManyRequests",
    "UsageRow",
    "administer",
    "config_hash",
    "preview_request",
    "read_logins",
]
