"""A gateway that sends requests straight into a manager."""

from __future__ import annotations

from typing import Any

from cryptoproto.licensing import (
    KeyPair,
    LicenseManager,
    LicenseRequest,
    LicenseToken,
    ManagerKey,
)
from cryptoproto.licensing.manager import Reply
from cryptoproto.licensing.request.refusal import refusal_error
from cryptoproto.licensing.sealing.sealing import open_token, seal_request
from tests.support.licensing.samples import full_request
from tests.support.licensing.simulated_time import SECOND, SimulatedClock

PACKAGE = "roq-deribit"


class Asker:
    """Sends requests of one gateway key straight into a manager."""

    def __init__(self, manager: LicenseManager, keys: KeyPair, clock: SimulatedClock) -> None:
        self.manager, self.keys, self.clock = manager, keys, clock
        self.key: ManagerKey = manager.generations[0].public
        self.count = 0

    def body(self, *logins: str, **changes: Any) -> bytes:
        self.count += 1
        package = changes.pop("package", PACKAGE)
        now = self.clock.true_ns()
        values = full_request(package, logins) | {
            "request_time_utc": now,
            "token_expiry_time_utc": now + 7200 * SECOND,
            "is_uat": False,
            "nonce": self.count.to_bytes(16, "big"),
        }
        return seal_request(LicenseRequest(values | changes).encode(), self.keys, self.key)

    def ask(self, *logins: str, **changes: Any) -> LicenseToken | str:
        """The token, or the reason of the refusal."""
        return self.outcome(self.manager.handle(self.body(*logins, **changes)))

    def outcome(self, reply: Reply) -> LicenseToken | str:
        if reply.status == 200:
            return LicenseToken.decode(open_token(reply.body, self.keys, self.key))
        return refusal_error(reply.status, reply.body).reason


def granted(outcome: LicenseToken | str) -> bool:
    return isinstance(outcome, LicenseToken)
