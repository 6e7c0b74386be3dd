"""A request for the present moment, sealed."""

from __future__ import annotations

import time

from cryptoproto.licensing import KeyPair, Keyring, LicenseRequest
from cryptoproto.licensing.sealing.sealing import seal_request
from tests.support.licensing.samples import full_request
from tests.support.licensing.simulated_time import SECOND

PATH = "/v1/license"


def fresh_request(gateway: KeyPair, keyring: Keyring, number: int, *logins: str) -> bytes:
    now = time.time_ns()
    values = full_request("gw", logins) | {
        "request_time_utc": now,
        "token_expiry_time_utc": now + 60 * SECOND,
        "is_uat": False,
        "nonce": number.to_bytes(16, "big"),
    }
    return seal_request(LicenseRequest(values).encode(), gateway, keyring.active(now)[0].public)
