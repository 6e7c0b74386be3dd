"""Errors of licensing."""

from __future__ import annotations

from cryptoproto.exceptions import LicenseRefused, NoFreeLicense


def test_a_refusal_carries_the_managers_reason_and_estimate() -> None:
    error = NoFreeLicense("no_free_license", "both licenses are in use", retry_after_s=60.0)
    assert (error.reason, error.message, error.retry_after_s) == ("no_free_license", "both licenses are in use", 60.0)
    assert str(error) == "the license manager refuses (no_free_license): both licenses are in use"
    assert LicenseRefused("stale", "too old").retry_after_s is None
