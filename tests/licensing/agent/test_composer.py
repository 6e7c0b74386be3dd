"""What one agent says about itself."""

from __future__ import annotations

import pytest

import cryptoproto as cp
from cryptoproto.licensing import Deployment
from cryptoproto.licensing.agent import composer as composer_module
from cryptoproto.licensing.agent.composer import RequestComposer
from tests.support.licensing.simulated_time import SECOND, START_NS


def composer(**changes: object) -> RequestComposer:
    options: dict[str, object] = {
        "client": None, "deployment": Deployment(), "withhold": (), "desired_period_s": 60.0,
    }  # fmt: skip
    return RequestComposer("gw", ("A1",), **(options | changes))  # type: ignore[arg-type]


def test_one_session_id_for_one_run() -> None:
    one, other = composer(), composer()
    ids = [each.compose({}, START_NS).session_id for each in (one, one, other)]
    assert ids[0] == ids[1] != ids[2]
    assert len(ids[0]) == 32
    assert composer(deployment=Deployment(session_id="mine")).compose({}, START_NS).session_id == "mine"


def test_each_request_has_its_own_nonce_and_time() -> None:
    made = composer()
    first, second = made.compose({}, START_NS), made.compose({}, START_NS + SECOND)
    assert first.nonce != second.nonce
    assert second.time_utc_ns == START_NS + SECOND
    assert second.desired_expiry_utc_ns == START_NS + 61 * SECOND


def test_counts_come_from_the_recorder_without_a_client() -> None:
    made = composer()
    made.recorder.count("create_order", 3)
    assert made.compose({}, START_NS).fields["create_order"] == 3


def test_reports_are_counted_and_cut() -> None:
    made = composer()
    made.report("x" * 2000)
    made.report("slow\norders")
    fields = made.compose({}, START_NS).fields
    assert (fields["please_report"], fields["please_report_details"]) == (2, "slow orders")
    made.report("")
    assert made.compose({}, START_NS).fields["please_report_details"] is None


def test_fixed_facts_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made = composer()
    first = made.machine_facts(START_NS)
    monkeypatch.setattr(composer_module, "fixed_facts", lambda: {"hostname": "another"})
    assert made.machine_facts(START_NS)["hostname"] == first["hostname"]


def test_a_field_that_cannot_be_withheld() -> None:
    with pytest.raises(cp.ConfigurationError, match="nonce cannot be withheld"):
        composer(withhold=["nonce"])
