"""Refusals: from the manager's reply to an exception."""

from __future__ import annotations

import json

import pytest

from cryptoproto.licensing import LicenseRefused, NoAgreement, NoFreeLicense, RequestMalformed, RequestStale
from cryptoproto.licensing.request.refusal import Refusal, refusal_error


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("no_agreement", NoAgreement),
        ("no_free_license", NoFreeLicense),
        ("malformed", RequestMalformed),
        ("too_large", RequestMalformed),
        ("stale", RequestStale),
        ("something_new", LicenseRefused),
    ],
)
def test_a_refusal_survives_the_wire(reason: str, kind: type[LicenseRefused]) -> None:
    error = refusal_error(400, Refusal(400, reason, "why", 2.5).to_json())
    assert type(error) is kind
    assert (error.reason, error.retry_after_s) == (reason, 2.5)
    assert "why" in str(error)


@pytest.mark.parametrize("body", [b"", b"[]", b"[" * 100_000, b'{"reason": 1}', b'{"reason": "not a word!"}', b"\xff"])
def test_a_reply_of_something_else(body: bytes) -> None:
    error = refusal_error(413, body)
    assert error.reason == "status_413"
    assert "is this the address of a license manager?" in str(error)


def test_a_hostile_refusal_is_cut_and_cleaned() -> None:
    content = {"reason": "x" * 1000, "message": "\x1b[31m" + "y" * 1000, "retry_after_s": 1e12}
    error = refusal_error(400, json.dumps(content).encode())
    assert len(error.reason) == 64
    assert "\x1b" not in str(error)
    assert len(str(error)) < 700
    assert error.retry_after_s is None
    assert "no reason given" in str(refusal_error(400, b'{"reason": "stale", "message": 1, "retry_after_s": "1"}'))
