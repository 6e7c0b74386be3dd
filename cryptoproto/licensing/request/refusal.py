"""The manager's refusal: an HTTP status, a reason for programs and a message for people."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from ...exceptions import LicenseRefused, NoAgreement, NoFreeLicense, RequestMalformed, RequestStale, TooManyRequests

__all__ = ["Refusal", "refusal_error"]

_ERRORS: Final[dict[str, type[LicenseRefused]]] = {
    "no_agreement": NoAgreement,
    "no_free_license": NoFreeLicense,
    "malformed": RequestMalformed,
    "too_large": RequestMalformed,
    "stale": RequestStale,
    "too_many_requests": TooManyRequests,
}
_LONGEST_WAIT_S: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refusal. On the wire it is JSON: ``{"reason", "message"}``, and ``"retry_after_s"`` if a time is known."""

    status: int
    reason: str
    message: str
    retry_after_s: float | None = None

    def to_json(self) -> bytes:
        """The body of the reply."""
        content: dict[str, Any] = {"reason": self.reason, "message": self.message}
        if self.retry_after_s is not None:
            content["retry_after_s"] = round(self.retry_after_s, 3)
        return json.dumps(content).encode()

    def error(self) -> LicenseRefused:
        """The refusal as an exception."""
        kind = _ERRORS.get(self.reason, LicenseRefused)
        return kind(self.reason, self.message, retry_after_s=self.retry_after_s)


def refusal_error(status: int, body: bytes) -> LicenseRefused:
    """The exception for a reply of the manager. The reply is not trusted: it can be anything."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        content = {}
    reason, message, retry = content.get("reason"), content.get("message"), content.get("retry_after_s")
    if not isinstance(reason, str) or not reason.isidentifier():
        reason, message = f"status_{status}", "the reply has no reason; is this the address of a license manager?"
    text = message if isinstance(message, str) else "no reason given"
    wait_s = float(retry) if isinstance(retry, (int, float)) and 0 <= retry <= _LONGEST_WAIT_S else None
    clean = "".join(character for character in text[:500] if character.isprintable())
    return Refusal(status, reason[:64], clean, wait_s).error()
