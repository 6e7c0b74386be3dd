"""Errors of licensing, on the side of the gateway and of the license manager."""

from __future__ import annotations

from .base import CryptoprotoError

__all__ = [
    "InvalidToken",
    "LicenseDatabaseError",
    "LicenseExpired",
    "LicenseRefused",
    "LicensingError",
    "MalformedMessage",
    "ManagerUnavailable",
    "NoAgreement",
    "NoFreeLicense",
    "RequestMalformed",
    "RequestStale",
    "SealBroken",
    "TokenCacheError",
    "TooManyRequests",
]


class LicensingError(CryptoprotoError):
    """There is no license, or it cannot be acquired, kept or managed."""


class LicenseRefused(LicensingError):
    """The license manager refused the request.

    Attributes:
        reason: the manager's keyword for the reason: ``no_agreement``, ``no_free_license`` and so on.
        message: the manager's explanation.
        retry_after_s: the manager's estimate of how many seconds to wait before a retry; ``None`` if unknown.
    """

    def __init__(self, reason: str, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(reason, message)
        self.reason = reason
        self.message = message
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return f"the license manager refuses ({self.reason}): {self.message}"


class NoAgreement(LicenseRefused):
    """Reason ``no_agreement``: no agreement covers this public key and package."""


class NoFreeLicense(LicenseRefused):
    """Reason ``no_free_license``: other sets of logins hold every license of the agreement."""


class RequestMalformed(LicenseRefused):
    """Reasons ``malformed`` and ``too_large``: the manager could not open or read the request."""


class RequestStale(LicenseRefused):
    """Reason ``stale``: the request's time is too far from the manager's, or its nonce was used before."""


class TooManyRequests(LicenseRefused):
    """Reason ``too_many_requests``: this gateway or its network address sends requests too often."""


class LicenseExpired(LicensingError):
    """The token has expired and the grace period is over; the text says how the last attempt to renew failed."""


class ManagerUnavailable(LicensingError, ConnectionError):
    """No license manager could be reached, or none of those reached is working."""


class MalformedMessage(LicensingError, ValueError):
    """The bytes of a request or token are truncated, out of bounds, of the wrong type or otherwise malformed."""


class SealBroken(LicensingError):
    """A sealed box cannot be opened: it was sealed for another key, by another sender, or it is damaged."""


class InvalidToken(LicensingError):
    """A token is not signed by the pinned manager, or was issued for another key, package, set of logins or time."""


class TokenCacheError(LicensingError):
    """The cached token cannot be read, or a new one cannot be written; the token in memory stays in use."""


class LicenseDatabaseError(LicensingError):
    """The license manager's database cannot be opened, read or written."""
