"""The token: whom it is for, until when, and mutated bytes."""

from __future__ import annotations

import pytest

from cryptoproto.licensing import (
    InvalidToken,
    KeyPair,
    LicenseToken,
    MalformedMessage,
    TokenBinding,
    config_hash,
)
from tests.support.licensing.mutations import mutations, survey
from tests.support.licensing.samples import HASH, token_for
from tests.support.licensing.simulated_time import SECOND, START_NS


def test_50_000_mutated_tokens(token_message: bytes) -> None:
    good, refused = survey(mutations(token_message, 50_000, seed=2), LicenseToken.decode, MalformedMessage)
    assert good + refused == 50_000
    assert refused > 12_000


@pytest.mark.parametrize(
    ("change", "now_s", "complaint"),
    [
        ({"public_key": KeyPair.generate().public_key}, 0, "another public key"),
        ({"package": "roq-bybit"}, 0, "is for package 'roq-deribit'"),
        ({"config_hash": config_hash("roq-deribit", ["A1"])}, 0, "another set of logins"),
        ({"is_uat": True}, 0, "other environment"),
        ({}, 7200, "the token expired at"),
        ({}, -301, "set the clock"),
    ],
)
def test_a_token_is_for_one_gateway_and_time(
    gateway: KeyPair, change: dict[str, object], now_s: int, complaint: str
) -> None:
    token = token_for(gateway)
    good = {"public_key": gateway.public_key, "package": "roq-deribit", "config_hash": HASH}
    token.check_usable(TokenBinding(**good), START_NS + 7200 * SECOND - 1)  # type: ignore[arg-type]
    token.check_usable(TokenBinding(**good), START_NS - 300 * SECOND)  # type: ignore[arg-type]
    with pytest.raises(InvalidToken, match=complaint):
        token.check_usable(TokenBinding(**(good | change)), START_NS + now_s * SECOND)  # type: ignore[arg-type]


@pytest.mark.parametrize("life_s", [0, -1, 11 * 366 * 86_400])
def test_a_token_with_an_impossible_life_is_refused(gateway: KeyPair, life_s: int) -> None:
    with pytest.raises(MalformedMessage, match="not valid times"):
        LicenseToken.decode(token_for(gateway, life_s=life_s).encode())


def test_times_are_in_utc(gateway: KeyPair) -> None:
    token = token_for(gateway)
    assert token.expires_at.isoformat() == "2026-09-21T16:13:20+00:00"
    assert (token.expires_at - token.issued_at).total_seconds() == 7200
