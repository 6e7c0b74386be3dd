"""The request: deployments, meaning and what can be withheld."""

from __future__ import annotations

import json
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.licensing import (
    ActivityRecorder,
    Deployment,
    LicenseRequest,
    MalformedMessage,
    config_hash,
    preview_request,
)
from cryptoproto.licensing.request.activity import LatencyHistogram
from cryptoproto.licensing.request.request import activity_facts
from tests.support.licensing.samples import full_request
from tests.support.licensing.simulated_time import SECOND, START_NS


@pytest.mark.parametrize("change", [{"api": "a\n"}, {"is_uat": 1}, {"session_id": "x" * 65}, {"instance": 3}])
def test_deployments_that_cannot_be_sent(change: dict[str, Any]) -> None:
    with pytest.raises(cp.ConfigurationError):
        Deployment(**change)


def decoded(**changes: Any) -> LicenseRequest:
    return LicenseRequest.decode(LicenseRequest(full_request() | changes).encode())


def test_a_request_survives_its_bytes() -> None:
    request = decoded()
    assert request.fields == LicenseRequest(full_request()).fields
    assert (request.package, request.session_id, request.is_uat) == ("roq-deribit", full_request()["session_id"], True)
    assert request.time_utc_ns == START_NS
    assert request.desired_expiry_utc_ns == START_NS + 7200 * SECOND
    assert request.nonce == bytes(range(16))
    assert json.loads(request.to_json())["nonce"] == bytes(range(16)).hex()
    assert repr(request) == f"<LicenseRequest roq-deribit {request.config_hash.hex()[:16]}…>"


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        (
            {"accounts": 0},
            "accounts: 0, but config_hash has logins; accounts must be above 0 if and only if config_hash has logins",
        ),
        (
            {"accounts": 2, "config_hash": config_hash("roq-deribit", [])},
            "accounts: 2, but config_hash has no logins; accounts must be above 0 if and only if",
        ),
        ({"request_time_utc": 0}, "not valid times"),
        ({"token_expiry_time_utc": START_NS - 1}, "not valid times"),
        ({"internal_latency_count_inf": 0}, "internal_latency: the counts of a cumulative histogram must not decrease"),
        ({"external_latency_count_1ms": 0}, "external_latency: the counts of a cumulative histogram must not decrease"),
    ],
)
def test_requests_that_contradict_themselves(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(MalformedMessage, match=complaint):
        decoded(**changes)


def test_no_accounts_and_no_logins_go_together() -> None:
    assert not decoded(accounts=0, config_hash=config_hash("roq-deribit", [])).needs_lock
    assert decoded().needs_lock


def test_a_preview_is_what_an_agent_sends() -> None:
    deployment = Deployment(package_version="1.0", package_build_number="7", instance="i1", api="ws", journal=True)
    request = preview_request("gw", ["A1", "A1"], deployment=deployment, withhold=["hostname"])
    fields = request.fields
    assert (fields["package_version"], fields["package_build_number"]) == ("1.0", "7")
    assert (fields["instance"], fields["api"], fields["journal"], fields["risk_manager"]) == ("i1", "ws", True, False)
    assert len(request.session_id) == 32
    assert fields["hostname"] is None
    assert fields["accounts"] == 1
    assert LicenseRequest.decode(request.encode()).fields["create_order"] == 0
    given = preview_request("gw", [], deployment=Deployment(session_id="mine"))
    assert given.session_id == "mine"


def test_a_request_without_values() -> None:
    request = LicenseRequest({})
    assert (request.time_utc_ns, request.config_hash, request.session_id) == (0, b"", "")


def test_a_histogram_with_other_buckets() -> None:
    recorder = ActivityRecorder()
    recorder.external_latency = LatencyHistogram((1, 2, 3))
    with pytest.raises(cp.ConfigurationError, match=r"external_latency: has 4 counts, but the bounds .* need 7"):
        activity_facts(recorder.metrics())
