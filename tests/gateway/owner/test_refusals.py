from __future__ import annotations

import pytest

from cryptoproto.gateway.owner.refusals import Refusals


def test_a_call_that_arrives_again_is_known() -> None:
    refusals = Refusals()
    refusals.add("mm1/a", 5.0, "too many open orders")
    assert refusals.reason("mm1/a", 5.0) == "too many open orders"
    assert refusals.reason("mm1/a", 6.0) is None
    assert refusals.reason("mm1/b", 5.0) is None


def test_the_oldest_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cryptoproto.gateway.owner.refusals._KEPT", 2)
    refusals = Refusals()
    for command in ("a", "b", "c"):
        refusals.add(command, 5.0, "no")
    assert [refusals.reason(command, 5.0) for command in ("a", "b", "c")] == [None, "no", "no"]
