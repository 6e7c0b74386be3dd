"""What the manager sends back, and how large a request can be; shared by the manager and its HTTP server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol, Self

from ..request.layout import LICENSE_REQUEST
from ..request.refusal import Refusal
from ..sealing.key_text import KEY_BYTES
from ..sealing.sealing import BOX_OVERHEAD

__all__ = ["LARGEST_BODY", "Reply", "RequestHandler"]

LARGEST_BODY: Final = KEY_BYTES + BOX_OVERHEAD + LICENSE_REQUEST.largest


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP status, a body, and the refusal if the body is one."""

    status: int
    body: bytes
    refusal: Refusal | None = None

    @classmethod
    def no(cls, refusal: Refusal) -> Self:
        """The reply for a refusal."""
        return cls(refusal.status, refusal.to_json(), refusal)


class RequestHandler(Protocol):
    """Answers requests; a :class:`~cryptoproto.licensing.LicenseManager` is one."""

    def handle_batch(self, bodies: Sequence[bytes]) -> list[Reply]:
        """One reply for each body, in the same order. Must not raise because of a body."""
